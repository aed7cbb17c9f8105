"""The picture beside an insight, as a phone shows it."""

from __future__ import annotations

import io
import itertools
import warnings
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

from flows.notify import chart as charts
from flows.notify.chart import Painter, day_ticks, drawable, steps
from flows.notify.deliver import draft
from flows.notify.policy import Policy
from tests.golden.people import everybody

PEOPLE = everybody()
CHARTED = ("worse", "drifting-up", "odd-day", "back", "second-week", "looking-ahead")
PHONE = 360
"""Width of a small phone in its own pixels; a chat shows a photo across most of it."""


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter()


def chart_of(name: str, language: str = "ru") -> charts.Chart:
    one = PEOPLE[name]
    (made, *_) = draft(one.report, replace(one.context, language=language), Policy()).drafts
    assert made.chart is not None
    return made.chart


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)])


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    c = rgb(color) / 255
    return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def near(image: np.ndarray, color: str, tolerance: int = 24) -> np.ndarray:
    return (np.abs(image - rgb(color)) <= tolerance).all(axis=2)


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("name", CHARTED)
def test_a_chart_is_a_photo_telegram_takes(painter, name, language):
    """960 x 640 pixels, opaque, well under the limit of ten megabytes; every glyph is in the font."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = painter.png(chart_of(name, language))
    image = Image.open(io.BytesIO(png))
    assert (image.size, image.mode, image.format) == ((960, 640), "P", "PNG")
    assert "transparency" not in image.info
    assert 5_000 < len(png) < 300_000


def test_text_is_readable_on_a_phone(painter):
    """The smallest letters are at least nine of a small phone's own pixels tall (font size), in ink of contrast over 4.5."""
    painter.figure.draw_without_rendering()
    texts = [painter.title, *painter.keys, *painter.axes.get_xticklabels(), *painter.axes.get_yticklabels()]
    assert min(t.get_fontsize() for t in texts) / 72 * charts.DPI * PHONE / charts.WIDTH >= 9
    for text in texts:
        assert contrast(str(text.get_color()), charts.BACKGROUND) >= 4.5
        assert text.get_fontfamily() == [charts.FONT]


def test_what_is_drawn_stands_out_in_light_and_dark_chats():
    """Lines have a contrast of 3 or more to the picture's own opaque background, which neither blinds nor vanishes."""
    for color in (charts.LINE, charts.SHIFT, charts.AHEAD, charts.ANSWER):
        assert contrast(color, charts.BACKGROUND) >= 3
    assert luminance(charts.BACKGROUND) < luminance("#ffffff")
    assert contrast(charts.BACKGROUND, "#17212b") >= 10  # Telegram's dark chat


def test_the_font_has_cyrillic():
    """Every letter of both languages has a shape of its own."""
    face = get_font(findfont(FontProperties(family=charts.FONT), fallback_to_default=False))
    letters = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяABCXYZabcxyz0123456789•●—◆"
    assert [sign for sign in letters if not face.get_char_index(ord(sign))] == []


def test_a_change_shows_two_levels_where_they_are(painter):
    """The two levels are drawn at their heights, one left and one right of the change."""
    one = chart_of("worse")
    image = pixels(painter.png(one))
    rows, columns = np.nonzero(near(image, charts.SHIFT))
    inside = (rows > 80) & (rows < 500)
    left, right = rows[inside & (columns < 500)], rows[inside & (columns > 800)]
    assert one.shift is not None
    x, before, after = one.shift
    for drawn, level in ((left, before), (right, after)):
        wanted = 640 - painter.axes.transData.transform((x, level))[1]
        assert abs(np.median(drawn) - wanted) <= 2


@pytest.mark.parametrize(("name", "color", "there"), [("looking-ahead", charts.AHEAD, True), ("second-week", charts.AHEAD, False), ("second-week", charts.BAND, True), ("worse", charts.BAND, False)])  # fmt: skip
def test_only_what_is_said_is_drawn(painter, name, color, there):
    """A forecast has its marker and interval, a summary its usual range, a change neither."""
    image = pixels(painter.png(chart_of(name)))[80:500]
    assert bool(near(image, color, 6).sum() > 150) == there


def test_one_chart_leaves_nothing_on_the_next(painter):
    """Drawn after any other, a chart comes out as on a fresh figure, to the byte."""
    first = {name: Painter().png(chart_of(name)) for name in CHARTED}
    for name in [*CHARTED, *reversed(CHARTED)]:
        assert painter.png(chart_of(name)) == first[name]


def test_words_stay_inside_the_picture(painter):
    """No title, date or key is cut off, in either language."""
    for name in CHARTED:
        for language in ("en", "ru"):
            painter.png(chart_of(name, language))
            painter.figure.draw_without_rendering()
            for text in (painter.title, *painter.keys, *painter.axes.get_xticklabels()):
                if text.get_text():
                    box = text.get_window_extent()
                    assert box.x0 >= 0, text
                    assert box.x1 <= charts.WIDTH, text


def test_keys_do_not_overlap(painter):
    """The words that explain the colours stand apart."""
    for name in CHARTED:
        for language in ("en", "ru"):
            painter.png(chart_of(name, language))
            boxes = [t.get_window_extent() for t in painter.keys if t.get_text()]
            assert all(a.x1 + 4 <= b.x0 for a, b in itertools.pairwise(boxes))


@pytest.mark.parametrize("scale", [(1, 5), (1, 7), (0, 100), (0, 10), (-3, 3), (0, 1), (0.5, 9.25)])
def test_levels_span_the_scale(scale):
    """Both ends are labelled, seven levels at most."""
    found = steps(*scale)
    assert (found[0], found[-1]) == scale
    assert len(found) <= 7


@pytest.mark.parametrize("days", [1, 2, 7, 14, 28])
def test_few_dates_are_written(days):
    """At least one and at most five, in order."""
    ticks = day_ticks(date(2026, 5, 4), days, str)
    assert 1 <= len(ticks) <= 5
    assert [x for x, _ in ticks] == sorted(x for x, _ in ticks)


def test_what_the_font_cannot_draw_is_left_out():
    """Emoji stay in the caption; the picture shows no boxes for them."""
    assert drawable("Настрой 🙂 дня") == "Настрой  дня"
