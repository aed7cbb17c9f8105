"""What forecasting hands on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
