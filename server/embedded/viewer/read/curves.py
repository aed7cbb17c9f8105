"""Scalar curves of one or several tasks, thinned to what a picture can show, by metric."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from server.embedded.services.events import blocks
from server.embedded.services.events.store import SCALARS, series_of
from server.embedded.viewer import draw

CHARTS = 40  # charts on one page
TOTAL_POINTS = 24_000  # of all curves on one page: it stays below a megabyte


def of_task(db: sqlite3.Connection, task: str) -> list[dict[str, Any]]:
    """Charts of a task: one for each metric, its variants as curves."""
    return _charts([(s.metric, s.variant, s.id) for s in series_of(db, [task], None, SCALARS)], db)


def of_tasks(db: sqlite3.Connection, ids: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Charts over several tasks: one for each metric and variant, the tasks as curves in their order."""
    found = series_of(db, list(ids), None, SCALARS)
    place = {identifier: index for index, identifier in enumerate(ids)}
    found.sort(key=lambda s: (s.metric, s.variant, place[s.object]))
    return _charts(
        [(f"{s.metric} / {s.variant}", f"{place[s.object] + 1}. {names[place[s.object]]}", s.id) for s in found], db
    )


def _charts(rows: Sequence[tuple[str, str, int]], db: sqlite3.Connection) -> list[dict[str, Any]]:
    grouped: dict[str, list[tuple[str, int]]] = {}
    for title, name, series in rows:
        grouped.setdefault(title, []).append((name, series))
    samples = min(draw.SAMPLES, max(20, TOTAL_POINTS // max(len(rows), 1)))
    charts: list[dict[str, Any]] = []
    for title, members in grouped.items():
        curves = [curve for name, series in members if (curve := _curve(db, series, name, samples)) is not None]
        if not curves:
            continue
        if len(charts) == CHARTS:
            charts.append({"title": "", "left_out": len(grouped) - CHARTS})
            break
        charts.append({
            "title": title, "picture": _picture(title, curves), "legend": [c.name for c in curves],
            "last": [c.y[-1] for c in curves],
        })  # fmt: skip
    return charts


def _picture(title: str, curves: Sequence[draw.Curve]) -> Markup:
    """Draw curves, or bars where each has but one point."""
    if all(len(curve.x) == 1 for curve in curves):
        heights, names = [curve.y[0] for curve in curves], [curve.name for curve in curves]
        return draw.bars([(title, heights)], names, title, coloured=True)
    return draw.lines(curves, f"{title} by iteration")


def _curve(db: sqlite3.Connection, series: int, name: str, samples: int) -> draw.Curve | None:
    points = blocks.plotted(blocks.read(db, series))
    if not len(points.iters):
        return None
    x, y = blocks.sampled(points.iters, points.values, samples)
    return draw.Curve(name, x.tolist(), y.tolist())
