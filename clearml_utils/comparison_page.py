"""A comparison as one HTML page that loads nothing: numbers, curves over each other, what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearml_utils.compare import Comparison, Curve

COLOURS = ("#1f6fb2", "#c2410c", "#15803d", "#7e22ce", "#0e7490", "#be123c", "#6b5b00", "#4b5563")
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 260, 64, 28
BAR = 160
_STYLE = """
body{font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;color:#1b2430;max-width:1100px;margin:1rem auto;padding:0 1rem}
table{border-collapse:collapse}
td,th{padding:.3rem .7rem;border-bottom:1px solid #d8dee6;text-align:left;vertical-align:top}
.scroll{overflow-x:auto}.quiet{color:#566273;font-size:.9rem}.n{text-align:right;font-variant-numeric:tabular-nums}
.bar{display:block;height:5px;background:#1f6fb2}svg{max-width:100%;height:auto}svg text{fill:#566273;font-size:12px}
.key{display:inline-block;width:1.1rem;height:.3rem;margin-right:.35rem;vertical-align:middle}
pre{background:#f3f5f8;padding:.7rem;overflow:auto}.plus{color:#14692f}.minus{color:#b01525}
"""


def page(found: Comparison, link: str = "") -> str:
    """Write the page.

    Parameters
    ----------
    link
        Address of the same comparison in ClearML.
    """
    parts = [
        f'<p><a href="{escape(link)}">The same in ClearML</a></p>' if link.startswith(("http://", "https://")) else "",
        _numbers(found),
        *(_curves(name, found, curves) for name, curves in found.curves.items()),
        *(_texts(title, found.rows, rows) for title, rows in found.sections.items()),
        *(_source(row, text) for row, text in found.diffs.items()),
    ]
    title = escape(found.title)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>{''.join(parts)}</html>\n"
    )


def _heads(rows: Sequence[str]) -> str:
    return "".join(f'<th scope="col">{escape(row)}</th>' for row in rows)


def _scroll(table: str) -> str:
    return f'<div class="scroll" tabindex="0"><table>{table}</table></div>'


def _numbers(found: Comparison) -> str:
    if not found.shown_metrics:
        return '<p class="quiet">No numbers.</p>'
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_number(found, row, name) for row in found.rows)}</tr>'
        for name in found.shown_metrics
    )
    return (
        "<h2>Numbers</h2>"
        + _scroll(f'<tr><th scope="col">metric</th>{_heads(found.rows)}</tr>{lines}')
        + '<p class="quiet">In brackets the confidence interval, where there is one; after Δ the distance from the '
        "first, its interval as if both were measured on different answers.</p>"
    )


def _number(found: Comparison, row: str, name: str) -> str:
    value = found.metrics[row].get(name)
    if value is None:
        return "<td></td>"
    most = max((abs(found.metrics[r][name]) for r in found.rows if name in found.metrics[r]), default=0) or 1
    span, delta = found.interval(row, name), found.delta(row, name)
    text = f"{value:.6g}" + (f' <span class="quiet">[{span[0]:.4g}, {span[1]:.4g}]</span>' if span else "")
    if delta is not None:
        ends = "" if delta.low is None else f" [{delta.low:+.4g}, {delta.high:+.4g}]"
        text += f'<br><span class="quiet">Δ {delta.value:+.4g}{ends}</span>'
    share = BAR * abs(value) / most
    return (
        f'<td class="n">{text}<span class="bar" style="width:{share if math.isfinite(share) else 0:.0f}px"></span></td>'
    )


def _texts(title: str, rows: Sequence[str], texts: Mapping[str, Sequence[str]]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>'
        for name, values in texts.items()
    )
    head = f'<tr><th scope="col">differs</th>{_heads(rows)}</tr>'
    return f"<h2>{escape(title)}</h2>" + _scroll(head + lines)


def _source(row: str, text: str) -> str:
    kinds = {"+": "plus", "-": "minus"}
    lines = "\n".join(
        f'<span class="{kinds[line[0]]}">{escape(line)}</span>' if line[:1] in kinds else escape(line)
        for line in text.splitlines()
    )
    return f'<h2>Source of {escape(row)}</h2><pre tabindex="0">{lines}</pre>'


def _curves(name: str, found: Comparison, curves: Mapping[str, Curve]) -> str:
    colour = {row: COLOURS[i % len(COLOURS)] for i, row in enumerate(found.rows)}
    xs = [x for xs, _ in curves.values() for x in xs]
    ys = [y for _, ys in curves.values() for y in ys if math.isfinite(y)]
    if not ys:
        return ""
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    wide, tall = (right - left) or 1, (high - low) or 1

    def place(x: float, y: float) -> str:
        across = LEFT + (x - left) / wide * (WIDTH - LEFT - 8)
        return f"{across:.1f},{8 + (high - y) / tall * (HEIGHT - BOTTOM - 8):.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{colour[row]}" stroke-width="1.8" points="'
        + " ".join(place(x, y) for x, y in zip(*curves[row], strict=True) if math.isfinite(y))
        + f'"><title>{escape(row)}</title></polyline>'
        for row in found.rows
        if row in curves
    )
    bottom = HEIGHT - BOTTOM
    axes = (
        f'<path d="M{LEFT} 8V{bottom}H{WIDTH - 8}" fill="none" stroke="#d8dee6"/>'
        f'<text x="{LEFT - 6}" y="16" text-anchor="end">{high:.4g}</text>'
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">{low:.4g}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 8}">{left:g}</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 8}" text-anchor="end">{right:g}</text>'
    )
    keys = " ".join(f'<span><span class="key" style="background:{colour[r]}"></span>{escape(r)}</span>' for r in curves)
    label = escape(f"{name} by iteration")
    return (
        f'<h2>{label}</h2><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{label}">'
        f"{axes}{lines}</svg><p>{keys}</p>"
    )
