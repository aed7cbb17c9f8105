"""Three pages: projects, a project's tasks, a task."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from server.embedded.auth import COMPANY
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.state import State

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
Read = Callable[[sqlite3.Connection, Request], dict[str, Any] | None]


def projects(db: sqlite3.Connection, _: Request) -> dict[str, Any]:
    """Read projects with the number of their tasks."""
    rows = db.execute(
        "SELECT project.id, project.name, count(task.id) AS tasks FROM project"
        " LEFT JOIN task ON task.project = project.id GROUP BY project.id ORDER BY project.name"
    )
    return {"title": "Projects", "projects": [dict(row) for row in rows]}


def project(db: sqlite3.Connection, request: Request) -> dict[str, Any] | None:
    """Read a project's newest tasks."""
    row = db.execute("SELECT id, name FROM project WHERE id = ?", (request.path_params["project"],)).fetchone()
    if row is None:
        return None
    body = {
        "project": [row["id"]], "order_by": ["-last_update"], "page": 0, "page_size": 200, "search_hidden": True,
        "only_fields": ["id", "name", "type", "status", "last_update", "tags", "project"],
    }  # fmt: skip
    return {"title": row["name"], "project": dict(row), "tasks": find(db, TASK, body, COMPANY).objects}


def task(db: sqlite3.Connection, request: Request) -> dict[str, Any] | None:
    """Read one task."""
    found = find(db, TASK, {"id": [request.path_params["task"]]}, COMPANY).objects
    if not found:
        return None
    item = found[0]
    name = db.execute("SELECT name FROM project WHERE id = ?", (item.get("project"),)).fetchone()
    metrics = [values for variants in item["last_metrics"].values() for values in variants.values()]
    return {
        "title": item["name"], "task": item, "project_name": name[0] if name else "",
        "metrics": sorted(metrics, key=lambda m: (m["metric"], m["variant"])),
        "parameters": [p for section in item.get("hyperparams", {}).values() for p in section.values()],
        "artifacts": item.get("execution", {}).get("artifacts", []),
    }  # fmt: skip


class Pages:
    """Handlers of the plain pages."""

    def __init__(self, state: State) -> None:
        self.state = state

    def page(self, template: str, read: Read) -> Callable[[Request], Any]:
        """Make the handler of one page."""

        def render(request: Request) -> Response:
            found = read(self.state.db.reader(), request)
            if found is None:
                return HTMLResponse(_TEMPLATES.get_template("page.html").render(title="Not found"), 404)
            return HTMLResponse(_TEMPLATES.get_template(template).render(**found))

        async def handle(request: Request) -> Response:
            return await run_in_threadpool(render, request)

        return handle


def _to_task(request: Request) -> Response:
    return RedirectResponse(f"/tasks/{quote(request.path_params['task'])}")


def application(state: State) -> Starlette:
    """Build the ASGI application."""
    pages = Pages(state)
    # the second and third routes are the links that the SDK prints
    return Starlette(
        routes=[
            Route("/", pages.page("projects.html", projects)),
            Route("/projects/{project}/{kind:str}/{task}/{rest:path}", _to_task),
            Route("/projects/{project}", pages.page("project.html", project)),
            Route("/projects/{project}/{rest:path}", pages.page("project.html", project)),
            Route("/tasks/{task}", pages.page("task.html", task)),
        ]
    )
