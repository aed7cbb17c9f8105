"""Which answers send help at once: a rule and not a judgement, so that nothing can overrule it.

An item is watched where its survey says so (`[items.safety]` with `at_or_below` or `at_or_above`). A survey that says
so of no item at all is watched by derivation: the worst end of every numeric scale whose polarity is known.
Free text is compared with a list of phrases, whatever the item.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flows.safety.phrases import says
from flows.survey.definition import Item, Safety, Survey

WORST_SHARE = 0.02
"""Share of a scale's range that counts as its worst end where a survey states no rule: one step of a slider, and
only the last point of a Likert scale."""

GRADED = frozenset({"likert", "slider", "number"})
"""Scales with a worst end; yes and no is an event, not a depth."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An answer at or below `low`, or at or above `high`, is very low."""

    low: float = -math.inf
    high: float = math.inf

    def met(self, value: float) -> bool:
        """Whether `value` is beyond a bound; a NaN never is."""
        return value <= self.low or value >= self.high


@dataclass(frozen=True, slots=True)
class SafetyHit:
    """An answer asked for help. It carries no answer, so it may be logged and counted."""

    item: str
    reason: Literal["low_answer", "phrase"]


def check(survey: Survey, answers: Mapping[str, object]) -> SafetyHit | None:
    """First answer, in the survey's order, that the safety rule is about.

    Parameters
    ----------
    survey
        The definition the answers belong to.
    answers
        Item id to value or text, as far as answered. Ids the survey lacks are read as free text only.

    Returns
    -------
    SafetyHit or None
        None where no answer meets a bound and no text holds a listed phrase.
    """
    bounds = watched(survey)
    order = [item.id for item in survey.items]
    for name in sorted(answers, key=lambda n: (order.index(n) if n in order else len(order), n)):
        hit = _judge(name, answers[name], bounds.get(name))
        if hit is not None:
            return hit
    return None


def check_words(words: str) -> SafetyHit | None:
    """Check what somebody wrote that is no answer to anything."""
    return SafetyHit("words", "phrase") if says(words) else None


def watched(survey: Survey) -> dict[str, Bounds]:
    """Bounds of every watched item of `survey`, by item id."""
    stated = {item.id: _stated(item.safety) for item in survey.items if item.safety is not None}
    if stated:
        return stated
    derived = {item.id: _derived(item) for item in survey.items}
    return {name: bounds for name, bounds in derived.items() if bounds is not None}


def _judge(name: str, value: object, bounds: Bounds | None) -> SafetyHit | None:
    number = _number(value)
    if bounds is not None and number is not None and bounds.met(number):
        return SafetyHit(name, "low_answer")
    if isinstance(value, str) and says(value):
        return SafetyHit(name, "phrase")
    return None


def _stated(threshold: Safety) -> Bounds:
    low, high = threshold.at_or_below, threshold.at_or_above
    return Bounds(-math.inf if low is None else low, math.inf if high is None else high)


def _derived(item: Item) -> Bounds | None:
    lo, hi = item.scale.lo, item.scale.hi
    if lo is None or hi is None or item.scale.kind not in GRADED or item.polarity not in {"positive", "negative"}:
        return None
    margin = WORST_SHARE * (hi - lo)
    return Bounds(low=lo + margin) if item.polarity == "positive" else Bounds(high=hi - margin)


def _number(value: object) -> float | None:
    """Read a number an answer gives, also where it came as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value.strip().replace(",", ".")) if isinstance(value, str) else float(value)
    except ValueError:
        return None
