"""What user code may add to the record of the run it is in."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clearml_utils import capture as cap

if TYPE_CHECKING:
    from clearml_utils.recorder import Recorder

Capture = Literal["full", "summary", "none"]
SINGLE_VALUE_ITERATION = -(2**31)
_BUFFER = 500
_TEXT_LIMIT = 60_000


class Record:
    """The ClearML side of one Prefect run.

    Every method but `flush` and `wait_for_id` returns at once: it writes to a local queue, and threads of this process
    store and deliver. Nothing here raises because ClearML is away, and nothing raises because of a value that cannot be
    recorded, unless the run is `strict`.

    Attributes
    ----------
    run
        Prefect's id of the run this belongs to.
    policy
        `full`, `summary` or `none`; it governs what is recorded without asking. What is asked for here is recorded.
    """

    def __init__(self, recorder: Recorder, run: str, *, policy: Capture = "full", strict: bool = False) -> None:
        self.run, self.policy, self.strict = run, policy, strict
        self._recorder = recorder
        self._items: list[tuple[str, dict[str, Any]]] = []
        self._count = 0
        self._guard = threading.Lock()
        self._last_log = 0
        self.attempts = 0
        self.outcome: dict[str, Any] | None = None
        self.extra: dict[str, str] = {}
        self.started = time.time()
        self.order = 0

    # What a user calls

    def scalar(self, title: str, series: str, value: float, iteration: int = 0) -> None:
        """One point of the curve `series` in the plot `title`; NaN and infinities become a text that says so."""
        number = self._number(f"{title}/{series} at iteration {iteration}", value)
        if number is not None:
            self._event("training_stats_scalar", metric=title, variant=series, value=number, iter=int(iteration))

    def values(self, numbers: Mapping[str, float]) -> None:
        """Single numbers of this run, shown in the `Summary` table and comparable between runs."""
        for name, value in numbers.items():
            number = self._number(name, value)
            if number is not None:
                self._event(
                    "training_stats_scalar", metric="Summary", variant=name, value=number, iter=SINGLE_VALUE_ITERATION
                )

    def table(self, title: str, df: Any, series: str = "table", iteration: int = 0) -> None:
        """The first rows of a DataFrame (or list of rows, header first) among the plots."""
        self._plot(title, series, lambda: cap.table_plot(df, self._recorder.options.table_rows, title), iteration)

    def figure(self, title: str, fig: Any, series: str = "figure", iteration: int = 0) -> None:
        """A matplotlib or plotly figure among the plots."""
        kind = cap.kind_of(fig)
        if kind == "matplotlib":
            self._guarded("figure", lambda: self._blob_plot(title, series, cap.matplotlib_png(fig), iteration))
            return
        self._plot(title, series, lambda: cap.plotly_json(fig), iteration)

    def text(self, text: str, level: str = "info") -> None:
        """A line in the console log."""
        clean = self._recorder.redactor.text(str(text))[:_TEXT_LIMIT]
        with self._guard:
            stamp = max(int(time.time() * 1000), self._last_log + 1)  # distinct, so that a line is known by its time
            self._last_log = stamp
        self._event("log", level=level, msg=clean, timestamp=stamp)

    def artifact(self, name: str, value: Any) -> None:
        """Store a file (`pathlib.Path`), or a DataFrame, array, dict, text or other picklable value, as an artifact."""
        made = self._guarded(f"artifact {name}", lambda: cap.artifact_of(name, value, self._recorder.options))
        if made is None:
            return
        for note in made.notes:
            self.text(note, "warning")
        self._recorder.add_artifact(self, made)

    def model(
        self,
        name: str,
        model: Any,
        *,
        framework: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        """An output model of this run: a fitted estimator, or the `Path` of a file. For versions see `registry`."""
        made = self._guarded(f"model {name}", lambda: cap.model_of(name, model, self._recorder.options))
        if made is None:
            return
        for note in made.notes:
            self.text(note, "warning")
        extra = {"framework": framework or made.framework, "metadata": dict(metadata or {}), "tags": list(tags)}
        self._recorder.add_artifact(self, made, kind="model", extra=extra)

    def tag(self, *tags: str) -> None:
        """Add tags to the ClearML task."""
        self.keep("edit", {"tags": list(tags)})

    def properties(self, **properties: Any) -> None:
        """Set user properties of the ClearML task."""
        clean = {k: str(self._recorder.redactor.value(k, v)) for k, v in properties.items()}
        self.keep("edit", {"hyperparams": {"properties": clean}})

    @property
    def task_id(self) -> str | None:
        """ClearML's id of the task; None until the first delivery, or for ever where nothing is recorded."""
        return self._recorder.clearml_id(self.run)

    def wait_for_id(self, timeout: float = 5.0) -> str | None:
        """`task_id`, waiting up to `timeout` seconds for delivery; None where ClearML stays away."""
        return self._recorder.wait_for_id(self.run, timeout)

    def __bool__(self) -> bool:
        return True

    # What the bridge calls

    def flush(self) -> None:
        """Write what is buffered into the spool; at the return it is safe against SIGKILL."""
        self.move()
        self._recorder.writer.write(self.run)

    def move(self) -> None:
        """Hand what is buffered to the writer."""
        with self._guard:  # held while it is added: what comes later must not overtake
            items, self._items, self._count = self._items, [], 0
            if items:
                self._recorder.add(self.run, items)

    def keep(self, kind: str, body: dict[str, Any]) -> None:
        """Buffer one thing to tell; the sender, or the end of the run, moves it on."""
        with self._guard:
            self._items.append((kind, body))

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Hand over what is buffered."""
        with self._guard:
            items, self._items, self._count = self._items, [], 0
            return items

    def result(self, value: Any, name: str = "result") -> None:
        """Record what the run returned, as its policy says."""
        self._guarded("result", lambda: cap.record_result(self, name, value))

    def note_failure(self, what: str, error: BaseException) -> None:
        """Say in the log that something could not be recorded; raise it where the run is strict."""
        reason = type(error).__name__ if self.policy != "full" else repr(error)[:500]
        self.text(f"not recorded: {what}: {reason}", "warning")
        if self.strict:
            from clearml_utils.errors import CaptureFailed  # noqa: PLC0415 - errors only

            raise CaptureFailed(
                f"{what} could not be recorded: {reason}", where=self.run, hint="Use capture='none', or strict=False."
            ) from error

    def _guarded(self, what: str, make: Any) -> Any:
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - values are the user's and may raise anything; the flow goes on
            self.note_failure(what, error)
            return None

    def _number(self, what: str, value: Any) -> float | None:
        """`value` as a number ClearML can keep, else a line that says what it is."""
        number: float | None = self._guarded(what, lambda: float(value))
        if number is not None and not math.isfinite(number):
            self.text(f"{what} is {number}: not a number ClearML can keep")
            return None
        return number

    def _plot(self, title: str, series: str, make: Any, iteration: int) -> None:
        plot = self._guarded(f"plot {title}", make)
        if plot is not None:
            self._event("plot", metric=title, variant=series, iter=int(iteration), plot_str=plot)

    def _blob_plot(self, title: str, series: str, png: bytes, iteration: int) -> None:
        self._recorder.add_image(self, title, series, png, iteration)

    def _event(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "timestamp": int(time.time() * 1000), **fields}
        with self._guard:
            if not self._items or self._items[-1][0] != "events":
                self._items.append(("events", {"events": []}))
            self._items[-1][1]["events"].append(event)
            self._count += 1
            full = self._count >= _BUFFER
        if full:
            self.move()


class NullRecord(Record):
    """The record outside a tracked run, or where recording is off: takes everything, keeps nothing, is false."""

    def __init__(self) -> None:
        self.run, self.policy, self.strict = "", "none", False
        self.attempts = 0
        self.outcome = None
        self.extra = {}

    def __bool__(self) -> bool:
        return False

    def scalar(self, title: str, series: str, value: float, iteration: int = 0) -> None:
        """Do nothing."""

    def values(self, numbers: Mapping[str, float]) -> None:
        """Do nothing."""

    def table(self, title: str, df: Any, series: str = "table", iteration: int = 0) -> None:
        """Do nothing."""

    def figure(self, title: str, fig: Any, series: str = "figure", iteration: int = 0) -> None:
        """Do nothing."""

    def text(self, text: str, level: str = "info") -> None:
        """Do nothing."""

    def artifact(self, name: str, value: Any) -> None:
        """Do nothing."""

    def model(
        self,
        name: str,
        model: Any,
        *,
        framework: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Do nothing."""

    def tag(self, *tags: str) -> None:
        """Do nothing."""

    def properties(self, **properties: Any) -> None:
        """Do nothing."""

    @property
    def task_id(self) -> str | None:
        """None: there is no ClearML task."""
        return None

    def wait_for_id(self, timeout: float = 5.0) -> str | None:  # noqa: ARG002 - the same signature
        """None, at once."""
        return None

    def flush(self) -> None:
        """Do nothing."""

    def keep(self, kind: str, body: dict[str, Any]) -> None:
        """Do nothing."""

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Nothing."""
        return []

    def result(self, value: Any, name: str = "result") -> None:
        """Do nothing."""


NULL = NullRecord()
__all__ = ["NULL", "SINGLE_VALUE_ITERATION", "Capture", "NullRecord", "Path", "Record"]
