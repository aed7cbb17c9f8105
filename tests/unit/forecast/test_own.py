"""What a person's own past adds to the combination: an ordinary Bayesian regression, person by person."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.forecast import own, stack
from flows.forecast.backtest import backtest
from flows.forecast.candidates import Sample
from flows.forecast.history import history, prior_of

_spec = importlib.util.spec_from_file_location("forecast_data", Path(__file__).with_name("data.py"))
data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(data)

pytestmark = pytest.mark.xdist_group("forecast")


def sample_of(panel):
    prior = prior_of(panel)
    return Sample(panel, history(panel, prior), prior, np.isfinite(panel.y))


def test_a_row_is_told_by_the_regression_on_the_rows_before_it(monkeypatch):
    """Equal, to 1e-9, to solving the normal equations anew at each row; however many people are taken at once."""
    rng = np.random.default_rng(3)
    code, m = np.repeat([0, 1, 2, 3], [40, 1, 25, 60]), 4
    x, d, learn = rng.normal(size=(126, m)), rng.normal(size=126), rng.random(126) < 0.8
    weights, cover = rng.normal(size=m), np.diag([0.1, 0.5, 1.0, 2.0])
    wanted = np.empty(126)
    for row in range(126):
        past = (code == code[row]) & (np.arange(126) < row) & learn
        precision = np.linalg.inv(cover) + x[past].T @ x[past]
        wanted[row] = x[row] @ np.linalg.solve(precision, np.linalg.solve(cover, weights) + x[past].T @ d[past])
    np.testing.assert_allclose(stack.regress(code, x, d, learn, weights, cover), wanted, rtol=0, atol=1e-9)
    monkeypatch.setattr(stack, "AT_ONCE", 3)
    np.testing.assert_allclose(stack.regress(code, x, d, learn, weights, cover), wanted, rtol=0, atol=1e-9)


def test_items_a_person_answers_by_are_learnt_though_nobody_else_was_asked():
    """One person of many answers whose mood follows an item of the beep before: a forecast fitted to other studies, that
    have no items, is better with the item than without it.
    """
    rng = np.random.default_rng(7)
    panel = data.study(seed=2, people=1, days=150, missing=0.0)
    item = rng.integers(1, 8, len(panel)).astype(float)
    y = np.clip(4 + 0.35 * (np.roll(item, 1) - 4) + rng.normal(0, 0.5, len(panel)), 1, 7)
    asked = replace(panel, y=y, items=item[:, None], names=("slept",))
    silent = replace(panel, y=y, items=np.zeros((len(panel), 0)), names=())
    others = [data.study(seed=5), data.study(seed=6)]
    with_item, without = (backtest(p, others).scores["stack"].skill for p in (asked, silent))
    assert with_item > without + 0.2


def test_a_person_of_few_answers_is_hardly_moved():
    """With the narrow prior the correction of fifty noisy answers stays under a tenth of a standard deviation."""
    panel = data.study(seed=4, people=6, days=8)
    sample = sample_of(panel)
    added = own.correction(sample, sample.history.centre, np.isfinite(panel.y), own.PRIOR)
    assert np.median(np.abs(added / sample.history.spread)) < 0.1
    assert np.any(added != 0)


def test_an_item_that_never_changes_and_one_never_asked_say_nothing():
    """No column is made of them, and none is not a number."""
    panel = data.study(seed=1, people=3)
    items = panel.items.copy()
    items[:, 0], items[:, 1] = 5.3, np.nan
    sample = sample_of(replace(panel, items=items))
    assert np.all(sample.history.own[:, :2] == 0)
    assert np.any(sample.history.own[:, 2] != 0)
    assert np.all(np.isfinite(own.columns(sample, sample.history.centre)))
