"""Charts as inline SVG: lines, points, bars and heat maps, coloured by classes so that both colour schemes work.

A chart needs no script and no style of its own; the page's style sheet colours `.s0` to `.s7`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 34
COLOURS = 8
SAMPLES = 400  # points of a curve: more than a screen of 640 units can show
WRITTEN = 144  # cells of a matrix that have room for their numbers
Span = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One line or set of points; `y` may hold NaN where there is a gap.

    Attributes
    ----------
    spans
        Ends of an interval around each `y`; empty where there is none.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    marks: bool = False
    line: bool = True
    spans: Sequence[Span] = ()


@dataclass(frozen=True)
class Axis:
    """A range of numbers on a length of the picture, in data units."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Place of a value in the picture."""
        return self.start + (bounded(value) - self.low) / (self.high - self.low) * (self.end - self.start)


def bounded(value: float) -> float:
    """Keep a number so far from the greatest that differences of two are numbers."""
    return min(max(value, -1e300), 1e300)


def number(value: float | None) -> str:
    """Write a number in at most six significant digits."""
    if value is None:
        return ""
    if math.isnan(value):
        return "NaN"
    return f"{value:,.0f}".replace(",", " ") if value == int_or(value) and abs(value) < 1e9 else f"{value:.5g}"


def int_or(value: float) -> float:
    """Round a finite number, or leave it."""
    return float(round(value)) if math.isfinite(value) else value


def axis(values: Sequence[float], start: float, end: float, *, zero: bool = False) -> Axis:
    """Make a range that holds all finite values, with a little air; `zero` is kept in sight for bars."""
    finite = [bounded(value) for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        air = abs(low) * 0.05 or 1.0
        return Axis(low - air, high + air, start, end)
    return Axis(low, high, start, end)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers between two ends, about as many as wanted."""
    span = high - low
    rough = span / wanted
    if not 1e-300 < rough < 1e301 or rough < 1e-12 * max(abs(low), abs(high)):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def moments(low: float, high: float) -> list[float]:
    """Round times between two ends, in seconds since 1970."""
    steps = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000)
    step = next((step for step in steps if (high - low) / step <= 6), 31_536_000 * 5)
    return [float(at) for at in range(math.ceil(low / step) * step, math.floor(high) + 1, step)][:12]


def _date(seconds: float, span: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%H:%M" if span < 86_400 else "%d %b" if span < 3e7 else "%b %Y")


def _frame(x: Axis, y: Axis, *, dates: bool = False, labels: Sequence[str] | None = None) -> list[str]:
    parts = []
    for value in ticks(y.low, y.high):
        place = y.at(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{number(value)}</text>')
    if labels is not None:
        wide = 8 * max((len(label[:14]) for label in labels), default=1)  # of the longest, with a space
        every = max(1, math.ceil(len(labels) * wide / (WIDTH - LEFT - RIGHT)))
        marks = [(x.at(i), labels[i][:14]) for i in range(0, len(labels), every)]
    else:
        places = moments(x.low, x.high) if dates else ticks(x.low, x.high)
        marks = [(x.at(value), _date(value, x.high - x.low) if dates else number(value)) for value in places]
    for place, text in marks:
        anchor = "end" if place > WIDTH - RIGHT - 3 * len(text) else "middle"  # the last one would be cut
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{escape(text)}</text>')
    return parts


def _wrap(parts: Sequence[str], label: str) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped above


def _runs(curve: Curve) -> list[list[tuple[float, float]]]:
    """Cut a curve at what is not finite."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(curve.x, curve.y, strict=False):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def lines(curves: Sequence[Curve], label: str, *, dates: bool = False, labels: Sequence[str] | None = None) -> Markup:
    """Draw curves over one pair of axes.

    Parameters
    ----------
    label
        What the picture shows, for those who cannot see it.
    dates
        x is seconds since 1970.
    labels
        Names of the places 0, 1, ... on the x axis.
    """
    x = axis([v for c in curves for v in c.x], LEFT, WIDTH - RIGHT)
    y = axis([v for c in curves for v in [*c.y, *_ends(c.spans)]], HEIGHT - BOTTOM, TOP)
    parts = _frame(x, y, dates=dates, labels=labels)
    for index, curve in enumerate(curves):
        colour = f"s{index % COLOURS}" + (" dashed" if index >= COLOURS else "")
        for run in _runs(curve):
            places = [(x.at(a), y.at(b)) for a, b in run]
            if curve.line and len(places) > 1:
                points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
                parts.append(f'<polyline class="line {colour}" points="{points}"/>')
            if curve.marks or not curve.line or len(places) == 1:
                parts += [f'<circle class="dot {colour}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in places]
        parts += [
            _whisker(x.at(at), y, span, colour)
            for at, span in zip(curve.x, curve.spans, strict=False)
            if math.isfinite(at)
        ]
    return _wrap(parts, label)


def _ends(spans: Sequence[Span]) -> list[float]:
    return [end for span in spans for end in span]


def _whisker(place: float, y: Axis, span: Span, colour: str) -> str:
    """Draw an interval as a line with caps, nothing where an end is unknown."""
    if not all(map(math.isfinite, span)):
        return ""
    low, high = y.at(span[0]), y.at(span[1])
    caps = "".join(f"M{place - 4:.1f} {end:.1f}h8" for end in (low, high))
    return f'<path class="whisker {colour}" d="M{place:.1f} {low:.1f}V{high:.1f}{caps}"/>'


def bars(
    groups: Sequence[tuple[str, Sequence[float]]],
    labels: Sequence[str],
    label: str,
    spans: Sequence[Sequence[Span]] = (),
    *,
    coloured: bool = False,
) -> Markup:
    """Draw bars, one group of them for each label, one colour for each group of values.

    Parameters
    ----------
    spans
        Ends of an interval for each value of each group; empty where there is none.
    coloured
        Each bar of a group has a colour of its own, as in a legend of the labels.
    """
    reached = [v for _, values in groups for v in values] + [e for row in spans for e in _ends(row)]
    y = axis(reached, HEIGHT - BOTTOM, TOP, zero=True)
    x = Axis(-0.5, max(len(labels), 1) - 0.5, LEFT, WIDTH - RIGHT)
    parts = _frame(x, y, labels=labels)
    wide = (x.at(1) - x.at(0)) * 0.8 / max(len(groups), 1)
    for index, (_, values) in enumerate(groups):
        for place, value in enumerate(values):
            if not math.isfinite(value):
                continue
            left = x.at(place) + wide * (index - len(groups) / 2)
            top, bottom = sorted((y.at(value), y.at(0)))
            colour = (place if coloured else index) % COLOURS
            parts.append(
                f'<rect class="bar s{colour}" x="{left:.1f}" y="{top:.1f}" width="{max(wide, 0.5):.1f}" '
                f'height="{max(bottom - top, 0.5):.1f}"><title>{escape(labels[place])}: {number(value)}</title></rect>'
            )
            if index < len(spans) and place < len(spans[index]):
                parts.append(_whisker(left + wide / 2, y, spans[index][place], "over"))
    return _wrap(parts, label)


def heat(rows: Sequence[Sequence[float]], label: str, across: Sequence[str] = (), down: Sequence[str] = ()) -> Markup:
    """Draw a matrix, the first row on top; a cell's opacity is its value between the smallest and the largest.

    Parameters
    ----------
    across, down
        Names of the columns and rows, where they have any.
    """
    finite = [bounded(v) for row in rows for v in row if math.isfinite(v)] or [0.0]
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    width = (WIDTH - LEFT - RIGHT) / max(max(map(len, rows), default=1), 1)
    height = (HEIGHT - TOP - BOTTOM) / max(len(rows), 1)
    parts = []
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            shade = (bounded(value) - low) / span if math.isfinite(value) else 0
            parts.append(
                f'<rect class="cell" x="{LEFT + j * width:.1f}" y="{TOP + i * height:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}" fill-opacity="{shade:.2f}"><title>{number(value)}</title></rect>'
            )
            if sum(map(len, rows)) <= WRITTEN:
                x, y = LEFT + (j + 0.5) * width, TOP + (i + 0.5) * height + 4
                dark = "cell-text over" if shade > 0.55 else "cell-text"
                parts.append(
                    f'<text class="{dark}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{number(value)}</text>'
                )
    for j, name in _named(across):
        x = LEFT + (j + 0.5) * width
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(name[:14])}</text>')
    for i, name in _named(down):
        y = TOP + (i + 0.5) * height + 4
        parts.append(f'<text x="{LEFT - 6}" y="{y:.1f}" text-anchor="end">{escape(name[:9])}</text>')
    return _wrap(parts, label)


def _named(names: Sequence[str]) -> list[tuple[int, str]]:
    """At most a dozen of the names, with their places."""
    return list(enumerate(names))[:: max(1, math.ceil(len(names) / 12))]
