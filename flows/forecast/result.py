"""What forecasting hands on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one person is expected to answer at the next beep.

    Attributes
    ----------
    person, target
        Pseudonym; name of the target, e.g. "na".
    at
        Time of the beep forecast (aware, UTC).
    mean, median
        Two different outputs: `mean` is the best guess by squared error, `median` by absolute error.
    low, high
        Ends of the interval that holds the answer with probability `coverage`.
    model_id, model_version
        Of the registry.
    low_risk
        Probability that the coming day falls below the person's own threshold; None where the risk model has not
        been shown to be better than the base rate, or the person has answered too little.
    coverage
        Nominal coverage of the interval.
    """

    person: str
    target: str
    at: datetime
    mean: float
    median: float
    low: float
    high: float
    model_id: str
    model_version: int
    low_risk: float | None = None
    coverage: float = 0.8


class Forecasts(Sequence[Forecast]):
    """Everybody's forecasts of one cycle.

    Neither a list nor a dataclass: of those Prefect writes every value into its database as a flow's parameter, refuses
    the run beyond half a megabyte (some two thousand people), and looks through all of it at each call. Of this one it
    keeps the name, and hands it on as it is.
    """

    __slots__ = ("_made",)

    def __init__(self, made: Iterable[Forecast]) -> None:
        self._made = tuple(made)

    @overload
    def __getitem__(self, at: int) -> Forecast: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Forecast, ...]: ...
    def __getitem__(self, at: int | slice) -> Forecast | tuple[Forecast, ...]:
        """The forecasts at a place."""
        return self._made[at]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._made)
