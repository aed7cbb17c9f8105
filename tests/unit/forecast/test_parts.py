"""Combination, intervals, risk, promotion and drift: each does what it promises on data whose truth is known."""

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from flows.analyse.drift import item_drift, stability
from flows.forecast.card import card
from flows.forecast.intervals import TRUST, Conformal, fit_conformal, winkler
from flows.forecast.model import MoodModel, Next, fit_model, forecast_next
from flows.forecast.outcome import Outcome, health
from flows.forecast.promotion import compare
from flows.forecast.risk import Evidence, Risk, _line, columns, days_of, fit_risk, judge, operating_point
from flows.forecast.settle import settle
from flows.forecast.stack import fit_stack
from flows.monitor.drift import assess

_spec = importlib.util.spec_from_file_location("forecast_data", Path(__file__).with_name("data.py"))
data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(data)
study = data.study

pytestmark = pytest.mark.xdist_group("forecast")


def test_the_stack_is_online_least_squares():
    """The combination's weights equal those of Bayesian least squares recomputed from scratch after each answer."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    rows = np.ones(60, dtype=bool)
    stack = fit_stack(y, x, np.zeros(60), 1.0, rows)
    found = stack.predict(np.zeros(60, dtype=np.int64), y, x, np.zeros(60), 1.0, rows)
    prior = stack.strength * stack.moment
    for t in (0, 1, 20, 59):
        gram, moment = prior + x[:t].T @ x[:t], prior @ stack.weights + x[:t].T @ y[:t]
        assert found[t] == pytest.approx(x[t] @ np.linalg.solve(gram, moment), abs=1e-6)


def test_online_correction_covers_whatever_the_series_does():
    """Intervals that are far too narrow at first, on a series whose spread trebles, cover 80% within three points."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=3000) * np.where(np.arange(3000) < 1500, 1, 3)
    zero, one = np.zeros(3000), np.ones(3000)
    low, high = Conformal(0.0).apply(zero.astype(int), y, zero, zero, one, (-99, 99), np.ones(3000, dtype=bool))
    assert np.mean((y >= low) & (y <= high)) == pytest.approx(0.8, abs=0.03)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1, 7), min_size=3, max_size=40), st.floats(-2, 4))
def test_intervals_are_in_order_and_on_the_scale(values, start):
    """Whatever the correction, the lower end is never above the upper one and neither leaves the scale."""
    y = np.array(values)
    low, high = Conformal(start).apply(
        np.zeros(len(y), dtype=int), y, y - 0.5, y + 0.5, np.ones(len(y)), (1.0, 7.0), np.ones(len(y), dtype=bool)
    )
    assert np.all((low <= high) & (low >= 1) & (high <= 7))


def test_the_shared_correction_is_the_conformal_quantile():
    """With intervals of no width the starting correction is the share `TRUST` of the 80% quantile of the errors."""
    y = np.arange(-50, 51) / 10
    zero = np.zeros(101)
    found = fit_conformal(y, zero, zero, np.ones(101), np.ones(101, dtype=bool)).start
    assert np.mean(np.abs(y) <= found / TRUST) == pytest.approx(0.81, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(1, 7)), min_size=1, max_size=60), st.floats(1, 7), st.floats(0.1, 3))
def test_a_median_settles_on_answers_given_before(answers, forecast, spread):
    """A settled forecast is the forecast itself or an answer its person gave before, at most half a spread away; the
    answers to come change nothing of it.
    """
    y = np.array([np.nan if a is None else float(a) for a in answers])
    code, ones = np.zeros(len(y), dtype=np.int64), np.ones(len(y))
    found = settle(code, y, forecast * ones, spread * ones)
    for k, value in enumerate(found):
        before = {v for v in y[:k] if np.isfinite(v)}
        assert value == forecast or (value in before and abs(value - forecast) <= spread / 2 + 1e-12)
    half = len(y) // 2
    other = np.concatenate([y[:half], 8 - y[half:]])
    np.testing.assert_array_equal(settle(code, other, forecast * ones, spread * ones)[: half + 1], found[: half + 1])


def test_winkler_by_hand():
    """An interval of width 2 costs 2 where it holds and ten times the distance more where it does not."""
    assert winkler(np.array([0.0, 3.0]), np.array([-1.0, -1.0]), np.array([1.0, 1.0])) == pytest.approx((2 + 22) / 2)


def test_the_calibration_slope_is_a_logistic_regression():
    """The slope equals that of scikit-learn's unpenalised logistic regression of outcomes on log odds."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=800)
    y = (rng.random(800) < 1 / (1 + np.exp(-0.7 * z))).astype(float)
    expected = LogisticRegression(C=np.inf).fit(z[:, None], y).coef_[0, 0]
    assert _line(z, y, np.ones(800))[1] == pytest.approx(expected, rel=1e-3)


def test_evidence_tells_good_from_bad():
    """A true forecast is found good and calibrated; an over-confident one and the base rate itself are not used."""
    rng = np.random.default_rng(4)
    who = np.repeat(np.arange(80), 25)
    z = rng.normal(-1.5, 1.3, 2000)
    p = 1 / (1 + np.exp(-z))
    y = (rng.random(2000) < p).astype(float)
    base = np.full(2000, y.mean())
    assert judge(y, p, base, who).holds
    assert not judge(y, 1 / (1 + np.exp(-3 * z)), base, who).holds
    assert not judge(y, base + 1e-3 * rng.normal(size=2000), base, who).holds


def test_the_operating_point_keeps_its_precision():
    """Above the operating point at least the share asked for is right; where that cannot be, there is no point."""
    rng = np.random.default_rng(4)
    p = rng.random(3000) ** 2
    y = (rng.random(3000) < p).astype(float)
    alarm, precision, _ = operating_point(y, p, 0.7)
    assert y[p >= alarm].mean() == pytest.approx(precision)
    assert precision >= 0.7
    assert np.isnan(operating_point(np.zeros(100), rng.random(100))[0])


EVIDENCE = Evidence(40, 800, 120, 0.1, 0.12, 0.1, 0.01, 0.2, 1.0, 0.8, 1.2, ((0.1, 0.1, 80),), 0.5, 0.6, 0.2)


def test_risk_needs_people_and_low_days():
    """With too few people or too few low days there is no risk model."""
    assert fit_risk([study(people=5)], negative=True) is None


def test_noise_is_not_promoted_and_gain_is():
    """Of 100 challengers that are as good as the champion at most six are promoted; one that is better is, always."""
    rng = np.random.default_rng(5)
    code = np.repeat(np.arange(40), 30)
    y = rng.normal(size=1200)
    champion = rng.normal(0, 0.7, 1200)
    wrongly = sum(compare(code, y, rng.permutation(champion), champion, seed=k).promote for k in range(100))
    assert wrongly <= 6
    verdict = compare(code, y, 0.3 * y, champion)
    assert verdict.promote
    assert "promoted" in verdict.reason
    assert compare(code[:60], y[:60], 0.3 * y[:60], champion[:60]).promote is False


@pytest.fixture(scope="module")
def model():
    return fit_model(study(people=20, days=16), "hash", negative=True)


def test_a_saved_version_forecasts_the_same(model, tmp_path):
    """A version read back from its file gives the same forecasts; people are served from their fourth response."""
    panel = study(seed=8, people=4)
    panel = panel.take((panel.code != 3) | (panel.day % 12 < 1))
    few = panel.take((panel.code != 3) | (np.cumsum(panel.code == 3) <= 2))
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    ahead = [Next(f"p{k}", at, 493_000.0, 13, 1) for k in range(4)]
    days = {f"p{k}": 12 for k in range(4)}
    read = MoodModel.load(model.save(tmp_path / "m.pkl"))
    one = forecast_next(model, few, ahead, days, model_id="m", version=3)
    two = forecast_next(read, few, ahead, days, model_id="m", version=3)
    assert one == two
    assert [f.person for f in one] == ["p0", "p1", "p2"]
    for f in one:
        assert 1 <= f.low <= f.high <= 7
        assert 1 <= f.mean <= 7
        assert f.model_version == 3


@pytest.mark.parametrize(
    ("skill_low", "slope", "used"),
    [(0.01, (0.8, 1.2), True), (-0.01, (0.8, 1.2), False), (0.01, (1.1, 1.6), False), (0.01, (0.3, 0.9), False)],
)
def test_a_risk_model_that_was_not_shown_to_hold_is_not_used_and_says_so(model, skill_low, slope, used):
    """Without a Brier skill above 0 and a slope interval over 1 forecasts carry no risk, and the card says why."""
    width = len(columns(days_of(study(seed=8, people=4), negative=True))[0])
    evidence = replace(EVIDENCE, skill_low=skill_low, slope_low=slope[0], slope_high=slope[1])
    line = LogisticRegression().fit(np.random.default_rng(0).normal(size=(40, width)), np.arange(40) % 2)
    risk = Risk(line, np.ones(width), (0.4, 0.2), negative=True, evidence=evidence)
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    made = forecast_next(
        replace(model, risk=risk), study(seed=8, people=4), [Next(f"p{k}", at, 493_000.0, 13, 1) for k in range(4)],
        {f"p{k}": 12 for k in range(4)}, model_id="m", version=1,
    )  # fmt: skip
    assert {f.low_risk is not None for f in made} == {used}
    said = "It is used." if used else "It is not used: it was not shown to be better than the base rate."
    assert said in card(model.ensemble, None, risk, {}, "kept")


def test_a_registered_version_holds_nobody(model):
    """Nothing in a version's candidates is kept per person."""
    assert all(not getattr(m, "own", {}) for m in model.ensemble.models.values())


def test_the_card_says_what_was_not_shown(model):
    """The card names what it is for, what was not shown, and that it is no diagnosis."""
    text = card(model.ensemble, None, None, {"target": "na"}, "kept")
    assert "Too few answers for a backtest" in text
    assert "Not a diagnosis" in text
    assert "Nothing is said about risk" in text


def frame_of(panel):
    table = pd.DataFrame({"person": panel.persons[panel.code], "na": panel.y})
    table["slot_at"] = pd.to_datetime(panel.hour * 3600, unit="s", utc=True)
    return table


def test_drift_is_found_and_seldom_imagined():
    """A shift of one point in the last week is found; over 60 studies without one, at most two are."""
    false = sum(item_drift(frame_of(study(seed=k, days=21)), ["na"])[0].drifts for k in range(60))
    assert false <= 2
    panel = study(seed=9, days=21)
    moved = replace(panel, y=panel.y + 1.2 * ((panel.day % 21) >= 14))
    assert item_drift(frame_of(moved), ["na"])[0].drifts


def test_stability_of_equal_distributions_is_small():
    """The population stability index is near zero for equal distributions and large for shifted ones."""
    rng = np.random.default_rng(7)
    old = rng.normal(size=3000)
    assert stability(old, rng.normal(size=3000)) < 0.02
    assert stability(old, rng.normal(1, 1, size=3000)) > 0.25


def test_bad_forecasts_call_for_training():
    """Errors half as large again as in the backtest, or intervals that hold half the time, ask for a new version."""
    rng = np.random.default_rng(6)

    def outcomes(scale, share):
        return [
            Outcome(f"p{k % 25}", abs(rng.normal(0, scale)) * np.sqrt(np.pi / 2), bool(rng.random() < share))
            for k in range(500)
        ]

    assert not assess((), health(outcomes(1.0, 0.8), 1.0)).retrain
    assert "errors" in assess((), health(outcomes(1.5, 0.8), 1.0)).reasons[0]
    assert "intervals" in assess((), health(outcomes(1.0, 0.5), 1.0)).reasons[0]
