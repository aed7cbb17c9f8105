"""The viewer's addresses: its own short ones, and those of the web app that the SDK prints."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from server.embedded.errors import ApiError
from server.embedded.state import State
from server.embedded.viewer import draw, kept, text
from server.embedded.viewer.access import Access, login, logout
from server.embedded.viewer.read import (
    compare,
    curves,
    experiments,
    models,
    pipelines,
    projects,
    reports,
    task,
    workers,
)

_HERE = Path(__file__).parent
TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
    undefined=StrictUndefined,
)  # fmt: skip
TEMPLATES.filters.update(
    moment=text.moment, duration=text.duration, number=draw.number, safe_link=text.link, markdown=text.markdown
)
Shown = dict[str, Any]
Read = Callable[[sqlite3.Connection, Request], Shown | None]
TABS = {
    "overview": "Overview", "scalars": "Scalars", "plots": "Plots", "log": "Log", "artifacts": "Artifacts",
    "children": "Children",
}  # fmt: skip
# the last parts of the web app's addresses of a task, to our tabs
_WEB_APP = (
    ("log", "log"), ("scalar", "scalars"), ("plots", "plots"), ("debugImages", "plots"), ("artifacts", "artifacts"),
    ("models", "artifacts"), ("input-model", "artifacts"), ("output-model", "artifacts"),
)  # fmt: skip


def _page(request: Request) -> int:
    asked = request.query_params.get("page", "0")
    return min(int(asked), 10**6) if asked.isdecimal() else 0


def home(db: sqlite3.Connection, _: Request) -> Shown:
    """All projects, the newest experiments and pipelines beside them."""
    newest = experiments.table(db, projects.ANY, experiments.Asked(columns=()))["tasks"][:8]
    return {"projects": projects.tree(db), "newest": newest}


def project(db: sqlite3.Connection, request: Request) -> Shown | None:
    """One project: description, what is below it, reports."""
    found = projects.one(db, request.path_params["project"])
    if found is None:
        return None
    below = projects.tree(db) if found["id"] == projects.ANY else projects.tree(db, found["name"])
    shown = reports.table(db, None if found["id"] == projects.ANY else found["id"])
    return {"project": found, "projects": below} | shown


def experiment_table(db: sqlite3.Connection, request: Request) -> Shown | None:
    """The experiments of a project and all below it."""
    found = projects.one(db, request.path_params["project"])
    if found is None:
        return None
    return {"project": found} | experiments.table(db, found["id"], experiments.asked(request.query_params))


def one_task(db: sqlite3.Connection, request: Request) -> Shown | None:
    """One tab of a task."""
    found = task.one(db, request.path_params["task"])
    if found is None:
        return None
    tab = request.query_params.get("tab") or _tab_of(request.path_params.get("rest", ""))
    before = request.query_params.get("before", "")
    parts: dict[str, Callable[[], Shown]] = {
        "overview": lambda: {
            "metrics": task.metrics(db, found["id"]), "parameters": task.parameters(found),
            "configuration": task.configuration(found),
        },
        "scalars": lambda: {"charts": curves.of_task(db, found["id"])},
        "plots": lambda: task.plots(db, found["id"]),
        "log": lambda: task.log(db, found["id"], int(before[:18]) if before.isdecimal() else None),
        "artifacts": lambda: {"models": task.models(db, found)},
        "children": lambda: task.children(db, found["id"]),
    }  # fmt: skip
    tab = tab if tab in parts else "overview"
    return {"task": found, "tab": tab, "tabs": TABS} | parts[tab]()


def _tab_of(rest: str) -> str:
    return next((tab for part, tab in _WEB_APP if part in rest.split("/")), "overview")


def _ids(request: Request) -> list[str]:
    listed = [part for value in request.query_params.getlist("id") for part in value.split(",")]
    return listed + [part for part in request.path_params.get("ids", "").split(",") if part]


def compare_tasks(db: sqlite3.Connection, request: Request) -> Shown | None:
    """Experiments side by side."""
    return {"what": "experiment", "base": "/tasks/"} | compare.tasks(db, _ids(request))


def compare_models(db: sqlite3.Connection, request: Request) -> Shown | None:
    """Models side by side."""
    return {"what": "model", "base": "/models/"} | compare.models(db, _ids(request))


def model_table(db: sqlite3.Connection, request: Request) -> Shown | None:
    """The models of a project, or all."""
    found = projects.one(db, request.path_params.get("project", projects.ANY))
    if found is None:
        return None
    return {"project": found} | models.table(db, found["id"], request.query_params.get("q", "")[:200], _page(request))


def one_model(db: sqlite3.Connection, request: Request) -> Shown | None:
    """One model."""
    return models.one(db, request.path_params["model"])


def pipeline_table(db: sqlite3.Connection, request: Request) -> Shown | None:
    """Runs of pipelines."""
    project = request.path_params.get("project")
    return pipelines.runs(db, _page(request), None if project in {None, projects.ANY} else project)


def one_pipeline(db: sqlite3.Connection, request: Request) -> Shown | None:
    """One run of a pipeline, drawn."""
    return pipelines.one(db, request.path_params["task"])


def report_table(db: sqlite3.Connection, _: Request) -> Shown | None:
    """All reports."""
    return reports.table(db)


def one_report(db: sqlite3.Connection, request: Request) -> Shown | None:
    """One report."""
    return reports.one(db, request.path_params["report"], request.app.state.file_at)


def board(db: sqlite3.Connection, _: Request) -> Shown | None:
    """Workers and queues."""
    return workers.board(db)


def nothing(_: sqlite3.Connection, __: Request) -> Shown | None:
    """Read nothing: the page is words."""
    return {}


class Pages:
    """Turns what is read into pages."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.file_at = kept.addresses(state)

    def page(self, template: str, read: Read) -> Callable[[Request], Any]:
        """Make the handler of one kind of page."""

        def render(request: Request) -> Response:
            try:
                found = read(self.state.db.reader(), request)
            except ApiError as error:  # a filter that makes no sense
                return self.words(request, "That cannot be shown", error.message, 400)
            if found is None:
                return self.words(request, "Not found", "There is no such thing here, or it was deleted.", 404)
            return self.html(request, template, found, 200)

        async def handle(request: Request) -> Response:
            return await run_in_threadpool(render, request)

        return handle

    def words(self, request: Request, title: str, said: str, status: int) -> Response:
        """Answer a page of words."""
        return self.html(request, "words.html", {"title": title, "said": said}, status)

    def html(self, request: Request, template: str, values: Shown, status: int) -> Response:
        """Render; a page that has not changed is not sent again."""
        shown = {
            "here": request.url.path, "passwords": self.state.auth.password_mode, "urls": self.state.urls,
            "file_at": self.file_at,
        }  # fmt: skip
        body = TEMPLATES.get_template(template).render(**shown, **values).encode()
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return HTMLResponse(body, status, headers={"ETag": tag, "Cache-Control": "no-cache"})


async def _compare_form(request: Request) -> Response:
    """Take the table's tick boxes to the address of a comparison, which can be kept and sent."""
    kind = "models" if request.path_params["kind"] == "models" else "experiments"
    ids = ",".join(request.query_params.getlist("id")[: compare.MOST]) or "-"
    return RedirectResponse(f"/projects/*/compare-{kind};ids={ids}", 303)


def application(state: State) -> Starlette:
    """Build the ASGI application."""
    pages = Pages(state)
    show = pages.page
    a_task, a_model = show("task.html", one_task), show("model.html", one_model)
    a_project, a_report = show("project.html", project), show("report.html", one_report)
    a_pipeline, all_pipelines = show("pipeline.html", one_pipeline), show("pipelines.html", pipeline_table)
    of_tasks, of_models = show("compare.html", compare_tasks), show("compare.html", compare_models)
    table, model_list = show("experiments.html", experiment_table), show("models.html", model_table)
    routes = [
        ("/", show("home.html", home)), ("/projects", show("home.html", home)), ("/dashboard", show("home.html", home)),
        ("/tasks/{task}", a_task), ("/models", model_list), ("/models/{model}", a_model),
        ("/compare/{kind}", _compare_form),
        ("/pipelines", all_pipelines), ("/reports", show("reports.html", report_table)),
        ("/pipelines/{project}/experiments/{task}/graph", show("graph.html", one_pipeline)),
        ("/pipelines/{project}/experiments/{task}", a_pipeline), ("/pipelines/{project}/tasks/{task}", a_pipeline),
        ("/pipelines/{project}/experiments/{task}/{rest:path}", a_pipeline),
        ("/pipelines/{project}/tasks/{task}/{rest:path}", a_pipeline),
        ("/pipelines/{project}", all_pipelines), ("/pipelines/{project}/{rest:path}", all_pipelines),
        ("/reports/{project}/{report}", a_report), ("/reports/{project}/{report}/{rest:path}", a_report),
        ("/workers-and-queues", show("workers.html", board)),
        ("/workers-and-queues/{rest:path}", show("workers.html", board)),
        ("/settings", show("settings.html", nothing)), ("/settings/{rest:path}", show("settings.html", nothing)),
        ("/projects/{project}", a_project), ("/projects/{project}/overview", a_project),
        ("/projects/{project}/projects", a_project),
        ("/projects/{project}/experiments", table), ("/projects/{project}/tasks", table),
        ("/projects/{project}/experiments/{task}", a_task), ("/projects/{project}/tasks/{task}", a_task),
        ("/projects/{project}/experiments/{task}/{rest:path}", a_task),
        ("/projects/{project}/tasks/{task}/{rest:path}", a_task),
        ("/datasets/simple/{project}/experiments/{task}", a_task), ("/datasets/simple/{project}/tasks/{task}", a_task),
        ("/projects/{project}/models", model_list),
        ("/projects/{project}/models/{model}", a_model), ("/projects/{project}/models/{model}/{rest:path}", a_model),
        ("/projects/{project}/compare-experiments;ids={ids}", of_tasks),
        ("/projects/{project}/compare-experiments;ids={ids}/{rest:path}", of_tasks),
        ("/projects/{project}/compare-tasks;ids={ids}", of_tasks),
        ("/projects/{project}/compare-tasks;ids={ids}/{rest:path}", of_tasks),
        ("/projects/{project}/compare-models;ids={ids}", of_models),
        ("/projects/{project}/compare-models;ids={ids}/{rest:path}", of_models),
    ]  # fmt: skip
    found: list[Route | Mount] = [Route(path, handler, methods=["GET"]) for path, handler in routes]
    found += [
        Route("/login", login(state, TEMPLATES), methods=["GET", "POST"]),
        Route("/logout", logout(state), methods=["POST"]),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
        Route(f"{kept.PREFIX}{{path:path}}", kept.handler(state), methods=["GET", "HEAD"]),
        Route("/{rest:path}", show("words.html", lambda _, __: None), methods=["GET"]),
    ]
    made = Starlette(routes=found, middleware=[Middleware(Access, state=state)])
    made.state.file_at = pages.file_at
    return made
