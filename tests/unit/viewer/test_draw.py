"""Drawing: axes, curves with gaps, plots of any content, the graph's layers, Markdown."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from server.embedded.viewer import draw, plotly, text
from server.embedded.viewer.read import compare
from server.embedded.viewer.read.pipelines import Step, layers
from server.embedded.viewer.read.pipelines import draw as draw_graph

numbers = st.floats(allow_nan=True, allow_infinity=True)
names = st.text(max_size=30).map(lambda s: "".join(c for c in s if c.isprintable()))


@given(st.lists(st.lists(numbers, max_size=20), max_size=4), names)
def test_any_curve_is_a_picture(columns, label):
    """Whatever numbers come, the picture is well-formed and every place in it is finite."""
    curves = [draw.Curve(label, list(range(len(c))), c, marks=True) for c in columns]
    picture = draw.lines(curves, label)
    ET.fromstring(picture)  # noqa: S314 - our own pictures
    assert "nan" not in picture.replace(draw.escape(label), "")
    assert "inf" not in picture.replace(draw.escape(label), "")


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_lie_within_and_are_few(low, span):
    """An axis has a handful of marks, rising, none outside of it."""
    found = draw.ticks(low, low + span)
    slack = span * 1e-6 + abs(low) * 1e-9
    assert len(found) <= 7
    assert found == sorted(found)
    assert all(low - slack <= tick <= low + span + slack for tick in found)


def test_a_gap_cuts_a_curve():
    """A missing value is a gap, not a line through it."""
    picture = draw.lines([draw.Curve("c", [0, 1, 2, 3, 4], [1, 2, math.nan, 3, 4])], "c")
    assert picture.count("<polyline") == 2


def test_an_interval_is_drawn_around_its_value():
    """Distances that plotly writes, of both sides or of one, become whiskers of points and of bars; the axis holds them."""
    bar = {"type": "bar", "x": ["a", "b"], "y": [1, 2], "error_y": {"type": "data", "array": [0.5, 8]}}
    line = {"y": [1, 2], "error_y": {"array": [1, None], "arrayminus": [3, 1], "symmetric": False}}
    (bars,) = plotly.show(json.dumps({"data": [bar]}), "t").pictures
    (points,) = plotly.show(json.dumps({"data": [line]}), "t").pictures
    assert bars.count('class="whisker') == 2
    assert ">10<" in bars, "the axis reaches the end of the interval"
    assert points.count('class="whisker') == 1, "where an end is missing there is none"
    assert ">-2<" in points


def test_a_matrix_has_its_names_and_numbers_the_right_way_up():
    """Rows are named and numbered where there is room; plotly's first row is the lowest unless its axis is reversed."""
    trace = {"type": "heatmap", "z": [[1, 2], [3, 4]], "x": ["no", "yes"], "y": ["low", "high"]}
    for layout, order in (({}, "high low"), ({"yaxis": {"autorange": "reversed"}}, "low high")):
        (picture,) = plotly.show(json.dumps({"data": [trace], "layout": layout}), "t").pictures
        said = ["".join(part.itertext()) for part in ET.fromstring(picture).iter("text")]  # noqa: S314 - our own
        assert [name for name in said if name in {"low", "high"}] == order.split()
        assert {"no", "yes", "1", "2", "3", "4"} <= set(said)


def test_a_pie_is_shown_as_bars():
    """Shares are lengths, each under its label."""
    (picture,) = plotly.show(
        json.dumps({"data": [{"type": "pie", "labels": ["a", "b"], "values": [3, 1]}]}), "t"
    ).pictures
    assert picture.count("<rect") == 2
    assert "a: 3" in picture


def test_the_last_mark_of_an_axis_is_not_cut():
    """A label at the right end of the picture ends there, instead of being centred beyond it."""
    curve = draw.Curve("c", [0, 1], [1, 2])
    *_, last = ET.fromstring(draw.lines([curve], "c", labels=["first", "the last of all"])).iter("text")  # noqa: S314
    assert (last.text, last.get("text-anchor")) == ("the last of al", "end")
    assert float(last.get("x", "")) <= draw.WIDTH


def test_of_a_long_curve_as_many_points_are_drawn_as_a_picture_is_wide():
    """Every n-th, with its own place and the ends of its own interval; a short curve is drawn whole."""
    n = 5 * plotly.POINTS
    trace = {"x": list(range(n)), "y": list(range(n)), "error_y": {"array": [k / n for k in range(n)]}}
    column, y, spans = plotly._points(trace)
    assert list(column) == y == list(range(0, n, 5))
    assert spans == [(k - k / n, k + k / n) for k in range(0, n, 5)]
    assert list(plotly._points({"y": [4, 5]})[0]) == [0, 1]


def test_of_long_texts_only_their_own_lines_are_compared():
    """Lines that all have are left out, words of one line stay whole."""
    assert compare.own_lines(["same\nmine", "same\nyours"]) == ("mine", "yours")
    assert compare.own_lines(["a b", "a c"]) == ("a b", "a c")
    assert compare.own_lines(["same\nmine", ""]) == ("same\nmine", "")


def test_an_interval_stands_with_its_metric():
    """`NAME_low` and `NAME_high` are no metrics of their own; one of them alone is."""
    found = compare.table([{"mae": 1.0, "mae_low": 0.5, "mae_high": 2.0}, {"mae": 2.0, "t": 1.0, "t_low": 0.0}])
    assert [m.name for m in found] == ["mae", "t", "t_low"]
    assert found[0].spans == ((0.5, 2.0), None)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "z", "type", "cells", "header", "values", "mode"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(["scatter", "bar", "table", "heatmap", "histogram", "pie"]),
    st.dictionaries(
        st.sampled_from(["x", "y", "z", "cells", "header", "name", "mode", "labels", "values", "error_y"]), json_values
    ),
)
def test_any_plot_is_shown_somehow(kind, trace):
    """A plot of any shape is drawn, put in a table, or shown as its data; never an error."""
    shown = plotly.show(json.dumps({"data": [trace | {"type": kind}]}), "t")
    assert shown.pictures or shown.tables or shown.data
    for picture in shown.pictures:
        ET.fromstring(picture)  # noqa: S314 - our own pictures


edges = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)


@given(edges)
def test_every_step_stands_once_and_after_its_parents(pairs):
    """In a graph without cycles each step is in a later layer than its parents; with one, each still stands once."""
    forward = [(a, b) for a, b in pairs if a < b]
    steps = [Step(str(i), "completed", tuple(str(a) for a, b in forward if b == i), None, None) for i in range(10)]
    found = {step.name: depth for depth, column in enumerate(layers(steps)) for step in column}
    assert len(found) == 10
    assert all(found[str(a)] < found[str(b)] for a, b in forward)
    cyclic = [Step(str(i), "x", tuple(str(a) for a, b in pairs if b == i), None, None) for i in range(10)]
    assert sum(map(len, layers(cyclic))) == 10
    ET.fromstring(draw_graph(cyclic))  # noqa: S314 - our own pictures


@given(st.text())
def test_markdown_lets_no_markup_through(source):
    """Whatever a report says, no script, no handler and no foreign picture comes out of it."""
    out = text.markdown(source + "<script>x</script><img src=x onerror=y> ![a](http://elsewhere.example/a.png)")
    assert "<script" not in out
    assert "<img" not in out.replace('<img src="data:image/', "").replace('<img src="/', "")
    assert "elsewhere.example" not in out or 'src="http' not in out


def test_durations_and_links():
    """Lengths of time read well; only http links are links."""
    assert [text.duration(s) for s in (None, 3.4, 65, 7300)] == ["", "3.4 s", "1 min 5 s", "2 h 1 min"]
    assert [text.link(u) for u in ("http://a/b", "javascript:x", None, "s3://b/k")] == ["http://a/b", "", "", ""]
