"""Prefect runs are ClearML runs, by changing two decorators.

from clearml_utils import flow, task, current_record
"""

from clearml_utils import registry
from clearml_utils.compare import Comparison, compare_experiments, compare_models, newest_experiments
from clearml_utils.decorators import flow, task
from clearml_utils.errors import (
    BadCredentials,
    CaptureFailed,
    NotConfigured,
    RegistryError,
    Rejected,
    TrackingError,
    Unreachable,
)
from clearml_utils.lifecycle import current_record
from clearml_utils.own_process import run_in_own_process
from clearml_utils.reconcile import Report, reconcile, reconcile_flow
from clearml_utils.record import Record
from clearml_utils.redact import Sensitive

__all__ = [
    "BadCredentials",
    "CaptureFailed",
    "Comparison",
    "NotConfigured",
    "Record",
    "RegistryError",
    "Rejected",
    "Report",
    "Sensitive",
    "TrackingError",
    "Unreachable",
    "compare_experiments",
    "compare_models",
    "current_record",
    "flow",
    "newest_experiments",
    "reconcile",
    "reconcile_flow",
    "registry",
    "run_in_own_process",
    "task",
]
