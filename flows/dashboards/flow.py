"""Builds the ClearML Reports anew from what ClearML and the private store hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from clearml_utils import current_record, flow, registry, task
from flows import settings as product
from flows.dashboards import pages
from flows.dashboards.pages import Chart, Numbers, Version
from flows.notify.policy import NAME as POLICY
from flows.settings import Settings
from flows.store import Store
from flows.survey.definition import load

WELLBEING, QUALITY = ("level by day", "indices over people", "group level"), ("data quality",)


@flow(name="dashboards", flow_run_name="dashboards", capture="summary")
def dashboards() -> dict[str, str]:
    """Refresh the reports. Returns title to address."""
    settings = product.load()
    numbers: Any = read_numbers(settings)
    links: Any = write_reports(settings, numbers)
    found: dict[str, str] = links
    return found


@task(name="read numbers", retries=2, capture="none")
def read_numbers(settings: Settings) -> Numbers:
    """Read aggregates from ClearML and counts from the private store."""
    client, study = _client(), load(settings.survey)
    last = _last(client, settings.project, "indices and reports")
    metrics = _metrics(last)
    with Store.open(settings.database) as store:
        prompts = dict(store.prompts.counts(study.name))
        delivered = dict(store.outbox.delivered_counts())
    found = [
        _version(v) for name in registry.names(settings.project) for v in registry.versions(name, settings.project)
    ]
    return Numbers(
        project=settings.project, people=int(metrics.get("people", 0)), indices=metrics,
        charts={
            "wellbeing": _plots(client, last, WELLBEING),
            "quality": _plots(client, _last(client, settings.project, "read the Sheet"), QUALITY),
        },
        statuses=_statuses(client, settings.project), models=[v for v in found if v.name != POLICY],
        policies=[v for v in found if v.name == POLICY], delivered=delivered, prompts=prompts,
    )  # fmt: skip


@task(name="write reports", retries=2, capture="none")
def write_reports(settings: Settings, numbers: Numbers) -> dict[str, str]:
    """Store each page as a ClearML Report, and link them from the project's description."""
    client, record = _client(), current_record()
    web = client.session.get_app_server_host().rstrip("/")
    project = _project(client, settings.project)
    written = pages.pages(numbers, web)
    drawn = pages.figures(numbers)
    for title, figure in drawn.items():
        record.figure(title, figure)
    made = record.wait_for_id(DELIVERY_S) if drawn else None
    if made is not None:
        shown = {title: pages.embed(Chart(made, title, "figure"), web) for title in drawn}
        written = {t: "\n\n".join(part for part in (text, shown.get(t)) if part) for t, text in written.items()}
    links = {title: _store(client, project["id"], title, text, web) for title, text in written.items()}
    text = pages.description(project.get("description") or "", links)
    _send(client, "projects.update", project=project["id"], description=text)
    record.values({"reports": len(links), "people": numbers.people})
    return links


DELIVERY_S = 20.0  # longest wait until ClearML has the task that the charts are kept in


def _client() -> Any:
    import clearml  # noqa: F401, PLC0415 - the whole first: the recorder's thread may be importing it
    from clearml.backend_api.session.client import APIClient  # noqa: PLC0415 - a second that only a run needs

    return APIClient()


def _send(client: Any, endpoint: str, **body: Any) -> dict[str, Any]:
    """Call an endpoint that the SDK has no typed request for.

    Raises
    ------
    RuntimeError
        The server refused; the text is its own.
    """
    service, _, action = endpoint.partition(".")
    answer = client.session.send_request(service, action, method="post", json=body)
    said = answer.json()
    if answer.status_code != 200:
        raise RuntimeError(f"{endpoint}: {said['meta']['result_msg']}")
    data: dict[str, Any] = said["data"]
    return data


def _project(client: Any, name: str) -> dict[str, Any]:
    pattern = f"^{re.escape(name)}$"
    found = _send(client, "projects.get_all", name=pattern, only_fields=["id", "name", "description"])["projects"]
    if found:
        project: dict[str, Any] = found[0]
        return project
    return _send(client, "projects.create", name=name, description="")


def _below(client: Any, project: str) -> list[str]:
    found = _send(
        client, "projects.get_all", name=f"^{re.escape(project)}(/.*)?$", search_hidden=True, only_fields=["id"]
    )
    return [row["id"] for row in found["projects"]]


def _last(client: Any, project: str, name: str) -> dict[str, Any] | None:
    found = _send(
        client, "tasks.get_all", project=_below(client, project) or [""], name=f"^{name}", status=["completed"],
        order_by=["-last_update"], page=0, page_size=1, search_hidden=True, only_fields=["id", "last_metrics"],
    )["tasks"]  # fmt: skip
    return found[0] if found else None


def _metrics(row: dict[str, Any] | None) -> dict[str, float]:
    found = ((row or {}).get("last_metrics") or {}).values()
    return {item["variant"]: float(item["value"]) for variants in found for item in variants.values()}


def _plots(client: Any, row: dict[str, Any] | None, metrics: Sequence[str]) -> list[Chart]:
    if row is None:
        return []
    events = _send(client, "events.get_task_plots", task=row["id"], iters=1)["plots"]
    return [Chart(row["id"], e["metric"], e["variant"]) for m in metrics for e in events if e["metric"] == m]


def _statuses(client: Any, project: str) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    pattern = f"^{re.escape(project)}(/.*)?$"
    found = _send(client, "projects.get_all", name=pattern, search_hidden=True, only_fields=["id", "name"])
    flows = {row["id"]: row["name"].rpartition("/")[2] for row in found["projects"]}
    page, size = 0, 500
    while True:
        rows = _send(
            client, "tasks.get_all", project=list(flows) or [""], type=["controller"], page=page, page_size=size,
            search_hidden=True, order_by=["created"], only_fields=["status", "project"],
        )["tasks"]  # fmt: skip
        for row in rows:
            counts.setdefault(flows[row["project"]], Counter())[row["status"]] += 1
        if len(rows) < size:
            return {name: dict(states) for name, states in counts.items()}
        page += 1


def _version(found: registry.ModelVersion) -> Version:
    people = found.metadata.get("people", "")
    return Version(found.name, found.version, found.stage, found.metrics, int(people) if people.isdecimal() else None)


def _store(client: Any, project: str, title: str, text: str, web: str) -> str:
    """Write a report under its title: the one that is there is edited, so that links to it stay good."""
    rows = _send(client, "reports.get_all_ex", project=[project], only_fields=["id", "name", "status", "project.id"])
    same = [row for row in rows["tasks"] if row["name"] == title and row["status"] == "created"]
    if same:
        _send(client, "reports.update", task=same[0]["id"], report=text)
        return f"{web}/reports/{same[0]['project']['id']}/{same[0]['id']}"
    made = _send(client, "reports.create", project=project, name=title, report=text, tags=["dashboard"])
    return f"{web}/reports/{made['project_id']}/{made['id']}"
