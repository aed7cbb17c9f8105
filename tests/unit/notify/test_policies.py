"""Policies as versioned objects, people drawn to them, and what the draw shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.notify.comparison import LEAST_PEOPLE, Lived, Measured, compared, measured, verdict
from flows.notify.policies import Comparison, InUse, Policies, arm
from flows.notify.policy import Policy

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_policy_survives_the_registry():
    """What is read back is what was written, digest and all."""
    policy = replace(Policy(), variant="bold", per_day=3, order=("summary", "missed"), charts=())
    assert Policy.from_json(policy.to_json()) == policy
    assert Policy.from_json(policy.to_json()).digest == policy.digest != Policy().digest


@pytest.mark.parametrize(
    "text",
    [
        '{"nope": 1}',
        '{"order": ["horoscope"]}',
        '{"quiet_from": "late"}',
        '{"min_days": 1}',
        '{"per_day": -1}',
        '{"per_day": "2"}',
        '{"unusual_p": NaN}',
        "[]",
        "{",
    ],
)
def test_a_policy_nobody_can_follow_is_refused(text):
    """Unknown fields and kinds, times and limits that are none, and what is no policy at all."""
    with pytest.raises((ValueError, TypeError)):
        Policy.from_json(text)


def test_an_installation_may_only_lower_the_daily_limit():
    """Its own limit holds where it is lower."""
    assert Policy(per_day=2).limited(1).per_day == 1
    assert Policy(per_day=2).limited(9).per_day == 2


@given(st.text(min_size=1), st.lists(st.integers(1, 99).map(str), min_size=2, max_size=4, unique=True))
def test_a_draw_is_the_same_whenever_it_is_asked(person, arms):
    """The arm depends on the person and the comparison's name alone."""
    assert arm(person, Comparison("a", tuple(arms))) == arm(person, Comparison("a", tuple(arms))) in arms


def test_arms_are_equally_likely_and_drawn_anew_by_another_name():
    """A thousand people split evenly; a second comparison does not repeat the first one's split."""
    people = [f"p{k:016x}" for k in range(1000)]
    first, second = ([arm(p, Comparison(name, ("1", "2"))) for p in people] for name in ("one", "two"))
    assert 430 < Counter(first)["1"] < 570
    assert 430 < sum(a == b for a, b in zip(first, second, strict=True)) < 570


def test_without_a_comparison_everybody_has_the_champion():
    """And an arm the store does not know falls to the champion too."""
    champion = InUse(Policy(), "id", "1")
    assert Policies(champion).of("p") is champion
    assert Policies(champion, Comparison("x", ("8", "9"))).of("p") is champion


def test_one_persons_numbers():
    """Of prompts within a day of an insight: share answered and median wait; the day after next to the day before."""
    lived = Lived(
        "p",
        "1",
        [AT],
        [(AT + timedelta(hours=1), AT + timedelta(hours=1, minutes=10)), (AT + timedelta(hours=5), None), (AT + timedelta(hours=30), AT + timedelta(hours=31))],
        [(AT - timedelta(hours=3), 4.0), (AT + timedelta(hours=3), 9.0), (AT + timedelta(hours=26), 3.0)],
    )  # fmt: skip
    assert measured(lived, "negative") == Measured("p", "1", 0.5, 10.0, 1.0)
    assert measured(lived, "positive").next_day_change == -1.0
    assert measured(replace(lived, told=[]), "negative") == Measured("p", "1", None, None, None)


def arms(rate_a: float, rate_b: float, n: int, day_b: float = 0.0) -> list[Measured]:
    rng = np.random.default_rng(3)
    return [
        Measured(f"{v}{k}", v, float(rng.normal(r, 0.1)), 10.0, float(rng.normal(d, 0.5)))
        for v, r, d in (("1", rate_a, 0.0), ("2", rate_b, day_b))
        for k in range(n)
    ]


@pytest.mark.parametrize(
    ("people", "earned", "why"),
    [
        (arms(0.5, 0.7, 60), True, "more answers"),
        (arms(0.5, 0.5, 60), False, "no more answers"),
        (arms(0.5, 0.9, LEAST_PEOPLE - 1), False, "fewer than"),
        (arms(0.5, 0.7, 60, day_b=-2.0), False, "next day may be worse"),
    ],
)
def test_a_challenger_is_promoted_only_when_it_has_earned_it(people, earned, why):
    """More answers beyond chance, enough people, and no worse a day."""
    got, reason = verdict(compared(people, "1", "2"), span=6.0)
    assert (got, why in reason) == (earned, True)


def test_differences_agree_with_scipy():
    """Welch's interval against `scipy.stats.ttest_ind`."""
    from scipy import stats

    people = arms(0.5, 0.6, 40)
    a, b = ([m.response_rate for m in people if m.arm == v] for v in ("1", "2"))
    reference = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    rate = compared(people, "1", "2")[0]
    assert (rate.low, rate.high) == pytest.approx((reference.low, reference.high))


def test_equal_policies_are_rarely_told_apart():
    """Of 400 comparisons of two equal policies at most some 2.5% find the challenger better."""
    rng = np.random.default_rng(1)
    wins = 0
    for _ in range(400):
        people = [
            Measured(f"{v}{k}", v, float(rng.binomial(8, 0.6)) / 8, 10.0, 0.0) for v in ("1", "2") for k in range(30)
        ]
        wins += verdict(compared(people, "1", "2"), 6.0)[0]
    assert wins / 400 <= 0.05
