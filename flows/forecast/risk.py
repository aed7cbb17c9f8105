"""Probability that the coming day falls below a person's own threshold: a logistic model on day means.

A low day is one whose mean is more than one of the person's usual spreads on the unpleasant side of the person's mean
so far. The model is used only where it was shown to be better than the base rate and calibrated on people it had not
seen; otherwise the product says nothing about risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from flows.analyse.panel import Floats, Ints, Mask, Panel, run_starts
from flows.forecast.history import History, Prior, history, prior_of

MIN_DAYS = 4
"""Days of a person before anything is said."""

MIN_EVENTS = 40
"""Low days below which no model is fitted."""

FOLDS = 5
PRECISION = 0.5
"""Least share of alarms that must have been right at the operating point."""

DRAWS = 500


@dataclass(frozen=True, eq=False)
class Days:
    """Day means as a panel of one beep a day, their features, and whether each day was low (nan: not known)."""

    panel: Panel
    history: History
    low: Floats

    @property
    def known(self) -> Mask:
        """Days to learn from or to judge by."""
        return np.isfinite(self.low) & (self.history.seen >= MIN_DAYS)


def days_of(panel: Panel, *, negative: bool, prior: Prior | None = None) -> Days:
    """Day means with features from the days before.

    Parameters
    ----------
    panel
        Beeps; a day without answers has features and no outcome.
    negative
        Whether a high value is the unpleasant one.
    prior
        Of day means; from the panel itself without it.
    """
    starts = run_starts(panel.day)
    size = np.diff(starts, append=len(panel))
    group = np.repeat(np.arange(len(starts)), size)
    there = np.isfinite(panel.y)
    n = np.bincount(group[there], minlength=len(starts))
    total = np.bincount(group[there], weights=panel.y[there], minlength=len(starts))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, total / n, np.nan)
    sign = 1.0 if negative else -1.0
    daily = replace(
        panel, code=panel.code[starts], day=np.arange(len(starts)), beep=np.ones(len(starts), dtype=np.int64),
        hour=np.full(len(starts), np.nan), late=np.full(len(starts), np.nan), y=sign * mean,
        items=np.zeros((len(starts), 0)), names=(), scale=_turned(panel.scale, sign),
    )  # fmt: skip
    past = history(daily, prior or prior_of(daily))
    low = np.where(np.isfinite(daily.y), (daily.y > past.centre + past.spread).astype(float), np.nan)
    return Days(daily, past, low)


def _turned(scale: tuple[float, float], sign: float) -> tuple[float, float]:
    return scale if sign > 0 else (-scale[1], -scale[0])


def columns(days: Days) -> Floats:
    """Features of each day, free of units, shape (n, f)."""
    h = days.history
    spread = h.spread[:, None]
    so_far = _rate_so_far(days)
    place = np.column_stack([(h.centre - days.panel.scale[0]), (days.panel.scale[1] - h.centre)]) / spread
    return np.hstack(
        [np.clip(h.values / spread, -4, 4), h.context[:, 4:], np.minimum(place, 5), logit(so_far)[:, None]]
    )


def _rate_so_far(days: Days) -> Floats:
    """Share of the person's days before this one that were low, drawn to one in seven by seven days."""
    event = np.nan_to_num(days.low)
    first = run_starts(days.panel.code)
    size = np.diff(first, append=len(event))
    total, known = np.cumsum(event) - event, np.cumsum(np.isfinite(days.low)) - np.isfinite(days.low)
    before = total - np.repeat(total[first], size)
    n = known - np.repeat(known[first], size)
    rate: Floats = (before + 1.0) / (n + 7.0)
    return rate


@dataclass(frozen=True, eq=False)
class Evidence:
    """What held-out people say about the model.

    Attributes
    ----------
    people, days, events
        What it was judged on.
    brier, base
        Brier score of the model and of the base rate of the people learnt from.
    skill, skill_low, skill_high
        1 - brier / base, with the 95% interval over resampled people.
    slope, slope_low, slope_high
        Calibration slope (Cox 1958): 1 is calibrated, below 1 is over-confident.
    curve
        Calibration curve: mean forecast, share of low days and number of days in each tenth of the forecasts.
    alarm, precision, recall
        Operating point: probability from which to warn, the share of warnings that were right, and of low days
        warned of. nan where no point has enough precision.
    """

    people: int
    days: int
    events: int
    brier: float
    base: float
    skill: float
    skill_low: float
    skill_high: float
    slope: float
    slope_low: float
    slope_high: float
    curve: tuple[tuple[float, float, int], ...]
    alarm: float
    precision: float
    recall: float

    @property
    def holds(self) -> bool:
        """Whether the product may use the model: better than the base rate, and calibrated, beyond doubt."""
        return self.skill_low > 0 and self.slope_low <= 1 <= self.slope_high


@dataclass(frozen=True, eq=False)
class Risk:
    """A fitted risk model and the evidence for it."""

    model: LogisticRegression
    size: Floats
    prior: tuple[float, float]
    negative: bool
    evidence: Evidence

    def predict(self, panel: Panel) -> Floats:
        """Probability that the last day of each person is low, shape (p,); nan with too few days before it."""
        lo, hi = _turned(panel.scale, 1.0 if self.negative else -1.0)
        prior = Prior(lo + self.prior[0] * (hi - lo), self.prior[1] * (hi - lo))
        days = days_of(panel, negative=self.negative, prior=prior)
        out = np.full(len(panel.persons), np.nan)
        first = run_starts(days.panel.code)
        last = np.append(first[1:], len(days.low)) - 1
        rows = last[days.history.seen[last] >= MIN_DAYS]
        if len(rows):
            part = Days(days.panel, days.history, days.low)
            out[days.panel.code[rows]] = self.model.predict_proba(columns(part)[rows] / self.size)[:, 1]
        return out


def fit_risk(panels: Sequence[Panel], *, negative: bool, seed: int = 0) -> Risk | None:
    """Fit the model and judge it on people left out in turn.

    Returns
    -------
    Risk or None
        None with fewer than ten people or too few low days; otherwise with its evidence, good or bad.
    """
    sets = [days_of(p, negative=negative) for p in panels]
    xs, ys, who = _stacked(sets)
    if len(np.unique(who)) < 2 * FOLDS or ys.sum() < MIN_EVENTS:
        return None
    size = np.sqrt(np.mean(xs * xs, axis=0)) + 1e-9
    forecast, base = _held_out(xs / size, ys, who, seed)
    evidence = judge(ys, forecast, base, who, seed=seed)
    model = _logistic().fit(xs / size, ys)
    place, width = [], []
    for days in sets:
        lo, hi = days.panel.scale
        prior = prior_of(days.panel)
        place.append((prior.mean - lo) / (hi - lo))
        width.append(prior.sd / (hi - lo))
    return Risk(model, size, (float(np.mean(place)), float(np.mean(width))), negative, evidence)


def _logistic() -> LogisticRegression:
    return LogisticRegression(C=0.02, max_iter=500, solver="newton-cholesky")


def _stacked(sets: Sequence[Days]) -> tuple[Floats, Floats, Ints]:
    xs, ys, who, shift = [], [], [], 0
    for days in sets:
        rows = days.known
        xs.append(columns(days)[rows])
        ys.append(days.low[rows])
        who.append(days.panel.code[rows] + shift)
        shift += len(days.panel.persons)
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(who)


def _held_out(x: Floats, y: Floats, who: Ints, seed: int) -> tuple[Floats, Floats]:
    """Forecasts for people left out in turn, and the base rate of those learnt from."""
    people = np.unique(who)
    fold = np.random.default_rng(seed).permutation(np.arange(len(people)) % FOLDS)
    number = fold[np.searchsorted(people, who)]
    forecast, base = np.empty(len(y)), np.empty(len(y))
    for k in range(FOLDS):
        learn = number != k
        forecast[~learn] = _logistic().fit(x[learn], y[learn]).predict_proba(x[~learn])[:, 1]
        base[~learn] = y[learn].mean()
    return forecast, base


def judge(y: Floats, forecast: Floats, base: Floats, who: Ints, *, seed: int = 0) -> Evidence:
    """Brier skill, calibration and operating point, with intervals over resampled people."""
    _, code = np.unique(who, return_inverse=True)
    people = int(code.max()) + 1
    mine, theirs = (np.bincount(code, weights=(y - f) ** 2) for f in (forecast, base))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(people, np.full(people, 1 / people), size=DRAWS)
    skills = 1 - (draws @ mine) / (draws @ theirs)
    z = logit(np.clip(forecast, 1e-6, 1 - 1e-6))
    line = _line(z, y, np.ones(len(y)))
    slopes = [_line(z, y, d[code], line)[1] for d in draws[:200]]
    alarm, precision, recall = operating_point(y, forecast)
    return Evidence(
        people=people, days=len(y), events=int(y.sum()), brier=float(np.mean((y - forecast) ** 2)),
        base=float(np.mean((y - base) ** 2)), skill=float(1 - mine.sum() / theirs.sum()),
        skill_low=float(np.quantile(skills, 0.025)), skill_high=float(np.quantile(skills, 0.975)),
        slope=float(line[1]), slope_low=float(np.quantile(slopes, 0.025)),
        slope_high=float(np.quantile(slopes, 0.975)), curve=_curve(y, forecast), alarm=alarm, precision=precision,
        recall=recall,
    )  # fmt: skip


def _line(z: Floats, y: Floats, weight: Floats, start: Floats | None = None) -> Floats:
    """Intercept and slope of a logistic regression of the outcome on the log odds forecast, by Newton's method."""
    # from the slope forecast, Newton's method would run away where forecasts are over-confident
    beta = np.zeros(2) if start is None else start
    for _ in range(25):
        p = expit(beta[0] + beta[1] * z)
        away, pull = weight * (y - p), weight * p * (1 - p)
        cross = float(pull @ z)
        curvature = np.array([[pull.sum(), cross], [cross, float(pull @ (z * z))]]) + 1e-9 * np.eye(2)
        move = np.linalg.solve(curvature, np.array([away.sum(), float(away @ z)]))
        beta = beta + move
        if np.abs(move).max() < 1e-8:
            break
    return np.asarray(beta, dtype=np.float64)


def _curve(y: Floats, forecast: Floats) -> tuple[tuple[float, float, int], ...]:
    parts = np.array_split(np.argsort(forecast, kind="stable"), 10)
    return tuple((float(forecast[p].mean()), float(y[p].mean()), len(p)) for p in parts if len(p))


def operating_point(y: Floats, forecast: Floats, precision: float = PRECISION) -> tuple[float, float, float]:
    """The lowest probability from which enough of the warnings are right, over twenty warnings or more."""
    order = np.argsort(-forecast, kind="stable")
    right = np.cumsum(y[order])
    share = right / np.arange(1, len(y) + 1)
    good = np.flatnonzero((share >= precision) & (np.arange(1, len(y) + 1) >= 20))
    if not len(good):
        return float("nan"), float("nan"), float("nan")
    last = int(good[-1])
    return float(forecast[order][last]), float(share[last]), float(right[last] / max(y.sum(), 1))
