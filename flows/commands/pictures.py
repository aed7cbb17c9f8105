"""Which pictures there are to take of a running stack: the address, what must be seen there, and what is behind it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from flows.forecast.model import NAME as FORECASTER

OFFICIAL = "official ClearML web app"
VIEWER = "built-in viewer"
PREFECT = "Prefect"
TELEGRAM = "local Telegram"
SHEETS = "local Sheets"
TERMINAL = "make demo"


@dataclass(frozen=True)
class Shot:
    """One picture to take.

    Attributes
    ----------
    name
        File name without its ending.
    url
        What to open, None where the run has nothing of the kind.
    source
        Which server or web app shows it.
    see
        Selectors of Playwright that must be visible: a picture of an error or of an empty page is no picture.
    click
        Selector of what is opened before the picture is taken, every match of it.
    """

    name: str
    url: str | None
    source: str
    see: tuple[str, ...] = ()
    click: str = ""


@dataclass(frozen=True)
class Facts:
    """Ids of what there is to picture.

    Attributes
    ----------
    task
        The experiment with most metrics, curves before single values.
    alike
        Runs of the same task, to be compared.
    cycle
        The newest run of the whole path.
    versions
        Versions of the forecast model, the newest first.
    """

    project: str | None
    task: Mapping[str, Any] | None
    plots: Mapping[str, Any] | None
    alike: tuple[Mapping[str, Any], ...]
    cycle: Mapping[str, Any] | None
    models: tuple[Mapping[str, Any], ...]
    versions: tuple[Mapping[str, Any], ...]
    report: Mapping[str, Any] | None


def facts(project: str) -> Facts:
    """Ask ClearML what the run left."""
    from clearml.backend_api.session.client import APIClient

    session = APIClient().session

    def ask(endpoint: str, **body: Any) -> Any:
        service, _, action = endpoint.partition(".")
        return session.send_request(service, action, method="post", json=body).json()["data"]

    root = ask("projects.get_all", name=f"^{project}$", only_fields=["id"])["projects"]
    named = {"name": f"^{project}(/.*)?$", "search_hidden": True, "only_fields": ["id", "name"]}
    below = {p["id"]: p["name"] for p in ask("projects.get_all", **named)["projects"]}
    fields = ["id", "name", "project", "parent", "last_metrics", "hyperparams", "type", "status", "created"]
    tasks = ask("tasks.get_all", project=list(below) or [""], search_hidden=True, only_fields=fields, page=0,
                page_size=500, order_by=["-last_update"])["tasks"]  # fmt: skip
    models = ask("models.get_all", only_fields=["id", "name", "project"], order_by=["-created"])["models"]
    reports = ask("reports.get_all_ex", only_fields=["id", "name", "project.id"], order_by=["name"])["tasks"]
    cycles = [t for t in tasks if t["type"] == "controller" and below[t["project"]].endswith("/cycle")]
    rich = sorted((t for t in tasks if t["type"] not in {"report", "controller"}), key=_richness, reverse=True)
    drawn = [t for t in rich[:40] if ask("events.get_task_plots", task=t["id"], iters=1)["plots"]]
    return Facts(
        project=root[0]["id"] if root else None, task=rich[0] if rich else None, plots=drawn[0] if drawn else None,
        alike=_alike(rich), cycle=cycles[0] if cycles else None, models=tuple(models),
        versions=tuple(m for m in models if m["name"] == FORECASTER),
        report=next((r for r in reports if r["name"].startswith("Wellbeing")), reports[0] if reports else None),
    )  # fmt: skip


def _richness(task: Mapping[str, Any]) -> tuple[int, int]:
    names = [item["metric"] for variants in (task.get("last_metrics") or {}).values() for item in variants.values()]
    return sum(name != "Summary" for name in names), len(names)


def _alike(rich: list[dict[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Up to three runs of one task, to be compared.

    The best candidates of the newest training that searched their parameters; or else runs whose names differ in a
    number only, of a task whose parameters differ, if any.
    """
    searched = [t for t in rich if t["name"].startswith("candidate ") and "loss" in _metrics(t)]
    newest = [t for t in searched if t["parent"] == max(searched, key=lambda t: t["created"])["parent"]]
    if len(newest) > 2:
        return tuple(sorted(newest, key=lambda t: -_metrics(t).get("skill", -1.0))[:3])
    stems: dict[str, list[dict[str, Any]]] = {}
    for task in rich:
        stems.setdefault(re.sub(r"-\w{3}$|\s\d+$", "", task["name"]), []).append(task)
    groups = [group[:3] for group in stems.values() if len(group) > 1]
    groups.sort(key=lambda g: (_different(g), len(g), _richness(g[1])))
    return tuple(groups[-1]) if groups else ()


def _metrics(task: Mapping[str, Any]) -> dict[str, float]:
    """Last values by variant."""
    found = (task.get("last_metrics") or {}).values()
    return {item["variant"]: float(item["value"]) for variants in found for item in variants.values()}


def _different(group: list[dict[str, Any]]) -> int:
    """How many of the runs differ in parameters and in numbers."""
    told = {json.dumps([_values(t.get("hyperparams")), _values(t.get("last_metrics"))]) for t in group}
    asked = {json.dumps(_values(t.get("hyperparams"))) for t in group}
    return len(told) + len(asked)


def _values(sections: Mapping[str, Mapping[str, Any]] | None) -> list[str]:
    return [str(i.get("value")) for n, s in sorted((sections or {}).items()) if n != "properties" for i in s.values()]


def clearml_shots(source: str, base: str | None, found: Facts) -> list[Shot]:
    """Pages of ClearML, in one of its two web apps; `base` is None where that one is not there."""
    paths = viewer_pages(found) if source == VIEWER else official_pages(found)
    prefix = "viewer" if source == VIEWER else "webapp"
    return [
        Shot(
            f"{prefix}-{name}",
            f"{base}{path}" if base and path else None,
            source,
            see,
            OPEN.get(f"{prefix}-{name}", ""),
        )
        for name, (path, see) in paths.items()
    ]


CHARTS = (".js-plotly-plot, svg.main-svg, sm-single-value-summary-table",)  # of the official web app
OPEN = {"webapp-model-comparison": "text=/^metadata$/i >> visible=true"}
Pages = dict[str, tuple[str | None, tuple[str, ...]]]


def _ids(rows: tuple[Mapping[str, Any], ...]) -> str | None:
    return ",".join(row["id"] for row in rows[:3]) if len(rows) > 1 else None


def _of(row: Mapping[str, Any] | None, path: str) -> str | None:
    return None if row is None else path.format(project=row["project"], id=row["id"])


def _report(found: Facts) -> str | None:
    return f"/reports/{found.report['project']['id']}/{found.report['id']}" if found.report else None


def _table(found: Facts) -> str | None:
    """Page of the table of experiments: those that are compared among their like, where there are such."""
    named = {task["name"].split()[0] for task in found.alike}
    return found.project and f"/projects/{found.project}/experiments" + (f"?q={named.pop()}" if len(named) == 1 else "")


def viewer_pages(found: Facts) -> Pages:
    """Pages of the built-in viewer."""
    alike, same = _ids(found.alike), _ids(found.versions)
    version = found.versions[0] if found.versions else None
    return {
        "projects": ("/projects", ("text=Newest experiments",)),
        "credentials": ("/settings/workspace-configuration", ("text=CLEARML_API_HOST",)),
        "experiments": (_table(found), ("tbody th a",)),
        "experiment": (_of(found.task, "/tasks/{id}"), ("text=Parameters",)),
        "scalars": (_of(found.task, "/tasks/{id}?tab=scalars"), ("svg.chart",)),
        "plots": (_of(found.plots, "/tasks/{id}?tab=plots"), ("main section",)),
        "comparison": (alike and f"/projects/*/compare-tasks;ids={alike}", ("h2 >> text=Metrics",)),
        "report": (_report(found), ("article p",)),
        "models": ("/models", ("tbody th a",)),
        "versions": (f"/models?q={FORECASTER}" if version else None, ("tbody th a",)),
        "metadata": (_of(version, "/models/{id}"), ("text=Metadata",)),
        "model-comparison": (same and f"/projects/*/compare-models;ids={same}", ("h2 >> text=Metadata",)),
        "pipeline": (_of(found.cycle, "/pipelines/{project}/experiments/{id}"), ("svg.graph",)),
        "queues": ("/workers-and-queues", ("text=Workers",)),
    }


def official_pages(found: Facts) -> Pages:
    """Pages of the official web app."""
    alike, same = _ids(found.alike), _ids(found.versions)
    version = found.versions[0] if found.versions else None
    model = "/projects/{project}/models/{id}"
    task = "/projects/{project}/tasks/{id}"
    return {
        "projects": ("/dashboard", ("text=Moodflow",)),
        "credentials": ("/settings/workspace-configuration", ("text=/create new credentials/i",)),
        "experiments": ("/projects/*/tasks", ("text=/completed/i",)),
        "experiment": (_of(found.task, f"{task}/hyper-params/hyper-param/Args"), ("text=/hyperparameters/i",)),
        "scalars": (_of(found.task, f"{task}/info-output/metrics/scalar"), CHARTS),
        "plots": (_of(found.plots, f"{task}/info-output/metrics/plots"), CHARTS),
        "comparison": (alike and f"/projects/*/compare-tasks;ids={alike}/hyper-params/values", ("text=Args",)),
        "report": (_report(found), ("text=people",)),
        "models": (f"/projects/{found.project}/models" if found.project else None, (f"text={FORECASTER}",)),
        "versions": (f"/projects/*/models?q={FORECASTER}" if version else None, (f"text={FORECASTER}",)),
        "model": (_of(version, f"{model}/general"), (f"text={FORECASTER}",)),
        "metadata": (_of(version, f"{model}/metadata"), ("text=data_hash",)),
        "model-comparison": (
            same and f"/projects/*/compare-models;ids={same}/models-details",
            ("text=/^general$/i >> visible=true",),
        ),
        "pipeline": (_of(found.cycle, "/pipelines/{project}/tasks/{id}"), ("text=collect", "text=/updated .* ago/i")),
        "queues": ("/workers-and-queues/queues", ("text=default",)),
    }  # fmt: skip


def prefect_shots(base: str, api: httpx.Client) -> list[Shot]:
    """Pages of Prefect: runs, deployments, one of them with its schedule, automations."""
    one = api.get("deployments/name/cycle/cycle")
    cycle = one.json()["id"] if one.status_code == httpx.codes.OK else None
    return [
        Shot("prefect-runs", f"{base}/runs", PREFECT, ("text=cycle",)),
        Shot("prefect-deployments", f"{base}/deployments", PREFECT, ("text=dashboards",)),
        Shot("prefect-schedule", cycle and f"{base}/deployments/deployment/{cycle}", PREFECT, ("text=/schedules/i",)),
        Shot("prefect-automations", f"{base}/automations", PREFECT, ("text=failed run",)),
    ]


def sheet_shot(root: str) -> Shot:
    """The answers on the local Sheets' page."""
    if not root.startswith("http://127"):
        return Shot("sheet", None, SHEETS)
    book = re.search(r'href="/?(\?id=[^"]+)"', httpx.get(f"{root}/").text)
    if book is None:
        return Shot("sheet", None, SHEETS)
    answers = re.search(r'href="/?(\?[^"]+)">answers<', httpx.get(f"{root}/{html.unescape(book[1])}").text)
    return Shot("sheet", f"{root}/{html.unescape((answers or book)[1])}", SHEETS, ("text=response_id",))
