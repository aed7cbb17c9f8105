"""The table of experiments: filters, order, metric columns, one page of it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from server.embedded.auth import COMPANY
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.query.filters import conditions, marks
from server.embedded.viewer.read import compare, projects

PAGE = 50
DEFAULT_METRICS = 3
LOOKED_AT = 200  # newest experiments whose metrics are offered as columns
OFFERED = 60
SORTABLE = ("name", "type", "status", "started", "active_duration", "last_update")
STATUSES = ("created", "queued", "in_progress", "stopped", "completed", "failed", "published", "closed")


@dataclass(frozen=True)
class Asked:
    """What an address asks of the table.

    Attributes
    ----------
    sort
        A field of `SORTABLE` or a metric column's key, `-` before it for descending.
    columns
        Keys of metric columns, `<metric hash>.<variant hash>`; None for the usual ones.
    """

    text: str = ""
    status: str = ""
    type: str = ""
    tag: str = ""
    sort: str = "-last_update"
    columns: tuple[str, ...] | None = None
    page: int = 0

    def query(self, **changes: Any) -> str:
        """Write as the query of an address, with changes."""
        new = replace(self, **changes)
        pairs = [("q", new.text), ("status", new.status), ("type", new.type), ("tag", new.tag), ("sort", new.sort)]
        pairs += [("m", key) for key in new.columns or ()]
        pairs += [("chosen", "1")] if new.columns is not None else []
        pairs += [("page", str(new.page))] if new.page else []
        return urlencode([(key, value) for key, value in pairs if value])

    def sorted_by(self, key: str) -> str:
        """Query that orders by a column, the other way round when it already does."""
        return self.query(sort=f"-{key}" if self.sort == key else key, page=0)

    def direction(self, key: str) -> str:
        """`aria-sort` of a column."""
        return {key: "ascending", f"-{key}": "descending"}.get(self.sort, "none")


def asked(params: QueryParams) -> Asked:
    """Read the query of an address; what makes no sense is left out."""
    keys = tuple(key for key in params.getlist("m") if _is_key(key))
    sort = params.get("sort", "-last_update")
    if sort.lstrip("-") not in SORTABLE and not _is_key(sort.lstrip("-")):
        sort = "-last_update"
    page = params.get("page", "0")
    return Asked(
        params.get("q", "")[:200], params.get("status", ""), params.get("type", ""), params.get("tag", ""), sort,
        keys if keys or params.get("chosen") else None, min(int(page), 10**6) if page.isdecimal() else 0,
    )  # fmt: skip


def _is_key(text: str) -> bool:
    first, _, second = text.partition(".")
    return len(first) == len(second) == 32 and (first + second).isalnum()


def metrics_of(db: sqlite3.Connection, where: str, values: list[Any]) -> list[dict[str, str]]:
    """Metrics that the newest of some experiments reported: key, metric, variant."""
    newest = [
        row[0]
        for row in db.execute(
            f"SELECT task.id FROM task WHERE {where} ORDER BY task.last_update DESC LIMIT ?",  # noqa: S608 - built here
            [*values, LOOKED_AT],
        )
    ]
    rows = db.execute(
        "SELECT n.metric, n.variant, metric_hash || '.' || variant_hash AS key, count(*) AS n FROM series"  # noqa: S608
        f" JOIN metric_name n ON n.id = series.name WHERE value IS NOT NULL AND object IN ({marks(newest)})"
        " GROUP BY series.name ORDER BY n DESC, n.metric, n.variant LIMIT ?",
        [*newest, OFFERED],
    )
    return [{"key": r["key"], "metric": r["metric"], "variant": r["variant"], "name": _short(r)} for r in rows]


def _short(row: sqlite3.Row) -> str:
    same = row["metric"] in {row["variant"], "Summary"}
    return str(row["variant"] if same else f"{row['metric']} / {row['variant']}")


def table(db: sqlite3.Connection, project: str, want: Asked) -> dict[str, Any]:
    """Read one page of the table."""
    body = _filters(db, project, want)
    base = conditions(TASK, {"project": body["project"]}, COMPANY)
    offered = metrics_of(db, f"{base.sql} AND type <> 'report'", base.values)
    known = {item["key"]: item for item in offered}
    usual = [item["key"] for item in offered if not item["variant"].endswith((compare.LOW, compare.HIGH))]
    picked = usual[:DEFAULT_METRICS] if want.columns is None else list(want.columns)
    columns = [known[key] for key in picked if key in known]
    order = want.sort
    if order.lstrip("-") not in SORTABLE:
        order = f"{'-' if order.startswith('-') else ''}last_metrics.{order.lstrip('-')}.value"
    fields = ["id", "name", "type", "status", "started", "active_duration", "last_update", "tags", "project", "runtime"]
    fields += [f"last_metrics.{item['key']}" for item in columns]
    where = conditions(TASK, body, COMPANY)
    total = db.execute(f"SELECT count(*) FROM task WHERE {where.sql}", where.values).fetchone()[0]  # noqa: S608
    request = body | {"order_by": [order], "page": want.page, "page_size": PAGE, "only_fields": fields}
    tasks = find(db, TASK, request, COMPANY).objects
    for task in tasks:
        task["values"] = [_value(task, item["key"]) for item in columns]
    return {
        "tasks": tasks, "columns": columns, "offered": offered, "total": total, "asked": want, "statuses": STATUSES,
        "types": _types(db), "first": want.page * PAGE, "page_size": PAGE, "names": project_names(db, tasks),
    }  # fmt: skip


def _types(db: sqlite3.Connection) -> list[str]:
    return sorted({row[0] for row in db.execute("SELECT type FROM task ORDER BY last_update DESC LIMIT 500")})


def _value(task: dict[str, Any], key: str) -> float | None:
    first, second = key.split(".")
    found = task.get("last_metrics", {}).get(first, {}).get(second, {})
    value: float | None = found.get("value")
    return value


def project_names(db: sqlite3.Connection, objects: list[dict[str, Any]]) -> dict[str, str]:
    """Names of the projects some objects are in."""
    ids = sorted({item["project"] for item in objects if item.get("project")})
    return dict(db.execute(f"SELECT id, name FROM project WHERE id IN ({marks(ids)})", ids).fetchall())  # noqa: S608


def _filters(db: sqlite3.Connection, project: str, want: Asked) -> dict[str, Any]:
    body: dict[str, Any] = {"project": projects.inside(db, project) or None, "search_hidden": True}
    body["status"] = [want.status] if want.status in STATUSES else None
    body["type"] = [want.type] if want.type else ["-report"]
    body["tags"] = ["__$all", want.tag] if want.tag else None
    if want.text:
        escaped = "".join(f"\\{c}" if not (c.isalnum() or c in " -_/") else c for c in want.text)
        body["_any_"] = {"fields": ["name", "id", "tags"], "pattern": escaped}
    return body
