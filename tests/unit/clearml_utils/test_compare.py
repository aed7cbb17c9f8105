"""A comparison's own arithmetic and pages: distances with intervals, what differs, charts, nothing becomes markup."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearml_utils import Comparison
from clearml_utils.comparison_page import page
from flows.commands.compare import spark

FOUND = Comparison(
    title="<b>runs</b>", rows=("a", "b <i>"), ids=("1", "2"),
    metrics={"a": {"mae": 1.0, "mae_low": 0.7, "mae_high": 1.2, "n": 3.0}, "b <i>": {"mae": 2.0, "mae_low": 1.6, "mae_high": 2.5}},
    facts={"a": {"Args/x": "1", "Args/y": "1"}, "b <i>": {"Args/x": "<script>2", "Args/y": "1"}},
    data={"a": {"frame": "h1"}}, code={"a": {"version_num": "c"}, "b <i>": {"version_num": "c"}},
    curves={"loss": {"a": ([0, 1], [2.0, 1.0]), "b <i>": ([0, 1], [3.0, math.nan])}}, diffs={"b <i>": "+<script>"},
)  # fmt: skip


def test_a_distance_has_the_interval_of_two_independent_measurements():
    """The widths add in squares, each side on its own; without both intervals there is a distance alone."""
    found = FOUND.delta("b <i>", "mae")
    assert found is not None
    assert found.value == 1.0
    assert found.low == pytest.approx(1 - math.hypot(0.4, 0.2))
    assert found.high == pytest.approx(1 + math.hypot(0.5, 0.3))
    assert FOUND.delta("a", "mae") is None
    assert FOUND.delta("b <i>", "n") is None
    assert FOUND.shown_metrics == ["mae", "n"], "ends of intervals are no metrics of their own"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), *[st.floats(0, 1e6)] * 4)
def test_a_distance_lies_inside_its_interval(one, other, down, up, under, over):
    """For any numbers and widths, low <= distance <= high."""
    metrics = {
        "a": {"m": one, "m_low": one - down, "m_high": one + up},
        "b": {"m": other, "m_low": other - under, "m_high": other + over},
    }
    delta = Comparison("t", ("a", "b"), metrics, {"a": {}, "b": {}}).delta("b", "m")
    assert delta is not None
    assert delta.low is not None
    assert delta.high is not None
    assert delta.low <= delta.value <= delta.high


def test_only_what_differs_is_told():
    """Sections name what is not the same in all rows; a section without any is left out."""
    assert FOUND.sections == {"Parameters": {"Args/x": ["1", "<script>2"]}, "Data": {"frame": ["h1", ""]}}


def test_the_page_shows_everything_and_runs_nothing():
    """Numbers, intervals, one line for each curve, differences and the link are there; names stay text."""
    text = page(FOUND, "http://web/x")
    for words in ("[1.6, 2.5]", "Δ +1 [", "loss by iteration", "Args/x", "h1", 'href="http://web/x"'):
        assert words in text, words
    assert text.count("<polyline") == 2
    assert "<script" not in text
    assert "<b>runs" not in text
    assert "javascript" not in page(FOUND, "javascript:alert(1)")


def test_charts_of_the_recorded_task():
    """Bars carry the intervals as error bars; curves lie in one chart, a line for each row."""
    figures = FOUND.figures()
    assert figures["mae"]["data"][0]["error_y"]["arrayminus"] == pytest.approx([0.3, 0.4])
    assert [line["name"] for line in figures["loss by iteration"]["data"]] == ["a", "b <i>"]


def test_a_curve_in_the_terminal_keeps_to_its_width():
    """A long curve is thinned to 24 characters between the ends that the curves beside it share."""
    assert len(spark([float(i) for i in range(1000)], 0, 999)) == 24
    assert spark([0.0, math.nan, 7.0], 0, 7) == "▁ █"
