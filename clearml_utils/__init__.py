"""Prefect runs are ClearML runs, by changing two decorators.

from clearml_utils import flow, task, current_record
"""

from clearml_utils import registry
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
from clearml_utils.record import Record
from clearml_utils.redact import Sensitive

__all__ = [
    "BadCredentials",
    "CaptureFailed",
    "NotConfigured",
    "Record",
    "RegistryError",
    "Rejected",
    "Sensitive",
    "TrackingError",
    "Unreachable",
    "current_record",
    "flow",
    "registry",
    "task",
]
