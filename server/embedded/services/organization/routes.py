"""organization.*: across projects."""

from __future__ import annotations

from typing import Any

from server.embedded.auth import COMPANY_NAME, WEB_USER
from server.embedded.endpoints import Call, endpoint
from server.embedded.objects import MODEL, PROJECT, TASK, Kind
from server.embedded.query.filters import Where, conditions
from server.embedded.services.organization import (
    download,  # noqa: F401 - registers
    usage,  # noqa: F401 - registers
)
from server.embedded.services.projects.values import tags_of, within

ENTITIES: dict[str, tuple[Kind, str]] = {
    "projects": (PROJECT, "1"),
    "tasks": (TASK, "task.type <> 'report'"),
    "models": (MODEL, "1"),
    "pipelines": (PROJECT, "1"),
    "pipeline_runs": (TASK, "1"),
    "datasets": (PROJECT, "1"),
    "dataset_versions": (TASK, "1"),
    "reports": (TASK, "task.type = 'report'"),
}
HIDDEN = "NOT EXISTS (SELECT 1 FROM tag WHERE object = {0}.id AND field = 'system_tags' AND tag = 'hidden')"


@endpoint("organization.get_user_companies")
def get_user_companies(call: Call) -> dict[str, Any]:
    """Tell the caller's one company and who is in it."""
    rows = call.db.execute("SELECT id, name, avatar FROM user WHERE id <> ? ORDER BY seq", (WEB_USER,)).fetchall()
    owners = [dict(row) for row in rows]
    return {"companies": [{"id": call.company, "name": COMPANY_NAME, "allocated": 1, "owners": owners}]}


@endpoint("organization.get_tags", version="2.8")
def get_tags(call: Call) -> dict[str, Any]:
    """List the tags of tasks and models together."""
    found: dict[str, set[str]] = {}
    for kind in (TASK, MODEL):
        for field, tags in tags_of(call, kind, within(call, kind.table, None)).items():
            found.setdefault(field, set()).update(tags)
    return {field: sorted(tags) for field, tags in found.items()}


@endpoint("organization.get_entities_count", version="2.20")
def get_entities_count(call: Call) -> dict[str, Any]:
    """Count objects by the filters given for each kind."""
    return {
        name: _count(call, kind, only, dict(call.body[name]))
        for name, (kind, only) in ENTITIES.items()
        if call.body.get(name) is not None
    }


def _count(call: Call, kind: Kind, only: str, chosen: dict[str, Any]) -> int:
    hidden = chosen.pop("search_hidden", None) or call.body.get("search_hidden")
    chosen.pop("shallow_search", None)
    where: Where = conditions(kind, chosen, call.company)
    where.add(only)
    if not hidden and not chosen.get("id"):
        where.add(HIDDEN.format(kind.table))
    users = call.body.get("active_users")
    if users:
        where.add(f"{kind.table}.user IN ({', '.join('?' * len(users))})", *users)
    sql = f"SELECT count(*) FROM {kind.table} WHERE {where.sql}"  # noqa: S608 - conditions over declared names
    return int(call.db.execute(sql, where.values).fetchone()[0])
