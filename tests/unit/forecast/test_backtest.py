"""The backtest forecasts every test answer from what came before it, by models that never saw it."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.forecast import boosting, pooled
from flows.forecast.backtest import TooFewAnswers, backtest
from flows.forecast.candidates import Ewma, LastValue, MeanSoFar, Sample
from flows.forecast.catalogue import candidates
from flows.forecast.history import history, prior_of
from flows.forecast.split import eligible, split

_spec = importlib.util.spec_from_file_location("forecast_data", Path(__file__).with_name("data.py"))
data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(data)
study = data.study

pytestmark = pytest.mark.xdist_group("forecast")


@pytest.fixture(scope="module")
def panel():
    return study()


@pytest.fixture(scope="module")
def result(panel):
    return backtest(panel)


def sample_of(panel):
    parts = split(panel)
    prior = prior_of(panel.take(parts.train))
    return Sample(panel, history(panel, prior), prior, parts.train)


def test_the_split_is_by_each_persons_own_order(panel):
    """The test is the last 30% of each person's answers, after all of what is learnt from, nothing left over."""
    parts = split(panel)
    for code in range(len(panel.persons)):
        mine = np.flatnonzero((panel.code == code) & np.isfinite(panel.y))
        train, test = mine[parts.train[mine]], mine[parts.test[mine]]
        assert len(train) == int(0.7 * len(mine))
        assert len(train) + len(test) == len(mine)
        assert train.max() < test.min()


@pytest.mark.parametrize("name", [c.name for c in candidates(items=True)])
def test_shuffling_the_future_changes_nothing(panel, name):
    """Forecasts up to a moment are the same (to rounding) whatever is answered later, by every candidate."""
    candidate = next(c for c in candidates(items=True) if c.name == name)
    one = sample_of(panel)
    model = candidate.fit([one])
    rng = np.random.default_rng(1)
    first = np.searchsorted(panel.code, np.arange(len(panel.persons)))
    place = np.arange(len(panel)) - first[panel.code]
    later = place >= 55
    y, items = panel.y.copy(), panel.items.copy()
    for code in range(len(panel.persons)):
        rows = np.flatnonzero((panel.code == code) & later)
        mixed = rng.permutation(rows)
        y[rows], items[rows] = 8 - panel.y[mixed], 8 - panel.items[mixed]
    other = replace(panel, y=y, items=items)
    changed = Sample(other, history(other, one.prior), one.prior, one.fit)
    np.testing.assert_allclose(model.predict(one)[~later], model.predict(changed)[~later], rtol=0, atol=1e-9)
    after = place >= 57
    if name != "mean":
        assert not np.array_equal(model.predict(one)[after], model.predict(changed)[after])


def test_the_backtest_never_sees_a_test_answer_before_its_turn(panel, result):
    """Changing everybody's last test answer leaves every forecast, weight and interval as it was, its own included."""
    panel = eligible(panel)
    last = np.array([np.flatnonzero((panel.code == c) & np.isfinite(panel.y))[-1] for c in range(len(panel.persons))])
    y = panel.y.copy()
    y[last] = 8 - y[last]
    other = backtest(replace(panel, y=y))
    for name, values in result.forecasts.items():
        np.testing.assert_allclose(values, other.forecasts[name], rtol=0, atol=1e-9, err_msg=name)
    assert other.chosen == result.chosen


def test_ridge_is_that_of_scikit_learn_however_its_rows_are_parted(panel, monkeypatch):
    """Weights equal scikit-learn's Ridge at the penalty chosen, to 1e-8, and are the same when rows come in pieces."""
    from sklearn.linear_model import Ridge

    sample = sample_of(panel)
    model = pooled.RidgeLags(items=True).fit([sample])
    rows, _ = pooled.learnable(sample)
    x = pooled.linear_columns(sample.take(rows), items=True) / sample.unit
    x = np.column_stack([x, np.zeros(len(rows))])
    size = np.sqrt(np.mean(x * x, axis=0)) + 1e-9
    y = (panel.y - sample.history.centre)[rows] / sample.unit
    line = Ridge(alpha=model.penalty, fit_intercept=False).fit(x / size, y)
    np.testing.assert_allclose(model.weights, line.coef_ / size, rtol=0, atol=1e-8)
    monkeypatch.setattr(pooled, "BLOCK", 97)
    pieces = pooled.RidgeLags(items=True).fit([sample])
    np.testing.assert_allclose(pieces.weights, model.weights, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pieces.predict(sample), model.predict(sample), rtol=0, atol=1e-9)


def test_trees_on_levels_are_trees_on_values(panel):
    """Trees grown on the levels of the columns forecast what trees grown on the columns themselves do."""
    sample = sample_of(panel)
    chosen = boosting.Boosting("m", "absolute_error", rounds=15)
    table = boosting.Table.of([sample], None)
    rows, _ = pooled.learnable(sample)
    centre = sample.history.centre
    columns = boosting.tree_columns(sample, centre)
    raw = chosen._grown(15, columns[rows], table.away / table.spread, table.share)
    expected = centre + sample.history.spread * raw.predict(columns)
    np.testing.assert_allclose(chosen.fit([sample]).predict(sample)[rows], expected[rows], rtol=0, atol=1e-9)


def test_many_people_are_thinned_evenly(panel):
    """Beyond the rows asked for every so many people stay, with all of their rows and their own codes."""
    sample = sample_of(panel)
    few = sample.thinned(len(panel) // 4)
    kept = np.unique(few.panel.code)
    assert len(kept) == len(panel.persons) // 4
    np.testing.assert_array_equal(few.panel.y, panel.y[np.isin(panel.code, kept)])
    assert sample.thinned(len(panel)) is sample


def test_simple_candidates_equal_a_loop(panel):
    """Mean so far, last value and EWMA equal a loop over each person's answers."""
    sample = sample_of(panel)
    expected = {n: np.full(len(panel), np.nan) for n in ("mean", "last", "ewma")}
    for code in range(len(panel.persons)):
        seen, level = [], None
        for row in np.flatnonzero(panel.code == code):
            if seen:
                expected["mean"][row], expected["last"][row], expected["ewma"][row] = np.mean(seen), seen[-1], level
            if np.isfinite(panel.y[row]):
                seen.append(panel.y[row])
                level = seen[0] if level is None else level + max(0.3, 1 / len(seen)) * (seen[-1] - level)
    for model, name in ((MeanSoFar(), "mean"), (LastValue(), "last"), (Ewma(rate=0.3), "ewma")):
        rows = np.isfinite(expected[name])
        np.testing.assert_allclose(model.predict(sample)[rows], expected[name][rows], rtol=1e-12, err_msg=name)


def test_a_combination_beats_its_reference(result):
    """On data with inertia the chosen mean forecast has skill, and the interval covers about four in five."""
    assert result.scores[result.chosen["mean"]].skill > 0.1
    assert 0.72 <= result.intervals.coverage <= 0.88
    assert set(result.chosen.values()) <= set(result.scores)


def test_what_others_read_is_there(result):
    """The JSON has the names other people's scripts rely on."""
    out = result.as_dict()
    assert {"persons", "test_n", "methods", "chosen", "intervals"} <= set(out)
    assert all({"mae", "rmse", "skill", "wall_s"} <= set(m) for m in out["methods"].values())
    assert set(out["chosen"]) == {"mean", "median"}
    assert {"coverage", "person_p10_coverage", "winkler", "width"} <= set(out["intervals"])


def test_the_scale_does_not_matter(panel, result):
    """The same answers on a scale of 0-100 give the same skill."""
    wide = replace(panel, y=(panel.y - 1) / 6 * 100, items=(panel.items - 1) / 6 * 100, scale=(0.0, 100.0))
    other = backtest(wide)
    for name in ("stack", "filter_ridge", "eb_ar"):
        assert other.scores[name].skill == pytest.approx(result.scores[name].skill, abs=0.01), name


def test_other_studies_can_be_learnt_from(panel):
    """Fitted on other studies only, on another scale and with other items, there is skill all the same."""
    other = study(seed=5, scale=(0.0, 100.0))
    result = backtest(panel, [replace(other, names=("x", "y", "z"))])
    assert result.scores[result.chosen["mean"]].skill > 0.1
    assert "ridge_items" not in result.scores


def test_odd_studies_pass():
    """No clock, one person, a constant person: the backtest runs and reports finite numbers."""
    panel = study(seed=2, people=3, days=14)
    y = np.where((panel.code == 1) & np.isfinite(panel.y), 1.0, panel.y)
    odd = replace(panel, y=y, hour=np.full(len(panel), np.nan), names=(), items=np.zeros((len(panel), 0)))
    for part in (odd, odd.people([0])):
        found = backtest(part)
        assert all(np.isfinite([s.mae, s.rmse, s.skill]).all() for s in found.scores.values())


@pytest.mark.parametrize("kind", ["no pairs", "one long day", "all on the floor", "constant people"])
def test_studies_without_what_models_part_people_by_pass(kind):
    """Where no answer follows another in a day, where all do, or where nothing ever changes, forecasts are finite."""
    panel = study(seed=4, people=6, days=12, beeps=4)
    flat = np.where(np.isfinite(panel.y), 1.0 if kind == "all on the floor" else 1.0 + panel.code, np.nan)
    if kind == "no pairs":
        panel = replace(panel, day=np.arange(len(panel)), beep=np.ones(len(panel), dtype=np.int64))
    elif kind == "one long day":
        panel = replace(panel, day=panel.code, beep=np.arange(len(panel)) % 48 + 1)
    else:
        panel = replace(panel, y=flat)
    bare = replace(panel, names=(), items=np.zeros((len(panel), 0)), hour=np.full(len(panel), np.nan))
    found = backtest(bare)
    for name, values in found.forecasts.items():
        assert np.isfinite(values).all(), name
    json.loads(json.dumps(found.as_dict()), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_too_short_a_study_says_so(panel):
    """Where nobody has thirty answers the backtest says so."""
    with pytest.raises(TooFewAnswers, match="30 answers"):
        backtest(panel.take(panel.day % 12 < 2))
