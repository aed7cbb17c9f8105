"""What analysis hands on: frozen values, one per person, from which messages are written.

Numbers here are on the scale of the answers. `nan` means "cannot be estimated from so few answers"; a message
must not mention such a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd

Polarity = Literal["negative", "positive"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval.

    Attributes
    ----------
    value, low, high
        Point estimate and ends of its 95% interval, nan where `n` is below the minimum of the index.
    n
        What it was estimated from: answers, or pairs of answers for indices of change.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there were answers enough."""
        return math.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A lasting shift of the level between two stretches of answers.

    Attributes
    ----------
    at
        Time of the first answer after the shift (aware, UTC).
    before, after
        Mean of the answers before and after it, on the answers' scale.
    n_before, n_after
        Answers on either side.
    p_value
        Probability of a shift at least as clear in a series without one, corrected for the places looked at.
    """

    at: datetime
    before: float
    after: float
    n_before: int
    n_after: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Trend:
    """A steady drift of the level over a window.

    Attributes
    ----------
    per_week
        Slope in scale points per week with its 95% interval; `n` counts answers.
    start, end
        First and last answer of the window (aware, UTC).
    p_value
        Probability of a slope at least as steep without a drift, allowing for carry-over between answers.
    """

    per_week: Estimate
    start: datetime
    end: datetime
    p_value: float


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A pattern by time of day or day of week that passed its significance check.

    Attributes
    ----------
    kind
        "daily" (cosinor) or "weekly" (weekday means).
    amplitude
        Half the distance between the highest and the lowest point, on the answers' scale.
    peak
        Where the target is highest: local hour 0-24 of a daily rhythm, weekday 0 (Monday) to 6 of a weekly one.
    explained
        Share of the person's variance it explains, 0-1.
    p_value
        Of the check, after correction for looking at both kinds.
    n
        Answers used.
    """

    kind: Literal["daily", "weekly"]
    amplitude: float
    peak: float
    explained: float
    p_value: float
    n: int


@dataclass(frozen=True, slots=True)
class PersonReport:
    """What is known about one person's target (one scale of the survey).

    Attributes
    ----------
    person, target
        Pseudonym; name of the target, e.g. "na".
    polarity
        "negative" where a high value is unpleasant.
    scale
        Lowest and highest possible value.
    timezone
        The person's timezone, an IANA name.
    data_hash
        Version of the data this was computed from.
    start, end
        First and last answer (aware, UTC); None where there is no answer.
    n_prompts
        Beeps that were due; None where the study does not say (event-contingent sampling).
    n_answers, n_pairs
        Answers with a value of the target; pairs of consecutive answered beeps of one day.
    level, sd, rmssd, inertia
        Mean, standard deviation, root mean square of successive differences, lag-1 autocorrelation.
    change, trend, rhythm
        None where the respective check did not pass.
    compliance
        Share of the beeps due that were answered, 0-1; None where `n_prompts` is.
    series
        (time, value) of every answer in order of time.
    """

    person: str
    target: str
    polarity: Polarity
    scale: tuple[float, float]
    timezone: str
    data_hash: str
    start: datetime | None
    end: datetime | None
    n_prompts: int | None
    n_answers: int
    n_pairs: int
    level: Estimate
    sd: Estimate
    rmssd: Estimate
    inertia: Estimate
    change: ChangePoint | None
    trend: Trend | None
    rhythm: Rhythm | None
    compliance: float | None
    series: tuple[tuple[datetime, float], ...]


class Analysis:
    """One run of the analysis over one study.

    Not a dataclass and without a `__dict__`: of those Prefect writes every field of a flow's parameters into its
    database as JSON, here everybody's answers, and looks through every value of every person at each call. Of this one
    it keeps the name, and hands it on as it is.

    Attributes
    ----------
    study, survey_version, target
        What was analysed.
    data_hash
        Version of the data.
    frame
        The typed rows (see `flows.analyse.frame`).
    quality
        Data-quality table: one row per rule with the number of rows it touched.
    indices
        One row per person (see `flows.analyse.indices`).
    reports
        One report per person, in the order of `indices`.
    """

    __slots__ = ("data_hash", "frame", "indices", "quality", "reports", "study", "survey_version", "target")

    def __init__(
        self,
        study: str,
        survey_version: str,
        target: str,
        data_hash: str,
        frame: pd.DataFrame,
        quality: pd.DataFrame,
        indices: pd.DataFrame,
        reports: tuple[PersonReport, ...],
    ) -> None:
        self.study, self.survey_version, self.target, self.data_hash = study, survey_version, target, data_hash
        self.frame, self.quality, self.indices, self.reports = frame, quality, indices, reports
