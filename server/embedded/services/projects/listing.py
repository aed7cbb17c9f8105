"""projects.get_all_ex: lists of projects with numbers about them."""

from __future__ import annotations

from typing import Any

from server.embedded.endpoints import Call, endpoint
from server.embedded.objects import PROJECT
from server.embedded.query import find
from server.embedded.query.filters import Where, conditions, marks
from server.embedded.services.projects import stats

EXTRA = ("stats", "sub_projects", "own_tasks", "own_models", "own_datasets", "hidden", "dataset_stats")
PATTERNS = ("name", "basename", "description")
HIDDEN = "EXISTS (SELECT 1 FROM tag WHERE object = project.id AND field = 'system_tags' AND tag = 'hidden')"


def visible(call: Call) -> Where:
    """Conditions on lists of projects: hidden ones, depth, who was active, what lies below."""
    body = call.body
    where = Where()
    if not body.get("search_hidden") and not body.get("id"):
        where.add(f"NOT {HIDDEN}")
    if body.get("shallow_search") and not body.get("parent"):
        where.add("project.parent IS NULL")
    if body.get("search_text"):
        like = f"%{body['search_text']}%"
        where.add(
            "(project.name LIKE ? OR project.description LIKE ? OR project.id = ?)", like, like, body["search_text"]
        )
    if body.get("active_users"):
        _among(where, stats.active_in(call.db, [str(user) for user in body["active_users"]]))
    if body.get("children_type"):
        tags = body.get("children_tags")
        inner = conditions(PROJECT, {"tags": tags}, call.company) if tags else None
        _among(where, stats.holding(call.db, str(body["children_type"]), inner))
        where.add(f"NOT {HIDDEN}")
    return where


def _among(where: Where, ids: set[str]) -> None:
    where.add(f"project.id IN ({marks(list(ids))})", *ids)


@endpoint("projects.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List projects with whatever numbers are asked for."""
    body = dict(call.body)
    if body.get("only_fields"):
        body["only_fields"] = [path for path in body["only_fields"] if path.split(".")[0] not in EXTRA] or ["id"]
    page = find(
        call.db, PROJECT, body, call.company, extra=visible(call), compute=_plain, expanded=True, patterns=PATTERNS
    )
    projects = page.objects
    if projects:
        _decorate(call, projects)
    return page.answer("projects")


def _decorate(call: Call, projects: list[dict[str, Any]]) -> None:
    body = call.body
    asked = body.get("only_fields") or ()
    for item in projects:
        if "path" not in asked:
            item.pop("path", None)
    if body.get("search_hidden"):
        ids = [item["id"] for item in projects]
        rows = call.db.execute(f"SELECT id FROM project WHERE id IN ({marks(ids)}) AND {HIDDEN}", ids)  # noqa: S608
        hidden = {row[0] for row in rows}
        for item in projects:
            if item["id"] in hidden:
                item["hidden"] = True
    if body.get("check_own_contents"):
        stats.own_contents(call.db, projects)
    if body.get("include_stats"):
        stats.add_stats(call.db, projects, body, call.company, call.now)
    if body.get("include_dataset_stats"):
        stats.dataset_stats(call.db, projects)


def _plain(*_: Any) -> None:
    """The numbers are filled in after the fields are cut."""


__all__ = ["get_all_ex", "visible"]
