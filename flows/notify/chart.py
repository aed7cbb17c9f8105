"""The picture beside an insight: answers, day averages, the usual range, a change or a forecast.

Drawn on one reused figure with an opaque, slightly dimmed background: the same picture reads in light and dark chats.
DejaVu Sans ships with matplotlib and has Cyrillic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font

from flows.notify.palette import Palette, Pixels

WIDTH, HEIGHT, DPI = 960, 640, 160
BACKGROUND, INK, FAINT = "#f4f3ef", "#22262b", "#5b6470"
ANSWER, LINE, BAND, SHIFT, AHEAD = "#7d8a99", "#1f5f99", "#cddcea", "#a23b14", "#6a3d9a"
GRID = "#dcdad3"
PALETTE = Palette((BACKGROUND, BAND), (GRID, INK, FAINT, ANSWER, LINE, SHIFT, AHEAD))
FONT = "DejaVu Sans"
SMALLEST_FONT = 12.0
KEPT = 12
"""Backgrounds kept as pixels, three megabytes each."""
LONGEST = 28
"""Days shown at most."""


@dataclass(frozen=True)
class Chart:
    """What is drawn, on the answers' scale; x in days with `start` at 0.

    Attributes
    ----------
    title
        One line.
    start
        First day shown, the person's date.
    days
        Number of days shown.
    lo, hi
        Ends of the scale.
    answers
        (x, value) of every answer.
    means
        (x, mean) of every day with answers, x at noon.
    usual
        (low, level, high) of day averages, or None.
    shift
        (x, before, after), or None.
    forecast
        (x, low, mean, high), or None.
    labels
        Words for "answer", "day", "usual", "shift", "forecast", in the person's language.
    ticks
        (x, words) along the days.
    """

    title: str
    start: date
    days: int
    lo: float
    hi: float
    answers: Sequence[tuple[float, float]]
    means: Sequence[tuple[float, float]]
    usual: tuple[float, float, float] | None
    shift: tuple[float, float, float] | None
    forecast: tuple[float, float, float, float] | None
    labels: dict[str, str]
    ticks: Sequence[tuple[float, str]]


class Painter:
    """Draws charts one after another on one figure: making a figure costs more than drawing on it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[tuple[object, ...], tuple[Any, Pixels]] = {}
        self._framed: tuple[object, ...] = ()
        self.figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=BACKGROUND)
        self.canvas: Any = FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0.09, 0.23, 0.88, 0.64), facecolor=BACKGROUND)
        box = self.axes.bbox
        self._inside = slice(HEIGHT - int(box.y1), HEIGHT - int(box.y0) + 1), slice(int(box.x0), int(box.x1) + 1)
        self._frame()
        self._artists()

    def png(self, chart: Chart) -> bytes:
        """Draw one chart.

        Frame, dates and words are the same for most people of a study: they are drawn once and kept as pixels.
        """
        with self._lock:
            self._set(chart)
            key = self._static(chart)
            if key not in self._kept:
                self.canvas.draw()
                self._keep(key)
            region, numbers = self._kept[key]
            self.canvas.restore_region(region)
            for artist, there in zip(self.moving, self._there(chart), strict=True):
                if there:
                    self.axes.draw_artist(artist)
            drawn = numbers.copy()
            drawn[self._inside] = PALETTE.numbers(self._pixels()[self._inside])
        return PALETTE.png(drawn)

    @staticmethod
    def _there(chart: Chart) -> tuple[bool, ...]:
        """Which of the moving artists have anything to show."""
        usual, shift = chart.usual is not None and chart.shift is None, chart.shift is not None
        ahead = chart.forecast is not None
        return usual, usual, bool(chart.answers), bool(chart.means), shift, ahead, ahead

    def _static(self, chart: Chart) -> tuple[object, ...]:
        """Everything `canvas.draw` shows, the moving artists aside."""
        words = tuple((text.get_text(), text.get_position()) for text in (self.title, *self.keys))
        return (*words, self.axes.get_xlim(), self.axes.get_ylim(), chart.lo, chart.hi, tuple(chart.ticks))

    def _keep(self, key: tuple[object, ...]) -> None:
        if len(self._kept) >= KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = self.canvas.copy_from_bbox(self.figure.bbox), PALETTE.numbers(self._pixels())

    def _pixels(self) -> Pixels:
        return np.asarray(self.canvas.buffer_rgba())

    def _frame(self) -> None:
        axes = self.axes
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.tick_params(labelsize=SMALLEST_FONT, colors=INK, length=0, pad=6, labelfontfamily=FONT)
        self.title = self.figure.text(0.03, 0.925, "", fontsize=15, color=INK, family=FONT, weight="bold")

    def _artists(self) -> None:
        axes = self.axes
        self.grid = LineCollection([], colors=GRID, linewidths=1, zorder=0)
        axes.add_collection(self.grid, autolim=False)
        self.band = axes.axhspan(0, 1, color=BAND, lw=0, zorder=1)
        self.level = axes.axhline(0, color=LINE, lw=1.6, ls=(0, (5, 4)), zorder=2)
        (self.answers,) = axes.plot([], [], "o", ms=3.6, color=ANSWER, alpha=0.75, mew=0, zorder=3)
        (self.means,) = axes.plot([], [], "-o", lw=2.4, ms=6, color=LINE, zorder=4)
        (self.shift,) = axes.plot([], [], "-", lw=3.4, color=SHIFT, zorder=5, solid_capstyle="butt")
        (self.reach,) = axes.plot([], [], "-", lw=5, color=AHEAD, alpha=0.55, zorder=5, solid_capstyle="round")
        (self.ahead,) = axes.plot([], [], "D", ms=8, color=AHEAD, zorder=6)
        self.moving = (self.band, self.level, self.answers, self.means, self.shift, self.reach, self.ahead)
        for artist in self.moving:
            artist.set_animated(True)
        self.keys = [
            self.figure.text(0, 0.03, "", fontsize=SMALLEST_FONT, color=color, family=FONT, weight=weight)
            for color, weight in ((FAINT, "normal"), (LINE, "bold"), (LINE, "normal"), (SHIFT, "bold"), (AHEAD, "bold"))
        ]

    def _set(self, chart: Chart) -> None:
        ahead = chart.forecast[0] if chart.forecast else 0.0
        right = max(float(chart.days), ahead + 0.6)
        self._scale(chart, right)
        self.title.set_text(drawable(chart.title))
        self.answers.set_data(*_columns(chart.answers))
        self.means.set_data(*_columns(chart.means))
        self._usual(chart)
        self._shift(chart)
        self._forecast(chart)
        self._key(chart)

    def _scale(self, chart: Chart, right: float) -> None:
        """Limits, levels and dates, where they are not those of the chart before."""
        framed = (right, chart.lo, chart.hi, tuple(chart.ticks))
        if framed == self._framed:
            return
        self._framed = framed
        margin = 0.04 * (chart.hi - chart.lo)
        self.axes.set_xlim(-0.2, right)
        self.axes.set_ylim(chart.lo - margin, chart.hi + margin)
        self.axes.set_xticks([x for x, _ in chart.ticks], [words for _, words in chart.ticks])
        levels = steps(chart.lo, chart.hi)
        self.axes.set_yticks(levels, [f"{level:g}" for level in levels])
        self.grid.set_segments([[(-0.2, level), (right, level)] for level in levels])

    def _usual(self, chart: Chart) -> None:
        if chart.usual is not None:
            low, level, high = chart.usual
            self.band.set_y(low)
            self.band.set_height(high - low)
            self.level.set_ydata([level, level])

    def _shift(self, chart: Chart) -> None:
        if chart.shift is None:
            self.shift.set_data([], [])
            return
        x, before, after = chart.shift
        self.shift.set_data([-0.2, x, np.nan, x, chart.days], [before, before, np.nan, after, after])

    def _forecast(self, chart: Chart) -> None:
        if chart.forecast is None:
            self.reach.set_data([], [])
            self.ahead.set_data([], [])
            return
        x, low, mean, high = chart.forecast
        self.reach.set_data([x, x], [low, high])
        self.ahead.set_data([x], [mean])

    def _key(self, chart: Chart) -> None:
        """Words in the colour of what they name, side by side, as long as there is room."""
        usual = chart.usual is not None and chart.shift is None
        parts = [
            ("answer", "•", True),
            ("day", "●", True),
            ("usual", "- -", usual),
            ("shift", "—", chart.shift is not None),
            ("forecast", "◆", chart.forecast is not None),
        ]
        x = 0.03
        for text, (name, sign, shown) in zip(self.keys, parts, strict=True):
            words = f"{sign} {chart.labels[name]}" if shown else ""
            text.set_text(words)
            text.set_x(x)
            x += 0.0205 * len(words) + 0.02 if shown else 0


def steps(lo: float, hi: float) -> list[float]:
    """At most seven round levels from `lo` to `hi`, both ends among them."""
    span = hi - lo
    for step in (0.5, 1, 2, 2.5, 5, 10, 20, 25, 50, 100):
        count = span / step
        if count <= 6 and abs(count - round(count)) < 1e-9:
            return [lo + step * k for k in range(round(count) + 1)]
    return [float(x) for x in np.linspace(lo, hi, 5)]


def day_ticks(start: date, days: int, words: Any) -> list[tuple[float, str]]:
    """At most five dates under the chart; `words` says a date."""
    step = max(1, -(-days // 5))
    last = 0.93 * days  # a label centred further right would be cut off
    return [(k + 0.5, words(start + timedelta(days=k))) for k in range(0, days, step) if k + 0.5 <= last or k == 0]


def drawable(words: str) -> str:
    """`words` without signs the font has no shape for (emoji): a caption may hold them, a picture would show boxes."""
    return "".join(sign for sign in words if _face().get_char_index(ord(sign)) or sign in "\u2068\u2069").strip()


@cache
def _face() -> FT2Font:
    return get_font(findfont(FontProperties(family=FONT, weight="bold")))


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
