"""Texts of the pages: times, durations, Markdown, links that are safe to follow."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from markdown_it import MarkdownIt
from markupsafe import Markup

# no raw HTML: a report is written by whoever has a key, and read by everybody
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_IFRAME = re.compile(r"<iframe\b[^>]*?\bsrc=\"([^\"]*/widgets/[^\"]*)\"[^>]*>\s*(?:</iframe>)?", re.IGNORECASE)
_IMAGE = re.compile(r'<img src="(?!data:image/|/)[^"]*" alt="([^"]*)"[^>]*>')
_HEADING = re.compile(r"<(/?)h([1-6])>")
Widget = Callable[[dict[str, list[str]]], str]


def moment(text: str | int | None) -> Markup:
    """Write a time, ISO-8601 or milliseconds since 1970, in UTC to the second."""
    if text in {None, ""}:
        return Markup("")
    found = (
        datetime.fromtimestamp(text / 1000, UTC)
        if isinstance(text, int)
        else datetime.fromisoformat(str(text)).astimezone(UTC)
    )
    return Markup('<time datetime="{}">{}</time>').format(found.isoformat(), found.strftime("%Y-%m-%d %H:%M:%S"))


def duration(seconds: float | None) -> str:
    """Write a length of time: 3.4 s, 12 min 5 s, 3 h 20 min."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def link(url: str | None) -> str:
    """Return an address that a page may link to, or an empty text for any other scheme."""
    return url if url and urlsplit(url).scheme in {"http", "https"} else ""


def markdown(text: str, widget: Widget | None = None, below: int = 1) -> Markup:
    """Render Markdown; an embedded chart of the web app becomes what `widget` makes of its query.

    Images of other hosts are replaced by their description: the pages load nothing from outside.

    Parameters
    ----------
    below
        Level of the page's heading that the text stands under: its own begin one lower.
    """
    charts: list[str] = []

    def keep(match: re.Match[str]) -> str:
        charts.append(widget(parse_qs(urlsplit(html.unescape(match[1])).query)) if widget else "")
        return f"\n\nCHART{len(charts) - 1}TRAHC\n\n"

    rendered = _MARKDOWN.render(_IFRAME.sub(keep, text))
    rendered = _IMAGE.sub(r'<span class="quiet">[\1]</span>', rendered)
    rendered = _HEADING.sub(lambda found: f"<{found[1]}h{min(6, int(found[2]) + below)}>", rendered)
    for index, chart in enumerate(charts):
        rendered = rendered.replace(f"<p>CHART{index}TRAHC</p>", chart)
    number = itertools.count(1)  # a region's name is its own
    frame = '<div class="scroll" tabindex="0" role="region" aria-label="Table {}"><table>'
    rendered = re.sub("<table>", lambda _: frame.format(next(number)), rendered)
    return Markup(rendered.replace("</table>", "</table></div>"))  # noqa: S704 - raw HTML is escaped by the renderer
