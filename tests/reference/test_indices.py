"""Indices equal numbers that come from elsewhere: other libraries, a plain loop, sums done by hand."""

import numpy as np
import pandas as pd
import pingouin
import pytest
from scipy import stats
from statsmodels.tsa.stattools import acovf

from flows.analyse.indices import FIRST, indices, relative_sd
from flows.analyse.panel import Panel
from flows.analyse.warning import kendall, rolling


def panel(y, day=None, beep=None, code=None, items=None, hour=None, scale=(1.0, 7.0)):
    y = np.asarray(y, dtype=float)
    n = len(y)
    code = np.zeros(n, dtype=np.int64) if code is None else np.asarray(code)
    items = np.zeros((n, 0)) if items is None else np.asarray(items, dtype=float)
    return Panel(
        persons=np.array([f"p{k}" for k in range(code.max(initial=0) + 1)], dtype=object), code=code,
        day=np.zeros(n, dtype=np.int64) if day is None else np.asarray(day),
        beep=np.arange(1, n + 1) if beep is None else np.asarray(beep),
        hour=np.full(n, np.nan) if hour is None else np.asarray(hour, dtype=float), late=np.full(n, np.nan), y=y,
        items=items, names=tuple(f"i{k}" for k in range(items.shape[1])), scale=scale, target="na",
    )  # fmt: skip


def study(seed=0, people=8, days=12, beeps=6):
    """Uneven synthetic data: answers missing at random, some people on the floor often."""
    rng = np.random.default_rng(seed)
    rows = [(p, p * 100 + d, b) for p in range(people) for d in range(days) for b in range(1, beeps + 1)]
    code, day, beep = np.array(rows).T
    level = rng.uniform(0.5, 4, people)[code]
    items = np.clip(
        np.round(level[:, None] + rng.normal(0, 1.2, (len(code), 4)) + rng.normal(0, 1, (len(code), 1))), 1, 7
    )
    items[rng.random(len(code)) < 0.25] = np.nan
    hour = day * 24 + 7 + 2.5 * beep + rng.uniform(-0.5, 0.5, len(code))
    return panel(items.mean(axis=1), day, beep, code, items, hour)


def row(p):
    return indices(p).iloc[0]


def test_the_first_columns_are_the_ones_scripts_read():
    """The table begins with the columns other people's scripts rely on, in their order."""
    assert tuple(indices(study()).columns[: len(FIRST)]) == FIRST


def test_a_plain_loop_gives_the_same():
    """Level, spread, instability, acute change and inertia equal a loop in pandas over people, to 1e-10."""
    p = study()
    frame = pd.DataFrame({"code": p.code, "day": p.day, "beep": p.beep, "y": p.y})
    frame["before"] = frame.groupby(["code", "day"])["y"].shift(1)
    pairs = frame.dropna()
    cut = np.quantile(np.abs(pairs["y"] - pairs["before"]), 0.9)
    found = indices(p).set_index("person")
    for code, mine in frame.groupby("code"):
        two = pairs[pairs["code"] == code]
        step = two["y"] - two["before"]
        line = stats.linregress(two["before"], two["y"])
        expected = {
            "n": mine["y"].count(), "n_pairs": len(two), "mean": mine["y"].mean(), "sd": mine["y"].std(),
            "mssd": (step**2).mean(), "rmssd": np.sqrt((step**2).mean()), "pac": (step >= cut).mean(),
            "inertia": line.slope, "autocorrelation": line.rvalue,
        }  # fmt: skip
        for name, value in expected.items():
            assert found.loc[f"p{code}", name] == pytest.approx(value, rel=1e-10, abs=1e-12), name


def test_differentiation_is_one_minus_pingouins_icc():
    """Differentiation equals 1 - ICC(A,k) of pingouin for every person, to 1e-8."""
    p = study()
    found = indices(p).set_index("person")["differentiation"]
    for code in range(len(p.persons)):
        items = p.items[(p.code == code) & np.isfinite(p.items).all(axis=1)]
        long = pd.DataFrame(items).melt(var_name="item", value_name="x", ignore_index=False).reset_index(names="when")
        table = pingouin.intraclass_corr(long, targets="when", raters="item", ratings="x").set_index("Type")
        column = "ICC2k" if "ICC2k" in table.index else "ICC(A,k)"
        assert found[f"p{code}"] == pytest.approx(1 - table.loc[column, "ICC"], abs=1e-8)


@pytest.mark.parametrize(("n", "total"), [(4, 9), (5, 17), (6, 12), (7, 40)])
def test_the_largest_sd_is_found_by_trying_all(n, total):
    """The maximum SD behind relative SD equals the largest over every possible set of answers with that mean."""
    from itertools import combinations_with_replacement

    sets = [s for s in combinations_with_replacement(range(1, 8), n) if sum(s) == total]
    largest = max(np.std(s, ddof=1) for s in sets)
    found = relative_sd(np.array([1.0]), np.array([total / n]), np.array([n]), (1.0, 7.0))[0]
    assert 1 / found == pytest.approx(largest, rel=1e-12)


def test_by_hand():
    """Answers 1 3 2 | 5 5 7 4 on two days: mean 27/7, squared steps 4 1 | 0 4 9, three of them rises or falls of one."""
    p = panel([1, 3, 2, 5, 5, 7, 4], [0, 0, 0, 1, 1, 1, 1], [1, 2, 3, 1, 2, 3, 4])
    from flows.analyse.indices import six

    found = six(p.code, p.day, p.beep, p.y, p.scale, 1, min_pairs=1)
    assert found["n_pairs"][0] == 5
    assert found["mean"][0] == pytest.approx(27 / 7)
    assert found["sd"][0] == pytest.approx(np.sqrt((129 - 27**2 / 7) / 6))
    assert found["mssd"][0] == pytest.approx(18 / 5)
    # |steps| 2 1 0 2 3: their 90th percentile is 2.6, and only a fall passes it
    assert found["pac"][0] == 0


def test_no_pair_over_night_or_over_a_missed_beep():
    """A skipped beep, an unanswered one and a night each break the chain."""
    p = panel([1, 2, np.nan, 4, 5, 6], [0, 0, 0, 0, 0, 1], [1, 2, 3, 4, 6, 7])
    assert row(p)["n_pairs"] == 1


def test_a_constant_series():
    """A constant series has an SD of exactly zero and no inertia; mid-scale its relative SD is zero too."""
    found = row(panel([1.28571 + 2] * 40))
    assert (found["sd"], found["rel_sd"], found["mssd"], found["pac"]) == (0, 0, 0, 0)
    assert np.isnan(found["inertia"])


def test_all_on_the_floor():
    """All answers on the floor: SD zero and relative SD undefined, for no other answers have that mean."""
    found = row(panel([1.0] * 20))
    assert found["sd"] == 0
    assert np.isnan(found["rel_sd"])
    assert found["floor_share"] == 1


def test_two_answers_and_one():
    """Two answers give level and SD and, below ten pairs, no index of change; one answer gives a level only."""
    two, one = row(panel([2, 4])), row(panel([2]))
    assert (two["mean"], two["sd"], two["n_pairs"]) == (3, pytest.approx(np.sqrt(2)), 1)
    assert np.isnan([two["mssd"], two["rmssd"], two["pac"], two["inertia"]]).all()
    assert one["mean"] == 2
    assert np.isnan([one["sd"], one["rel_sd"]]).all()


def test_one_missing_day_changes_no_pair_of_the_others():
    """Taking out one day takes out its pairs and nothing else."""
    p = study(people=1)
    gone = p.take(p.day != 5)
    kept = np.isfinite(p.y)
    inside = kept[1:] & kept[:-1] & (p.day[1:] == p.day[:-1]) & (p.day[1:] == 5)
    assert row(p)["n_pairs"] - row(gone)["n_pairs"] == inside.sum()


def test_nobody_answered():
    """A person without answers has a row with n = 0, and everything else empty."""
    p = panel([np.nan] * 5 + [2, 3], code=[0] * 5 + [1] * 2)
    found = indices(p).iloc[0]
    assert found["n"] == 0
    assert np.isnan(found["mean"])


def test_rolling_windows_equal_other_libraries():
    """Rolling variance equals pandas, rolling autocorrelation statsmodels, and tau scipy, to 1e-9."""
    rng = np.random.default_rng(3)
    y = np.round(np.cumsum(rng.normal(size=90)), 1)
    variance, autocorrelation, last = rolling(np.zeros(90, dtype=np.int64), y, np.array([45]))
    assert variance == pytest.approx(pd.Series(y).rolling(45).var().dropna().to_numpy(), rel=1e-9)
    for k, end in enumerate(last):
        c = acovf(y[end - 44 : end + 1], nlag=1, fft=False)
        assert autocorrelation[k] == pytest.approx(c[1] / c[0], rel=1e-9)
    tau = kendall(np.zeros(len(last), dtype=np.int64), variance, 1)[0]
    assert tau == pytest.approx(stats.kendalltau(np.arange(len(last)), variance).statistic, rel=1e-9)
    rounded = np.round(variance, 1)  # with ties; and beside other people, whose pairs are compared another way
    both = kendall(np.repeat([0, 1], len(last)), np.concatenate([rounded, variance]), 2)
    assert both[1] == pytest.approx(tau, rel=1e-12)
    assert both[0] == pytest.approx(kendall(np.zeros(len(last), dtype=np.int64), rounded, 1)[0], rel=1e-12)
    assert both[0] == pytest.approx(stats.kendalltau(np.arange(len(last)), rounded).statistic, rel=1e-9)


def test_cosinor_equals_least_squares():
    """Amplitude and peak of the daily rhythm equal numpy's least squares, to 1e-9."""
    p = study(people=2)
    found = indices(p).set_index("person")
    for code in range(2):
        rows = (p.code == code) & np.isfinite(p.y)
        angle = 2 * np.pi * p.hour[rows] / 24
        design = np.column_stack([np.ones(rows.sum()), np.cos(angle), np.sin(angle)])
        beta = np.linalg.lstsq(design, p.y[rows], rcond=None)[0]
        assert found.loc[f"p{code}", "daily_amplitude"] == pytest.approx(np.hypot(*beta[1:]), rel=1e-9)
        peak = (np.arctan2(beta[2], beta[1]) * 24 / (2 * np.pi)) % 24
        assert found.loc[f"p{code}", "daily_peak"] == pytest.approx(peak, rel=1e-9)


def test_weekday_check_equals_an_analysis_of_variance():
    """The weekly rhythm's p-value is that of scipy's one-way analysis of variance over day means."""
    rng = np.random.default_rng(5)
    days = np.repeat(np.arange(28), 3)
    y = rng.normal(4, 1, len(days)) + (days % 7 == 2)
    p = panel(y, days, np.tile([1, 2, 3], 28), hour=days * 24 + np.tile([9, 13, 18], 28))
    means = pd.Series(y).groupby(days).mean()
    groups = [means[means.index % 7 == k] for k in range(7)]
    assert row(p)["weekly_p"] == pytest.approx(stats.f_oneway(*groups).pvalue, rel=1e-9)


def test_rhythm_is_rarely_found_where_there_is_none():
    """Over 600 people with inertia and no rhythm, at most 4% pass the daily check at 1%."""
    rng = np.random.default_rng(11)
    people, days, beeps = 600, 20, 6
    code = np.repeat(np.arange(people), days * beeps)
    day = np.repeat(np.arange(people * days), beeps)
    beep = np.tile(np.arange(1, beeps + 1), people * days)
    noise = rng.normal(size=len(code))
    y = np.empty(len(code))
    for b in range(beeps):
        y[b::beeps] = noise[b::beeps] if b == 0 else 0.5 * y[b - 1 :: beeps] + noise[b::beeps]
    hour = (day % days) * 24 + 8 + 2.3 * beep
    found = indices(panel(y, day, beep, code, hour=hour, scale=(-9.0, 9.0)))
    assert (found["daily_p"] < 0.01).mean() <= 0.04


def test_intervals_hold_the_truth():
    """Over 400 people alike, 95% intervals of mean, SD, MSSD and inertia hold the true value 88-99% of times."""
    rng = np.random.default_rng(2)
    people, days, beeps, phi = 400, 25, 8, 0.4
    shape = (people * days, beeps)
    y = np.empty(shape)
    y[:, 0] = rng.normal(0, 1 / np.sqrt(1 - phi**2), shape[0])
    for b in range(1, beeps):
        y[:, b] = phi * y[:, b - 1] + rng.normal(size=shape[0])
    code = np.repeat(np.arange(people), days * beeps)
    day = np.repeat(np.arange(people * days), beeps)
    found = indices(panel(y.ravel(), day, np.tile(np.arange(1, beeps + 1), people * days), code, scale=(-9.0, 9.0)))
    variance = 1 / (1 - phi**2)
    for name, truth in {"mean": 0, "sd": np.sqrt(variance), "mssd": 2 * variance * (1 - phi), "inertia": phi}.items():
        inside = (found[f"{name}_low"] <= truth) & (truth <= found[f"{name}_high"])
        assert 0.88 <= inside.mean() <= 0.99, name


def test_adjusted_instability_does_not_depend_on_the_gap():
    """For a random walk, whose steps grow with the gap, adjusting makes people with long and short gaps alike."""
    rng = np.random.default_rng(4)
    gaps = np.repeat([1.0, 4.0], 400)
    code = np.repeat([0, 1], 400)
    y = np.cumsum(rng.normal(size=800) * np.sqrt(gaps))
    p = panel(
        y,
        np.zeros(800, dtype=int) + code,
        np.tile(np.arange(1, 401), 2),
        code,
        hour=np.cumsum(gaps),
        scale=(-500.0, 500.0),
    )
    found = indices(p)
    assert found["mssd"][1] / found["mssd"][0] > 3
    assert found["mssd_adjusted"][1] / found["mssd_adjusted"][0] == pytest.approx(1, abs=0.25)
