"""Plots as the SDK reports them, plotly's JSON, drawn without plotly: tables, lines, points, bars, heat maps.

What this does not know is shown as the data it is.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from markupsafe import Markup

from server.embedded.viewer import draw
from server.embedded.viewer.text import link

ROWS = 200  # rows of a table that a page shows
BARS = 300
POINTS = 1_000  # of a curve: a picture is narrower
DATA = 20_000  # characters of a plot that cannot be drawn


@dataclass(frozen=True)
class Table:
    """Header and rows of texts; `left_out` rows are not shown."""

    header: list[str]
    rows: list[list[str]]
    left_out: int = 0


@dataclass
class Shown:
    """What became of one plot: drawn pictures, tables, addresses of images, or its data."""

    title: str
    pictures: list[Markup] = field(default_factory=list)
    legend: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    data: str = ""


def show(text: str, title: str) -> Shown:
    """Draw a plot.

    Parameters
    ----------
    text
        The event's `plot_str`.
    """
    shown = Shown(title)
    try:
        figure = orjson.loads(text)
        traces = [trace for trace in figure.get("data") or [] if isinstance(trace, dict)]
        layout = figure.get("layout") or {}
        _draw(shown, traces, layout)
        shown.images = _images(layout) if not traces else []
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError):
        shown.pictures, shown.tables, shown.images = [], [], []
    if not shown.pictures and not shown.tables and not shown.images:
        shown.data = text[:DATA]
    return shown


def _draw(shown: Shown, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> None:
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for trace in traces:
        kinds.setdefault(str(trace.get("type") or "scatter"), []).append(trace)
    shown.tables += [_table(trace) for trace in kinds.get("table", [])]
    curves = [*kinds.get("scatter", []), *kinds.get("scattergl", [])]
    if curves:
        shown.pictures.append(_curves(curves, shown.title))
    if kinds.get("bar"):
        shown.pictures.append(_bars(kinds["bar"], shown.title))
    shown.pictures += [_bars([_slices(trace)], shown.title) for trace in kinds.get("pie", [])]
    shown.pictures += [_histogram(trace, shown.title) for trace in kinds.get("histogram", [])]
    shown.pictures += [_heat(trace, layout, shown.title) for trace in kinds.get("heatmap", [])]
    named = [*curves, *kinds.get("bar", [])]
    if len(named) > 1:
        shown.legend = [_name(trace, index) for index, trace in enumerate(named)]


def _images(layout: Mapping[str, Any]) -> list[str]:
    """Addresses of pictures that are the whole plot, as `report_image` and matplotlib's figures are reported."""
    found = [str(image.get("source") or "") for image in layout.get("images") or []]
    return [address for address in found if link(address) or address.startswith("data:image/png;base64,")]


def _name(trace: Mapping[str, Any], index: int) -> str:
    return str(trace.get("name") or f"trace {index}")


def values(raw: Any) -> list[Any]:
    """Read a trace's column: a list, or plotly 6's packed array."""
    if isinstance(raw, dict) and "bdata" in raw:
        import numpy as np  # noqa: PLC0415 - 25 MB that only this needs

        return list(np.frombuffer(base64.b64decode(raw["bdata"]), dtype=str(raw["dtype"])).tolist())
    return list(raw) if isinstance(raw, list | tuple) else []


def _float(value: Any) -> float:
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _seconds(value: Any) -> float:
    if not isinstance(value, str) or len(value) < 8 or value[4:5] != "-":
        return math.nan
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _curves(traces: Sequence[Mapping[str, Any]], title: str) -> Markup:
    points = [_points(trace) for trace in traces]
    columns = [column for column, _, _ in points]
    every = [value for column in columns for value in column]
    numeric = all(not math.isnan(_float(value)) for value in every)
    dates = not numeric and all(not math.isnan(_seconds(value)) for value in every)
    names = None if numeric or dates else list(dict.fromkeys(str(value) for value in every))
    place = {name: index for index, name in enumerate(names or [])}
    curves = []
    for index, (trace, (column, y, spans)) in enumerate(zip(traces, points, strict=True)):
        mode = str(trace.get("mode") or "lines")
        x = [_float(v) if numeric else _seconds(v) if dates else float(place[str(v)]) for v in column]
        curves.append(draw.Curve(_name(trace, index), x, y, "markers" in mode, "lines" in mode, spans))
    return draw.lines(curves, title, dates=dates, labels=names)


def _points(trace: Mapping[str, Any]) -> tuple[Sequence[Any], list[float], list[draw.Span]]:
    """Read x as it stands, y and the ends of its intervals; of a long curve every n-th point, before it is read."""
    heights = values(trace.get("y"))
    nth = max(1, math.ceil(len(heights) / POINTS))
    column = values(trace.get("x")) or range(len(heights))
    y = [_float(v) for v in heights[::nth]]
    return column[::nth], y, _spans(trace.get("error_y"), y, nth)


def _spans(error: Any, y: Sequence[float], nth: int = 1) -> list[draw.Span]:
    """Ends of the intervals that plotly writes as distances from the values, of every n-th of which `y` holds one."""
    if not isinstance(error, Mapping) or "array" not in error:
        return []
    up = [_float(v) for v in values(error["array"])[::nth]]
    even = error.get("symmetric", "arrayminus" not in error)
    down = up if even else [_float(v) for v in values(error["arrayminus"])[::nth]]
    return [(at - below, at + above) for at, above, below in zip(y, up, down, strict=False)]


def _bars(traces: Sequence[Mapping[str, Any]], title: str) -> Markup:
    flat = any(trace.get("orientation") == "h" for trace in traces)
    names: dict[str, None] = {}
    columns, spans = [], []
    for trace in traces:
        heights, places = ("x", "y") if flat else ("y", "x")
        y = [_float(v) for v in values(trace.get(heights))]
        x = [str(v) for v in values(trace.get(places))] or [str(i) for i in range(len(y))]
        names.update(dict.fromkeys(x))
        columns.append(dict(zip(x, y, strict=False)))
        spans.append(dict(zip(x, _spans(trace.get(f"error_{heights}"), y), strict=False)))
    labels = list(names)[:BARS]
    groups = [
        (_name(trace, index), [column.get(label, math.nan) for label in labels])
        for index, (trace, column) in enumerate(zip(traces, columns, strict=True))
    ]
    nothing = (math.nan, math.nan)
    ends = [[found.get(label, nothing) for label in labels] if found else [] for found in spans]
    return draw.bars(groups, labels, title, ends)


def _slices(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Read a pie as bars: lengths are compared more easily than angles."""
    return {"x": trace.get("labels"), "y": trace.get("values"), "name": trace.get("name")}


def _heat(trace: Mapping[str, Any], layout: Mapping[str, Any], title: str) -> Markup:
    rows = _matrix(trace["z"])
    across, down = ([str(v) for v in values(trace.get(side))] for side in ("x", "y"))
    if (layout.get("yaxis") or {}).get("autorange") != "reversed":  # plotly's first row is the lowest
        rows, down = rows[::-1], down[: len(rows)][::-1]
    return draw.heat(rows, title, across, down)


def _histogram(trace: Mapping[str, Any], title: str) -> Markup:
    found = [v for v in map(_float, values(trace.get("x"))) if math.isfinite(v)]
    low, high = min(found), max(found)
    count = min(30, max(1, round(math.sqrt(len(found)))))
    wide = (high - low) / count or 1.0
    heights = [0.0] * count
    for value in found:
        heights[min(count - 1, int((value - low) / wide))] += 1
    return draw.bars([("count", heights)], [draw.number(low + wide * (i + 0.5)) for i in range(count)], title)


def _matrix(rows: Any) -> list[list[float]]:
    return [[_float(v) for v in values(row)] for row in rows][:200]


def _cell(value: Any) -> str:
    return draw.number(value) if isinstance(value, float) else "" if value is None else str(value)[:300]


def _flat(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(trace: Mapping[str, Any]) -> Table:
    header = [_flat(value) for value in values((trace.get("header") or {}).get("values"))]
    columns = [values(column) for column in values((trace.get("cells") or {}).get("values"))]
    size = max(map(len, columns), default=0)
    rows = [[_cell(c[i]) if i < len(c) else "" for c in columns] for i in range(min(size, ROWS))]
    return Table(header, rows, max(0, size - ROWS))
