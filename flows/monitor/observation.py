"""What was seen of the installation at one moment; None where it could not be asked or is not in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ERROR, COVERAGE = "forecast error", "interval coverage"
"""Names under which forecasts that turn out badly stand among what drifts."""


@dataclass(frozen=True)
class DeploymentSeen:
    """One flow as Prefect tells it.

    Attributes
    ----------
    name
        The deployment's name.
    late_s
        Seconds by which its earliest unstarted run is overdue; 0 where none is.
    last_state
        Type of the last finished run's state (COMPLETED, FAILED, CRASHED, CANCELLED); None before the first.
    last_run
        Prefect's id of that run.
    """

    name: str
    late_s: float = 0.0
    last_state: str | None = None
    last_run: str = ""


@dataclass(frozen=True)
class PrefectSeen:
    """What Prefect's API says.

    Attributes
    ----------
    workers
        Worker of the pool -> seconds since it was heard.
    completed, failed
        Flow runs that ended so in the last day.
    """

    deployments: tuple[DeploymentSeen, ...]
    workers: Mapping[str, float]
    completed: int = 0
    failed: int = 0

    @property
    def worker_silent_s(self) -> float | None:
        """Seconds since the liveliest worker was heard; None where no worker ever registered."""
        return min(self.workers.values(), default=None)


@dataclass(frozen=True)
class SlotsSeen:
    """The due slots of one deployment that were accounted for last: how many, how many did not run, the last reason."""

    name: str
    of: int
    missed: int
    reason: str = ""


@dataclass(frozen=True)
class StoreSeen:
    """What the private store says; ages in seconds, 0 where nothing waits.

    Attributes
    ----------
    bot_silent_s
        Since the bot last had an answer from Telegram; None where no bot ever ran here.
    sheet_lag_s
        Age of the oldest response the Sheet lacks.
    outbox_age_s
        By how much the oldest waiting message is overdue.
    inbox_waiting
        Updates received and not yet applied.
    responses, messages
        Received, and delivered, in the last day.
    drifted
        Targets whose answers or errors drift, as the drift test last said.
    monitor_silent_s
        Since the monitor last looked; None where it never did.
    slots
        Deployments whose slots are accounted for, with the last account of each.
    """

    bot_silent_s: float | None
    sheet_lag_s: float
    outbox_age_s: float
    inbox_waiting: int = 0
    responses: int = 0
    messages: int = 0
    drifted: tuple[str, ...] = ()
    slots: tuple[SlotsSeen, ...] = ()
    monitor_silent_s: float | None = None


@dataclass(frozen=True)
class ClearmlSeen:
    """What the bridge to ClearML says.

    Attributes
    ----------
    spool_waiting, spool_age_s
        Records not yet delivered, and the age of the oldest part of the spool.
    refused
        Records the server will never take.
    lost
        Runs the reconciliation found dead this time.
    error
        Why ClearML could not be asked, by the error's name; empty where it answered.
    """

    spool_waiting: int = 0
    spool_age_s: float = 0.0
    refused: int = 0
    lost: int = 0
    error: str = ""


@dataclass(frozen=True)
class Observation:
    """Everything seen at one moment (`at`: aware, UTC, the product's clock)."""

    at: datetime
    prefect: PrefectSeen | None
    store: StoreSeen | None
    clearml: ClearmlSeen | None
    disk_free_mb: float
    home_mode: int

    def numbers(self) -> dict[str, float]:
        """Single numbers for the record of the run, by name."""
        out: dict[str, float] = {"disk_free_mb": self.disk_free_mb}
        if self.prefect is not None:
            out |= {
                "runs_late": sum(d.late_s > 0 for d in self.prefect.deployments),
                "flow_runs_completed_1d": self.prefect.completed,
                "flow_runs_failed_1d": self.prefect.failed,
            }
            if self.prefect.worker_silent_s is not None:
                out["worker_silent_s"] = self.prefect.worker_silent_s
        if self.store is not None:
            out |= {
                "sheet_lag_s": self.store.sheet_lag_s,
                "outbox_age_s": self.store.outbox_age_s,
                "inbox_waiting": self.store.inbox_waiting,
                "responses_1d": self.store.responses,
                "messages_1d": self.store.messages,
                "slots_missed": sum(one.missed for one in self.store.slots),
            }
            if self.store.bot_silent_s is not None:
                out["bot_silent_s"] = self.store.bot_silent_s
            if self.store.monitor_silent_s is not None:
                out["monitor_silent_s"] = self.store.monitor_silent_s
        if self.clearml is not None:
            out |= {
                "spool_waiting": self.clearml.spool_waiting,
                "spool_refused": self.clearml.refused,
                "runs_lost": self.clearml.lost,
            }
        return out
