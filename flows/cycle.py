"""The whole path as one flow: answers to the Sheet, what they show, what comes next, what each person is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clearml_utils import flow
from flows.analyse.flow import analyse
from flows.collect.flow import collect
from flows.forecast.flow import forecast
from flows.notify.flow import notify


@dataclass(frozen=True)
class CycleResult:
    """What one cycle did, in counts."""

    data_hash: str
    persons: int
    forecasts: int


@flow(name="cycle", flow_run_name="cycle", capture="summary")
def cycle(target: str | None = None, dry_run: bool = False) -> CycleResult:  # noqa: FBT001, FBT002 - a deployment's parameter
    """Collect, analyse, forecast (training where no champion exists yet) and notify.

    Parameters
    ----------
    target
        Target of the survey to analyse; its first one by default.
    dry_run
        Render the messages for review instead of sending them.
    """
    collect()
    analysis: Any = analyse(target)
    forecasts: Any = forecast(analysis)
    notify(analysis, forecasts, dry_run=dry_run)
    return CycleResult(analysis.data_hash, len(analysis.reports), len(forecasts))
