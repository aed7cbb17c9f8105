"""Change and trend: how often stable people are told of one, and how soon a real shift is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.analyse import calibration, change
from flows.analyse.calibration import stable, summed
from flows.analyse.change import CHANGE_ALPHA, TREND_ALPHA, changes_of, detect, shift_statistics, threshold, trends_of
from flows.analyse.daily import Days, daily

FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
PEOPLE = 4000 if FULL else 800
DATA = Path(os.environ.get("MOODFLOW_SHARED", Path(__file__).parents[2].parent / "shared")) / "data"
STUDIES = {
    "fried2021.csv": 79,
    "mpath_example.csv": 18,
    "geschwind2011_bringmann2013.csv": 130,
    "kossakowski2017.csv": 1,
}


def told(days: Days) -> tuple[np.ndarray, np.ndarray]:
    """Who is ever told of a change, and of a trend."""
    return np.array([f is not None for f in changes_of(days)]), np.array([f is not None for f in trends_of(days)])


def first_told(days: Days) -> np.ndarray:
    """Day after which a change is first told, 999 for never."""
    z, phi, per_day = shift_statistics(days)
    passed = (z > threshold("change", phi, per_day, np.arange(1, z.shape[1] + 1)[None, :, None])).any(axis=2)
    return np.where(passed.any(axis=1), passed.argmax(axis=1) + 1, 999)


def beyond_chance(share: float, n: int) -> float:
    """The most a true `share` shows in `n` people in 999 of 1000 simulations."""
    return share + 3.1 * np.sqrt(share * (1 - share) / n)


@pytest.mark.campaign
@pytest.mark.parametrize("per_day", [3, 4, 10])
@pytest.mark.parametrize(("inertia", "night"), [(0.0, 0), (0.4, 0), (0.4, 1), (0.7, 1)])
def test_stable_people_are_told_of_nothing(inertia, night, per_day):
    """Over a whole study of four weeks at most 5% of people whose level never changes hear of a change or a trend."""
    days = summed(
        stable(PEOPLE, 28, per_day, inertia, night, np.random.default_rng([7, per_day, round(10 * inertia), night])),
        per_day,
    )
    changed, drifted = told(days)
    assert CHANGE_ALPHA + TREND_ALPHA <= 0.05
    assert (changed | drifted).mean() <= beyond_chance(0.05, PEOPLE)


@pytest.mark.campaign
def test_the_thresholds_are_made_by_the_documented_command():
    """Simulated anew, the row for ten beeps is the file's: to the digit in full, to what 500 people can tell in short."""
    shipped = change._table()["change"]["early"][calibration.PER_DAY.index(10)]
    simulated = calibration.early(calibration._shifts, CHANGE_ALPHA, 10, calibration.PEOPLE if FULL else 500)
    assert simulated == pytest.approx(shipped, rel=0 if FULL else 0.1)


@pytest.mark.campaign
@pytest.mark.parametrize("night", [0.0, 0.5, 1.0])
def test_a_shift_of_one_standard_deviation_is_told_within_five_days(night):
    """28 days of ten beeps, inertia .4, shift from day 15: at least 80% are told by the end of day 19, of any nights."""
    x = stable(PEOPLE, 28, 10, 0.4, night, np.random.default_rng([8, round(10 * night)]))
    x[:, 140:] += 1
    share = (first_told(summed(x, 10)) <= 19).mean()
    assert share >= 0.8, share


@pytest.mark.campaign
def test_of_four_beeps_a_day_the_figure_is_what_is_documented():
    """With 4 beeps a day about 27% are told within five days and half within two weeks: too few to promise more."""
    x = stable(PEOPLE, 28, 4, 0.4, 1, np.random.default_rng(9))
    x[:, 56:] += 1
    days = first_told(summed(x, 4))
    assert (days <= 19).mean() == pytest.approx(0.27, abs=0.06)
    assert (days <= 28).mean() == pytest.approx(0.46, abs=0.07)


@pytest.mark.campaign
@pytest.mark.study
@pytest.mark.skipif(
    not DATA.is_dir(), reason="the studies lie beside the checkout (MOODFLOW_SHARED); they are not part of it"
)
@pytest.mark.parametrize("name", STUDIES)
def test_surrogates_fitted_to_real_people_are_told_of_nothing(name):
    """Autoregressions with each person's own level, spread, inertia and gaps, on the scale's steps: at most 5% are told."""
    frame = pd.read_csv(DATA / name)
    frame = frame[np.isfinite(frame["na"])].copy()
    if "is_evening" in frame:
        frame = frame[frame["is_evening"] == 0]
    frame["period"] = frame.get("period", 0)
    frame = frame.sort_values(["person", "period", "day", "beep"], kind="stable")
    rng = np.random.default_rng(10)
    repeats = {1: 400 if FULL else 60}.get(STUDIES[name], 20 if FULL else 4)
    found = []
    for _ in range(repeats):
        surrogate = frame.assign(
            na=np.concatenate([_surrogate(g, rng) for _, g in frame.groupby("person", sort=False)])
        )
        surrogate["slot_at"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(
            np.arange(len(surrogate)), unit="min"
        )
        found += [a is not None or b is not None for a, b in detect(surrogate, "na").values()]
    assert len(found) == repeats * frame["person"].nunique()
    assert np.mean(found) <= beyond_chance(0.05, len(found)), np.mean(found)


def _surrogate(rows: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """A first-order autoregression over a person's answers, as stable as it is alike."""
    y = rows["na"].to_numpy()
    if len(y) < 5 or y.std() == 0:
        return y
    z = (y - y.mean()) / y.std()
    same = (np.diff(rows["day"]) == 0) & (np.diff(rows["beep"]) == 1)
    pairs = z[:-1][same], z[1:][same]
    phi = (
        float(np.clip(np.corrcoef(*pairs)[0, 1], 0, 0.85))
        if same.sum() > 10 and min(p.std() for p in pairs) > 0
        else 0.3
    )
    x = rng.standard_normal(len(y))
    for t in range(1, len(y)):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi**2) * x[t]
    return np.clip(y.mean() + y.std() * x, y.min(), y.max())


def frame_of(x: np.ndarray, per_day: int) -> pd.DataFrame:
    people, n = x.shape
    day = np.tile(np.arange(n) // per_day, people)
    return pd.DataFrame(
        {
            "person": np.repeat([f"p{k}" for k in range(people)], n),
            "day": day,
            "beep": np.tile(np.arange(n) % per_day, people),
            "slot_at": pd.Timestamp("2026-03-02 07:00", tz="UTC")
            + pd.to_timedelta(np.tile(np.arange(n), people) % per_day + 24 * day, unit="h"),
            "na": x.ravel(),
        }
    )


def shifted(size: float = 3.0) -> pd.DataFrame:
    x = stable(6, 28, 6, 0.3, 0.5, np.random.default_rng(3))
    x[:3, 14 * 6 :] += size
    return frame_of(x, 6)


def test_a_change_says_when_from_and_to_what():
    """Its time is the first answer after the shift, its levels those of the answers on either side."""
    found = detect(shifted(), "na")
    for person in ("p0", "p1", "p2"):
        point, _ = found[person]
        assert point is not None
        assert abs((point.at - pd.Timestamp("2026-03-16 07:00", tz="UTC")).days) <= 1
        assert point.n_before + point.n_after == 28 * 6
        assert point.after - point.before == pytest.approx(3, abs=0.7)
        assert 0 < point.p_value <= CHANGE_ALPHA


def test_a_slow_drift_is_told_as_a_trend():
    """A steady rise of four standard deviations over four weeks has a slope of one a week inside its interval."""
    x = stable(5, 28, 8, 0.3, 0.5, np.random.default_rng(4)) + np.linspace(0, 4, 224)
    for _, trend in detect(frame_of(x, 8), "na").values():
        assert trend is not None
        assert trend.per_week.low <= 1 <= trend.per_week.high
        assert (trend.end - trend.start).days >= 20


def test_a_person_alone_gets_what_they_get_among_others():
    """Nobody's result depends on who else is in the frame, nor on how people are ordered or cut into parts."""
    frame = shifted()
    together = detect(frame, "na")
    for person, both in together.items():
        assert detect(frame[frame["person"] == person], "na") == {person: both}
    assert detect(frame.iloc[::-1].sort_values(["day", "beep"], kind="stable"), "na") == together
    whole, change._CHUNK = change._CHUNK, 2
    try:
        assert detect(frame, "na") == together
    finally:
        change._CHUNK = whole


def test_what_was_told_stays_told():
    """As days are added, a change once detected does not move and does not vanish."""
    frame = shifted()
    seen = None
    for last in range(13, 28):
        point, _ = detect(frame[frame["day"] <= last], "na")["p0"]
        if seen is not None:
            assert point is not None
            assert point.at == seen
        seen = point.at if point else seen
    assert seen is not None


@pytest.mark.parametrize("values", [[], [1.0], [2.0] * 200, [float("nan")] * 50])
def test_too_little_or_too_flat_is_no_change(values):
    """Few answers, none, or ones that never differ: nothing is claimed and nothing raises."""
    frame = frame_of(np.array([values]).reshape(1, -1), 5) if values else frame_of(np.zeros((1, 0)), 5)
    assert all(both == (None, None) for both in detect(frame, "na").values())


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.integers(0, 10))
def test_units_do_not_matter(offset, factor, seed):
    """Another zero or unit of the scale changes no decision."""
    frame = frame_of(stable(1, 20, 4, 0.3, 1, np.random.default_rng(seed)) + np.repeat([0, 2.0], 40), 4)
    (point, trend), (other, drift) = (
        detect(f, "na")["p0"] for f in (frame, frame.assign(na=offset + factor * frame["na"]))
    )
    assert (point is None, trend is None) == (other is None, drift is None)
    if point is not None and other is not None:
        assert (point.at, point.n_after) == (other.at, other.n_after)
        assert other.after == pytest.approx(offset + factor * point.after, rel=1e-6, abs=1e-6)


def test_simulated_sums_are_those_of_answers():
    """The calibration's shortcut for complete series gives what the procedure itself sums from rows."""
    x = stable(3, 6, 4, 0.4, 0.5, np.random.default_rng(2))
    fresh = np.tile(np.arange(24) % 4 == 0, 3)
    short, long = summed(x, 4), daily(np.repeat(np.arange(3), 24), fresh, ~fresh, x.ravel())
    assert np.allclose(short.sums, long.sums)
    assert np.array_equal(short.count, long.count)
    assert np.allclose(short.offset, long.offset)


def test_daily_sums_are_plain_sums():
    """Counts, sums and products a day adds, against a loop."""
    rng = np.random.default_rng(0)
    days = np.sort(rng.integers(0, 5, 30))
    beeps = np.concatenate([np.sort(rng.choice(12, (days == d).sum(), replace=False)) for d in range(5)])
    fresh = np.r_[True, days[1:] != days[:-1]]
    step = np.r_[0, np.diff(beeps)]
    x = rng.normal(5, 2, 30)
    got = daily(np.zeros(30, dtype=int), fresh, step == 1, x)
    z = x - x.mean()
    for place, d in enumerate(np.unique(days)):
        rows = np.flatnonzero(days == d)
        pairs = [r for r in rows if not fresh[r] and step[r] == 1]
        assert got.sums[0, place, 0] == len(rows)
        assert got.sums[0, place, 2] == pytest.approx((z[rows] ** 2).sum())
        assert got.sums[0, place, 5] == len(pairs)
        assert got.sums[0, place, 10] == pytest.approx(sum(z[r] * z[r - 1] for r in pairs))
    assert got.offset[0] == pytest.approx(x.mean())
    assert replace(got, offset=got.offset).count[0] == len(np.unique(days))
