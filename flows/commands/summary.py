"""What happened, counted in the systems themselves: the store, the Sheet, Prefect, ClearML, Telegram's outbox."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from flows.clients.sheets import count_answers
from flows.commands import prefect_api
from flows.settings import Settings
from flows.store import Store

_STATES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "RUNNING", "PENDING", "SCHEDULED")


@dataclass(frozen=True)
class Summary:
    """Counts by system, as read from it."""

    people: int
    prompts: dict[str, int]
    sheet_rows: int
    flow_runs: dict[str, int]
    task_runs: dict[str, int]
    clearml: dict[str, Any]
    models: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for `--json`."""
        return asdict(self)

    def as_table(self) -> Table:
        """Return it as a table for people."""
        table = Table(title="What happened", title_justify="left", show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold")
        table.add_row("People enrolled", str(self.people))
        table.add_row("Prompts", _counts(self.prompts))
        table.add_row("Rows in the Sheet", str(self.sheet_rows))
        table.add_row("Prefect flow runs", _counts(self.flow_runs))
        table.add_row("Prefect task runs", _counts(self.task_runs))
        table.add_row("ClearML controllers", _counts(self.clearml["controllers"]))
        table.add_row("ClearML child tasks", _counts(self.clearml["children"]))
        table.add_row("ClearML metrics, artifacts", f"{self.clearml['metrics']}, {self.clearml['artifacts']}")
        for model in self.models:
            table.add_row("Registered model", f"{model['name']} v{model['version']} ({model['stage']})")
        table.add_row("Messages delivered", _counts(self.messages))
        for number, (name, url) in enumerate(self.addresses.items()):
            table.add_row("Start looking at" if number == 0 else "", f"{name}: {url}")
        return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


def summarise(settings: Settings, addresses: dict[str, str]) -> Summary:
    """Ask every system what it holds."""
    with Store.open(settings.database) as store:
        people = len(store.people.list())
        prompts = dict(store.prompts.counts())
        messages = dict(store.outbox.delivered_counts())
    return Summary(
        people=people,
        prompts=prompts,
        sheet_rows=count_answers(settings),
        flow_runs=_prefect_counts("flow_runs"),
        task_runs=_prefect_counts("task_runs"),
        clearml=_clearml_counts(settings.project),
        models=_models(settings.project),
        messages=messages,
        addresses=addresses,
    )


def _prefect_counts(kind: str) -> dict[str, int]:
    found: dict[str, int] = {}
    with prefect_api.client() as prefect:
        for state in _STATES:
            answer = prefect.post(f"{kind}/count", json={kind: {"state": {"type": {"any_": [state]}}}})
            found[state.lower()] = int(answer.raise_for_status().json())
    return {state: number for state, number in found.items() if number}


def _clearml_counts(project: str) -> dict[str, Any]:
    from clearml.backend_api.session.client import APIClient

    client = APIClient()
    projects = [p.id for p in client.projects.get_all(name=f"^{project}(/.*)?$", search_hidden=True)]
    controllers: Counter[str] = Counter()
    children: Counter[str] = Counter()
    metrics = artifacts = page = 0
    while True:
        tasks = client.tasks.get_all(
            project=projects,
            search_hidden=True,
            page=page,
            page_size=500,
            order_by=["created"],
            only_fields=["id", "parent", "type", "status", "last_metrics", "execution.artifacts"],
        )
        for task in tasks:
            kind = children if getattr(task, "parent", None) else controllers
            kind[str(task.status)] += 1
            data = task.to_dict()
            metrics += sum(len(variants) for variants in (data.get("last_metrics") or {}).values())
            artifacts += len((data.get("execution") or {}).get("artifacts") or [])
        if len(tasks) < 500:
            break
        page += 1
    return {"controllers": dict(controllers), "children": dict(children), "metrics": metrics, "artifacts": artifacts}


def _models(project: str) -> list[dict[str, Any]]:
    from clearml_utils import registry

    found = [
        registry.champion(name, project) or registry.versions(name, project)[-1] for name in registry.names(project)
    ]
    return [{"name": m.name, "version": m.version, "id": m.id, "stage": m.stage} for m in found]
