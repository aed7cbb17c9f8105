"""Reports: Markdown documents whose embedded charts are drawn from the tasks they name."""

from __future__ import annotations

import sqlite3
from html import escape
from typing import Any

from markupsafe import Markup

from server.embedded import objects
from server.embedded.auth import COMPANY
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.services.events import samples
from server.embedded.viewer import plotly
from server.embedded.viewer.kept import Address
from server.embedded.viewer.read import curves, projects
from server.embedded.viewer.read.experiments import project_names
from server.embedded.viewer.text import Widget, markdown

PAGE = 100


def table(db: sqlite3.Connection, project: str | None = None) -> dict[str, Any]:
    """Read the newest reports, of a project and what is below it or of all."""
    inside = projects.inside(db, project) if project else []
    body = {
        "type": ["report"], "order_by": ["-last_update"], "page": 0, "page_size": PAGE, "search_hidden": True,
        "project": inside or None, "only_fields": ["id", "name", "project", "tags", "status", "last_update", "comment"],
    }  # fmt: skip
    found = find(db, TASK, body, COMPANY).objects
    names = project_names(db, found)
    for report in found:
        report["project_name"] = names.get(report.get("project", ""), "").removesuffix(".reports").rstrip("/")
    return {"reports": found}


def one(db: sqlite3.Connection, identifier: str, file_at: Address) -> dict[str, Any] | None:
    """Read a report, rendered.

    Parameters
    ----------
    file_at
        Turns the address of an image that the server keeps into one that a page can show.
    """
    report = objects.get(db, TASK, identifier, COMPANY)
    if report is None or report["type"] != "report":
        return None
    return {"report": report, "body": markdown(report.get("report") or "", widget(db, file_at))}


def widget(db: sqlite3.Connection, file_at: Address) -> Widget:
    """Make what draws the charts that a report embeds."""

    def drawn(query: dict[str, list[str]]) -> str:
        tasks = [i for value in query.get("objects", []) + query.get("tasks", []) for i in value.split(",")]
        wanted = {(m, v) for m in query.get("metrics", []) for v in query.get("variants") or [""]}
        if (query.get("type") or [""])[0] in {"scalar", "single"}:
            return _scalars(db, tasks, wanted)
        return _plots(db, tasks, wanted, file_at)

    return drawn


def _chosen(metric: str, variant: str, wanted: set[tuple[str, str]]) -> bool:
    return not wanted or (metric, variant) in wanted or (metric, "") in wanted


def _scalars(db: sqlite3.Connection, tasks: list[str], wanted: set[tuple[str, str]]) -> str:
    charts = [
        chart
        for task in tasks
        for chart in curves.of_task(db, task)
        if not wanted or chart["title"] in {metric for metric, _ in wanted}
    ]
    return "".join(figure(chart["title"], [chart["picture"]], chart["legend"]) for chart in charts if chart["title"])


def _plots(db: sqlite3.Connection, tasks: list[str], wanted: set[tuple[str, str]], file_at: Address) -> str:
    places = [p for p in samples.places(db, samples.PLOT, tasks) if _chosen(p.metric, p.variant, wanted)]
    events = samples.events_at(db, samples.PLOT, samples.latest(places, 1)[:10])
    if not events:
        return '<p class="quiet">A chart of this report has nothing to show (its task is gone).</p>'
    shown = [plotly.show(event.get("plot_str") or "", event["metric"]) for event in events]
    for plot in shown:
        plot.pictures += [_image(own, plot.title) for url in plot.images if (own := file_at(url))]
    return "".join(figure(s.title, s.pictures, s.legend) + "".join(map(html_table, s.tables)) for s in shown)


def _image(address: str, title: str) -> Markup:
    return Markup('<img src="{}" alt="{}" loading="lazy">').format(address, title)


def figure(title: str, pictures: list[Markup], legend: list[str]) -> str:
    """Write pictures with their caption and legend."""
    if not pictures:
        return f"<h3>{escape(title)}</h3>"
    keys = "".join(f'<li><span class="key s{i % 8}"></span>{escape(name)}</li>' for i, name in enumerate(legend))
    listed = f'<ul class="legend">{keys}</ul>' if len(legend) > 1 else ""
    return f"<figure><figcaption>{escape(title)}</figcaption>{''.join(pictures)}{listed}</figure>"


def html_table(table: plotly.Table) -> str:
    """Write a plot that is a table."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"  # `markdown` frames every table
