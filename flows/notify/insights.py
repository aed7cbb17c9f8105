"""One function per insight: a person's report -> what to say with its evidence, or why not.

All are pure and see only finite numbers: an index that could not be estimated is a reason to stay silent.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from scipy import special

from flows.analyse.change import CHANGE_ALPHA
from flows.analyse.report import PersonReport
from flows.notify.context import Context, Send, Skip
from flows.notify.policy import Policy

RECENT = timedelta(days=10)
"""A change that began longer ago than this is no news."""

MILESTONES = (7, 14, 21, 28, 42, 56, 84, 112, 168, 252, 365)
"""Days in a row worth a word."""

_DAY = timedelta(days=1)

LEAST_PER_DAY = 3
"""Answers a day needs to have an average of its own."""


@dataclass(frozen=True)
class Seen:
    """A report as the insights read it, with its series by local day."""

    report: PersonReport
    context: Context
    policy: Policy
    zone: ZoneInfo

    @property
    def now(self) -> datetime:
        """Time of the decision."""
        return self.context.now

    @cached_property
    def today(self) -> date:
        """The person's date."""
        return self.now.astimezone(self.zone).date()

    @cached_property
    def answers(self) -> list[tuple[datetime, float]]:
        """Answers up to now in order of time; what is not a number is no answer."""
        now, finite = self.context.now, math.isfinite
        return sorted([one for one in self.report.series if finite(one[1]) and one[0] <= now], key=itemgetter(0))

    @cached_property
    def days(self) -> dict[date, list[float]]:
        """Answers by local day, days in order; looked up by where days end, as most days hold several answers."""
        times, values = [at for at, _ in self.answers], [value for _, value in self.answers]
        found: dict[date, list[float]] = {}
        day, first = times[0].astimezone(self.zone).date() if times else date.min, 0
        while first < len(times):
            past = bisect_left(times, _end(self.zone, day), first)
            if past > first:
                found[day] = values[first:past]
            first, day = past, day + _DAY
        return found

    @cached_property
    def means(self) -> dict[date, float]:
        """Average of every local day with answers, days in order."""
        return {day: _mean(values) for day, values in self.days.items()}

    def common(self) -> dict[str, Any]:
        """Facts every insight about a level carries."""
        lo, hi = self.report.scale
        facts: dict[str, Any] = {"polarity": self.report.polarity, "lo": float(lo), "hi": float(hi)}
        return facts | ({"label": self.context.label} if self.context.label else {})

    @cached_property
    def lacking(self) -> str | None:
        """Why nothing may be said about a level, None where there is enough."""
        if self.report.n_answers < self.policy.min_answers:
            return f"fewer than {self.policy.min_answers} answers"
        if len(self.days) < self.policy.min_days:
            return f"answers on fewer than {self.policy.min_days} days"
        lo, hi = self.report.scale
        return None if math.isfinite(lo) and math.isfinite(hi) and lo < hi else "scale unknown"


def change(seen: Seen) -> Send | Skip:
    """A lasting shift, told while it is news."""
    found = seen.report.change
    if found is None:
        return Skip("change", "no change detected")
    if seen.now - found.at > RECENT:
        return Skip("change", "the change is no news")
    if not _finite(found.before, found.after, found.p_value):
        return Skip("change", "level unknown")
    facts = {"at": _iso(found.at), "before": _number(found.before), "after": _number(found.after)}
    evidence = {
        "n_before": found.n_before,
        "n_after": found.n_after,
        "alpha": math.ceil(100 * CHANGE_ALPHA) / 100,
        "p": _number(found.p_value),
    }
    return Send("change", f"change:{found.at.date()}", {**seen.common(), **facts}, evidence)


def trend(seen: Seen) -> Send | Skip:
    """A drift over the last weeks; a change in the same stretch says it better."""
    found = seen.report.trend
    if found is None:
        return Skip("trend", "no trend detected")
    if seen.now - found.end > RECENT:
        return Skip("trend", "the trend is no news")
    shift = seen.report.change
    if shift is not None and shift.at >= found.start:
        return Skip("trend", "a change in the same stretch is told instead")
    slope = found.per_week
    if not _finite(slope.value, slope.low, slope.high, found.p_value):
        return Skip("trend", "slope unknown")
    facts = {"start": _iso(found.start), "end": _iso(found.end), "per_week": _number(slope.value)}
    evidence = {"n": slope.n, "low": _number(slope.low), "high": _number(slope.high), "p": _number(found.p_value)}
    return Send("trend", f"trend:{found.start.date()}", {**seen.common(), **facts}, evidence)


@dataclass(frozen=True, slots=True)
class DayAgainstUsual:
    """The last full day beside the days before it."""

    day: date
    value: float
    n: int
    usual: float
    low: float
    high: float
    p: float
    days: int


def last_day(seen: Seen, without: str | None = None) -> DayAgainstUsual | None:
    """Yesterday's mean against the distribution of earlier day means; None where it cannot be judged.

    `without` is a day (ISO) known not to have been usual. The probability is that of a new day at least as far from
    the usual (prediction by Student's t on day means).
    """
    yesterday = seen.today - _DAY
    if len(seen.days.get(yesterday, ())) < LEAST_PER_DAY:
        return None
    odd = date.fromisoformat(without) if without else yesterday
    full = [day for day, values in seen.days.items() if len(values) >= LEAST_PER_DAY]
    before = [seen.means[day] for day in full if day < yesterday and day != odd]
    n = len(before)
    if n < 7:
        return None
    usual, variance = _moments(before)
    if variance <= 0:
        return None
    error = math.sqrt(variance * (1 + 1 / n))
    value = seen.means[yesterday]
    p = 2 * float(special.stdtr(n - 1, -abs(value - usual) / error))
    reach = _quantile(n - 1, 0.9) * error
    lo, hi = seen.report.scale
    low, high = max(usual - reach, lo), min(usual + reach, hi)
    return DayAgainstUsual(yesterday, value, len(seen.days[yesterday]), usual, low, high, p, n)


def unusual_day(seen: Seen) -> Send | Skip:
    """Yesterday, far from the usual."""
    found = last_day(seen)
    if found is None:
        return Skip("unusual_day", "too few days with answers to know what is usual")
    if found.p > seen.policy.unusual_p:
        return Skip("unusual_day", "yesterday was within the usual")
    one_in = max(1, math.ceil(100 * found.p))
    evidence = {"n": found.n, "days": found.days, "p": _number(found.p), "one_in": one_in}
    return Send("unusual_day", f"unusual:{found.day}", {**seen.common(), **_day_facts(found)}, evidence)


def recovery(seen: Seen) -> Send | Skip:
    """Yesterday back in range after an unpleasant unusual day that was told."""
    told = [t for t in seen.context.told if t.kind == "unusual_day" and seen.now - t.at <= timedelta(days=7)]
    if not told:
        return Skip("recovery", "no unusual day to come back from")
    stood_out = told[-1]
    worse = stood_out.facts["value"] > stood_out.facts["usual"]
    if worse != (seen.report.polarity == "negative"):
        return Skip("recovery", "the unusual day was a pleasant one")
    found = last_day(seen, without=stood_out.facts["day"])
    if found is None or found.day.isoformat() <= stood_out.facts["day"]:
        return Skip("recovery", "no later day to compare with")
    if not found.low <= found.value <= found.high:
        return Skip("recovery", "not back in the usual range yet")
    facts = {**seen.common(), **_day_facts(found), "unusual": stood_out.facts["day"]}
    return Send("recovery", f"recovery:{stood_out.facts['day']}", facts, {"n": found.n, "days": found.days})


def rhythm(seen: Seen) -> Send | Skip:
    """A pattern by clock or weekday, only where significant and large enough to matter."""
    found = seen.report.rhythm
    if found is None:
        return Skip("rhythm", "no significant rhythm")
    if not _finite(found.amplitude, found.peak, found.explained, found.p_value):
        return Skip("rhythm", "rhythm unknown")
    if found.explained < seen.policy.rhythm_share:
        return Skip("rhythm", "the rhythm explains too little to be worth telling")
    first, last = _span(seen)
    facts = {
        "kind": found.kind,
        "amplitude": _number(found.amplitude),
        "peak": _number(found.peak),
        "explained": _number(found.explained),
        "start": first,
        "end": last,
    }
    evidence = {"n": found.n, "p": max(_number(found.p_value), 0.001)}
    return Send("rhythm", f"rhythm:{found.kind}", {**seen.common(), **facts}, evidence)


def summary(seen: Seen) -> Send | Skip:
    """The last seven full days with the uncertainty of their average, beside the days before."""
    end = seen.today - _DAY
    start = end - timedelta(days=6)
    week = [day for day in seen.days if start <= day <= end]
    n = sum([len(seen.days[day]) for day in week])
    if len(week) < seen.policy.min_days or n < 10:
        return Skip("summary", "too few answers in the last seven days")
    means = [seen.means[day] for day in week]
    value, variance = _moments(means)
    reach = _quantile(len(means) - 1, 0.975) * math.sqrt(variance / len(means))
    lo, hi = seen.report.scale
    earlier = [mean for day, mean in seen.means.items() if day < start]
    known = len(earlier) >= seen.policy.min_days
    usual, spread = _moments(earlier) if known else (0.0, 0.0)
    facts = {
        "start": week[0].isoformat(),
        "end": week[-1].isoformat(),
        "value": _number(value),
        "usual": _number(usual) if known else None,
        "differs": known and _welch(value - usual, variance, len(means), spread, len(earlier)) < 0.05,
    }
    evidence = {
        "n": n,
        "days": len(means),
        "low": _number(max(value - reach, lo)),
        "high": _number(min(value + reach, hi)),
    }
    return Send(
        "summary", f"summary:{end.isocalendar().year}-{end.isocalendar().week}", {**seen.common(), **facts}, evidence
    )


def forecast(seen: Seen) -> Send | Skip:
    """The next beep with its interval."""
    found = seen.context.forecast
    if found is None:
        return Skip("forecast", "no forecast")
    if seen.report.n_answers < seen.policy.forecast_answers:
        return Skip("forecast", f"fewer than {seen.policy.forecast_answers} answers")
    if found.at <= seen.now:
        return Skip("forecast", "the beep forecast is past")
    if not _finite(found.mean, found.low, found.high, found.coverage):
        return Skip("forecast", "forecast unknown")
    lo, hi = seen.report.scale
    low, mean, high = (min(max(x, lo), hi) for x in (found.low, found.mean, found.high))
    if high - low > 0.8 * (hi - lo):
        return Skip("forecast", "the interval says nothing")
    facts = {"at": _iso(found.at), "mean": _number(mean), "low": _number(low), "high": _number(high)}
    facts["coverage"] = _number(found.coverage)
    evidence = {"n": seen.report.n_answers, "model": found.model_id, "version": str(found.model_version)}
    return Send("forecast", f"forecast:{_iso(found.at)}", {**seen.common(), **facts}, evidence)


def streak(seen: Seen) -> Send | Skip:
    """Days in a row with at least one answer."""
    day = seen.today if seen.today in seen.days else seen.today - _DAY
    last, row = day, []
    for there in reversed(seen.days):
        if there == day:
            row.append(there)
            day -= _DAY
        elif there < day:
            break
    if len(row) not in MILESTONES:
        return Skip("streak", "no milestone")
    facts = {"days": len(row), "start": row[-1].isoformat(), "end": last.isoformat()}
    n = sum([len(seen.days[there]) for there in row])
    return Send("streak", f"streak:{facts['start']}:{len(row)}", facts, {"n": n})


def compliance(seen: Seen) -> Send | Skip:
    """How many check-ins were answered, as thanks; nobody is scolded."""
    prompts, share = seen.report.n_prompts, seen.report.compliance
    if prompts is None or share is None or not math.isfinite(share) or prompts < 20:
        return Skip("compliance", "too few check-ins to count")
    if share < 0.6:
        return Skip("compliance", "a low share is not held against anybody")
    if not seen.days:
        return Skip("compliance", "no answers")
    first, last = _span(seen)
    facts = {
        "answered": round(share * prompts),
        "prompts": prompts,
        "share": _number(share),
        "start": first,
        "end": last,
    }
    return Send("compliance", f"compliance:{prompts // 50}", facts, {"n": prompts})


INSIGHTS: Mapping[str, Callable[[Seen], Send | Skip]] = {
    "change": change,
    "trend": trend,
    "unusual_day": unusual_day,
    "recovery": recovery,
    "rhythm": rhythm,
    "summary": summary,
    "forecast": forecast,
    "streak": streak,
    "compliance": compliance,
}
LEVEL_KINDS = frozenset({"change", "trend", "unusual_day", "recovery", "rhythm", "summary", "forecast"})
"""Insights about a level, silent below the minimum n."""


@lru_cache(maxsize=4096)
def _end(zone: ZoneInfo, day: date) -> datetime:
    """When a local day is over, in UTC; a midnight that the clock skips is the moment it does."""
    return datetime.combine(day + _DAY, time.min, tzinfo=zone).astimezone(UTC)


def _day_facts(found: DayAgainstUsual) -> dict[str, Any]:
    numbers = {"value": found.value, "usual": found.usual, "low": found.low, "high": found.high}
    return {"day": found.day.isoformat(), **{name: _number(value) for name, value in numbers.items()}}


def _mean(values: Sequence[float]) -> float:
    """Plain sums: a week of days is too short for an array to pay."""
    return math.fsum(values) / len(values)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and variance (ddof 1) of at least two values."""
    middle = _mean(values)
    return middle, math.fsum([(value - middle) * (value - middle) for value in values]) / (len(values) - 1)


@lru_cache(maxsize=4096)
def _quantile(freedom: int, share: float) -> float:
    """Of Student's t; there are few lengths of weeks."""
    return float(special.stdtrit(freedom, share))


def _welch(gap: float, variance_a: float, n_a: int, variance_b: float, n_b: int) -> float:
    """Two-sided p of Welch's t-test (1947) for a difference of means; 1 where neither varies."""
    u, v = variance_a / n_a, variance_b / n_b
    if u + v == 0:
        return 1.0
    freedom = (u + v) ** 2 / (u * u / (n_a - 1) + v * v / (n_b - 1))
    return 2 * float(special.stdtr(freedom, -abs(gap) / math.sqrt(u + v)))


def _span(seen: Seen) -> tuple[str, str]:
    days = list(seen.days)
    return days[0].isoformat(), days[-1].isoformat()


def _finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def _number(value: float) -> float:
    """Six digits: what is kept as JSON is what is said."""
    return float(f"{value:.6g}")


def _iso(at: datetime) -> str:
    return at.isoformat()
