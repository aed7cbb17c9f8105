"""projects.* that list what occurs in projects: tags, metrics, parameters, parents, people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.embedded.auth import WEB_USER
from server.embedded.endpoints import Call, endpoint
from server.embedded.objects import MODEL, PROJECT, TASK, Kind
from server.embedded.query.filters import Where, conditions, marks, matching
from server.embedded.services.projects.stats import NOT_ARCHIVED
from server.embedded.services.projects.store import with_children

PAGE = 500


def within(call: Call, table: str, projects: Sequence[Any] | None, *, below: bool = True) -> Where:
    """Condition that an object is the company's and in one of some projects; in any when there are none."""
    where = Where()
    where.add(f"{table}.company IN (?, '')", call.company)
    ids = [str(item) for item in projects or () if item]
    if ids:
        ids = with_children(call.db, ids) if below else ids
        where.add(f"{table}.{'id' if table == 'project' else 'project'} IN ({marks(ids)})", *ids)
    return where


def tags_of(call: Call, kind: Kind, where: Where) -> dict[str, Any]:
    """List the tags of objects, and the system tags when asked for."""
    body = call.body
    chosen = dict(body.get("filter") or {})
    if chosen:
        more = conditions(kind, chosen, call.company)
        where.add(more.sql, *more.values)
    answer: dict[str, Any] = {}
    for field in ("tags", "system_tags"):
        if field == "system_tags" and not (body.get("include_system") or "system_tags" in chosen):
            continue
        rows = call.db.execute(
            f"SELECT DISTINCT tag FROM tag JOIN {kind.table} ON {kind.table}.id = tag.object WHERE tag.kind = ?"  # noqa: S608
            f" AND tag.field = ? AND {where.sql} ORDER BY tag",
            [kind.table, field, *where.values],
        )
        answer[field] = [row[0] for row in rows]
    return answer


@endpoint("projects.get_project_tags", version="2.17")
def get_project_tags(call: Call) -> dict[str, Any]:
    """List tags of projects."""
    return tags_of(call, PROJECT, within(call, "project", call.body.get("projects")))


@endpoint("projects.get_task_tags", version="2.8")
def get_task_tags(call: Call) -> dict[str, Any]:
    """List tags of tasks."""
    return tags_of(call, TASK, within(call, "task", call.body.get("projects")))


@endpoint("projects.get_model_tags", version="2.8")
def get_model_tags(call: Call) -> dict[str, Any]:
    """List tags of models."""
    return tags_of(call, MODEL, within(call, "model", call.body.get("projects")))


@endpoint("projects.get_unique_metric_variants")
def get_unique_metric_variants(call: Call) -> dict[str, Any]:
    """List the metrics and variants that tasks, or models, reported."""
    body = call.body
    table = "model" if body.get("model_metrics") else "task"
    where = within(
        call, table, [body["project"]] if body.get("project") else None, below=body.get("include_subprojects", True)
    )
    if body.get("ids"):
        where.add(f"{table}.id IN ({marks(body['ids'])})", *body["ids"])
    rows = call.db.execute(
        "SELECT metric, metric_hash, variant, variant_hash FROM metric_name WHERE EXISTS (SELECT 1 FROM series"  # noqa: S608 - conditions over declared names
        f" CROSS JOIN {table} ON {table}.id = series.object WHERE series.name = metric_name.id"
        f" AND series.value IS NOT NULL AND {where.sql}) ORDER BY metric, variant",
        where.values,
    )
    return {"metrics": [dict(row) for row in rows]}


def _page(body: dict[str, Any]) -> tuple[int, int]:
    size = min(max(int(body.get("page_size") or PAGE), 1), PAGE)
    return max(int(body.get("page") or 0), 0) * size, size


def _paged(body: dict[str, Any], found: list[Any], name: str) -> dict[str, Any]:
    offset, size = _page(body)
    part = found[offset : offset + size]
    return {"total": len(found), "remaining": max(len(found) - offset - len(part), 0), name: part}


@endpoint("projects.get_hyper_parameters", version="2.9")
def get_hyper_parameters(call: Call) -> dict[str, Any]:
    """List the sections and names of hyperparameters."""
    body = call.body
    where = within(
        call, "task", [body["project"]] if body.get("project") else None, below=body.get("include_subprojects", True)
    )
    rows = call.db.execute(
        "SELECT DISTINCT section.key AS section, item.key AS name FROM task, json_each(task.hyperparams) AS section,"  # noqa: S608 - as above
        f" json_each(section.value) AS item WHERE {where.sql} ORDER BY 1, 2",
        where.values,
    )
    return _paged(body, [dict(row) for row in rows], "parameters")


@endpoint("projects.get_hyperparam_values", version="2.13")
def get_hyperparam_values(call: Call) -> dict[str, Any]:
    """List the values one hyperparameter has."""
    body = call.body
    where = within(call, "task", body.get("projects"), below=body.get("include_subprojects", True))
    value = "item.value ->> '$.value'"
    if body.get("pattern"):
        sql, values = matching(value, str(body["pattern"]))
        where.add(sql, *values)
    rows = call.db.execute(
        f"SELECT DISTINCT {value} FROM task, json_each(task.hyperparams) AS section, json_each(section.value) AS item"  # noqa: S608 - as above
        f" WHERE section.key = ? AND item.key = ? AND {where.sql} ORDER BY 1",
        [body["section"], body["name"], *where.values],
    )
    paged = _paged(body, [row[0] for row in rows if row[0] is not None], "values")
    return {"total": paged["total"], "values": paged["values"]}


@endpoint("projects.get_model_metadata_keys", version="2.17")
def get_model_metadata_keys(call: Call) -> dict[str, Any]:
    """List the keys of models' metadata."""
    body = call.body
    where = within(
        call, "model", [body["project"]] if body.get("project") else None, below=body.get("include_subprojects", True)
    )
    rows = call.db.execute(
        f"SELECT DISTINCT item.key FROM model, json_each(model.metadata) AS item WHERE {where.sql} ORDER BY 1",  # noqa: S608
        where.values,
    )
    return _paged(body, [row[0] for row in rows], "keys")


@endpoint("projects.get_model_metadata_values", version="2.17")
def get_model_metadata_values(call: Call) -> dict[str, Any]:
    """List the values one key of models' metadata has."""
    body = call.body
    where = within(call, "model", body.get("projects"), below=body.get("include_subprojects", True))
    rows = call.db.execute(
        "SELECT DISTINCT item.value ->> '$.value' FROM model, json_each(model.metadata) AS item"  # noqa: S608 - as above
        f" WHERE item.key = ? AND {where.sql} ORDER BY 1",
        [body["key"], *where.values],
    )
    paged = _paged(body, [row[0] for row in rows if row[0] is not None], "values")
    return {"total": paged["total"], "values": paged["values"]}


@endpoint("projects.get_task_parents", version="2.12")
def get_task_parents(call: Call) -> dict[str, Any]:
    """List the tasks that are parents of tasks in projects."""
    body = call.body
    where = within(call, "task", body.get("projects"), below=body.get("include_subprojects", True))
    if body.get("tasks_state") == "active":
        where.add(NOT_ARCHIVED.format("task"))
    elif body.get("tasks_state") == "archived":
        where.add("NOT " + NOT_ARCHIVED.format("task"))
    if body.get("task_name"):
        sql, values = matching("up.name", str(body["task_name"]))
        where.add(sql, *values)
    rows = call.db.execute(
        "SELECT DISTINCT up.id, up.name, up.seq, project.id AS project, project.name AS project_name FROM task"  # noqa: S608 - as above
        " JOIN task AS up ON up.id = task.parent LEFT JOIN project ON project.id = up.project"
        f" WHERE {where.sql} ORDER BY up.name, up.seq",
        where.values,
    )
    parents = []
    for row in rows:
        parent: dict[str, Any] = {"id": row["id"], "name": row["name"]}
        if row["project"]:
            parent["project"] = {"id": row["project"], "name": row["project_name"]}
        parents.append(parent)
    return {"parents": parents}


@endpoint("projects.get_user_names", version="2.17")
def get_user_names(call: Call) -> dict[str, Any]:
    """List the people who made tasks or models in projects."""
    body = call.body
    table = "model" if body.get("entity") == "model" else "task"
    where = within(call, table, body.get("projects"), below=body.get("include_subprojects", True))
    rows = call.db.execute(
        f"SELECT user.id, user.name FROM user WHERE user.id <> ? AND user.id IN (SELECT {table}.user FROM {table}"  # noqa: S608
        f" WHERE {where.sql}) ORDER BY user.name",
        [WEB_USER, *where.values],
    )
    return {"users": [dict(row) for row in rows]}
