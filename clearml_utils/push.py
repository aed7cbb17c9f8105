"""Move everything from one ClearML server to another, through the public API alone.

Projects, tasks with parameters, configuration, scalars, plots, samples, logs, artifacts and status; models with files,
metadata and tags; and what refers to what. Ids differ on the target: every id of a task, model or project that occurs
in a copied text is replaced by the new one. Copies are created in the order of their originals, with the original time
of creation where the server takes it; the times of a task are kept in its `runtime` in any case.

*Idempotent.* Each copy carries the system tag `origin:<id>`, given in the call that creates it, so that a repeat finds
it. *Resumable.* A task whose copy is verified says so in its `runtime`; one that is not is emptied and filled again.
*Verified.* Events are counted and hashed as read back from both sides; every file is read back and compared by its
SHA-256.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clearml_utils.endpoint import Endpoint
from clearml_utils.errors import Rejected, TrackingError, Unreachable
from clearml_utils.push_content import EVENT_TYPES, Digest, event_copy, swap_ids

ORIGIN = "origin:"
_MOVED = "moved"
_DONE = "origin_done"
_LASTING = {"created", "completed", "stopped", "failed", "closed", "published"}
_TASK_FIELDS = (
    "type",
    "comment",
    "tags",
    "output_dest",
    "execution",
    "script",
    "hyperparams",
    "configuration",
    "container",
)
_MODEL_FIELDS = ("name", "comment", "tags", "framework", "design", "labels")
_PATIENCE = (0.5, 1, 2, 4, 8, 15, 30)


class Mismatch(TrackingError):
    """What was read back from the target is not what the source holds."""


@dataclass
class Moved:
    """What a push did.

    Attributes
    ----------
    copied, present
        Objects copied now, and found complete from before, by kind.
    events
        Events copied, by type.
    files, bytes
        Files copied and verified.
    skipped
        Task id -> why it was left out (still running).
    missing
        Addresses of files the source names but does not hold.
    digests
        Target task id -> hash of its events, equal on both sides.
    """

    copied: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    files: int = 0
    bytes: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)


class Push:
    """One move from `source` to `target`.

    Parameters
    ----------
    project
        Only this project and those below it; all of them by default.
    tell
        Called with (done, total, name) after each object.
    """

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        *,
        project: str | None = None,
        tell: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
    ) -> None:
        self._source, self._target, self._project, self._tell = source, target, project, tell
        self._ids: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self.moved = Moved()

    def run(self) -> Moved:
        """Copy what is not there yet.

        Raises
        ------
        Mismatch
            A copy differs from its source; it is not marked as done, a repeat fills it again.
        Unreachable, BadCredentials, Rejected
            As the server concerned answers; a repeat goes on where this ended.
        """
        projects = self._projects()
        tasks, models = self._listed("tasks", projects), self._listed("models", projects)
        there = {kind: self._there(kind) for kind in ("tasks", "models")}
        total = len(tasks) + len(models)
        for task in tasks:  # shells first: a child needs its parent, a text may name any task
            self._ids[task["id"]] = there["tasks"].get(task["id"], {}).get("id") or self._shell(task)
        for number, model in enumerate(models, 1):
            self._model(model, there["models"].get(model["id"]))
            self._tell(number, total, str(model.get("name")))
        for number, task in enumerate(tasks, len(models) + 1):
            self._task(task, there["tasks"].get(task["id"]))
            self._tell(number, total, str(task.get("name")))
        return self.moved

    # projects

    def _projects(self) -> list[str]:
        where = {"search_hidden": True, "only_fields": ["id", "name", "description", "tags", "system_tags", "company"]}
        here = [p for p in self._source.pages("projects.get_all", "projects", **where) if self._wanted(p)]
        there = {p["name"]: p["id"] for p in self._target.pages("projects.get_all", "projects", **where)}
        for project in sorted(here, key=lambda p: str(p["name"])):
            name = project["name"]
            if name in there:
                self.moved.present["projects"] += 1
                self._ids[project["id"]] = there[name]
                continue
            body = {key: project.get(key) for key in ("tags", "system_tags") if project.get(key)}
            made = self._again(
                self._target, "projects.create", name=name, description=project.get("description") or "", **body
            )
            self._ids[project["id"]] = made["id"]
            self.moved.copied["projects"] += 1
        return [p["id"] for p in here]

    def _wanted(self, project: Mapping[str, Any]) -> bool:
        if self._project is None:
            return bool(project.get("company", "own"))  # examples have none and cannot be written
        name = str(project["name"])
        return name == self._project or name.startswith(f"{self._project}/")

    # lists

    def _listed(self, kind: str, projects: list[str]) -> list[dict[str, Any]]:
        """Objects of these projects, whole, oldest first; running tasks are left out."""
        found = []
        where = {"search_hidden": True} if kind == "tasks" else {}
        for one in self._source.pages(f"{kind}.get_all", kind, project=projects, **where) if projects else ():
            if kind == "tasks" and one["status"] not in _LASTING:
                self.moved.skipped[one["id"]] = f"it is {one['status']}: push again when it has ended"
            else:
                found.append(one)
        return found

    def _there(self, kind: str) -> dict[str, dict[str, Any]]:
        """Origin id -> copy on the target."""
        where: dict[str, Any] = {"system_tags": ["__$all", _MOVED]}
        where |= {"search_hidden": True} if kind == "tasks" else {}
        fields = (
            ["id", "system_tags", "status", "runtime"]
            if kind == "tasks"
            else ["id", "system_tags", "uri", "metadata", "ready"]
        )
        return {
            tag.removeprefix(ORIGIN): one
            for one in self._target.pages(f"{kind}.get_all", kind, only_fields=fields, **where)
            for tag in one.get("system_tags") or ()
            if tag.startswith(ORIGIN)
        }

    # tasks

    def _shell(self, task: Mapping[str, Any]) -> str:
        parent = self._ids.get(_id(task.get("parent")))
        made: str = self._target.call(
            "tasks.create",
            name=task["name"],
            type=task.get("type") or "custom",
            project=self._ids[_id(task["project"])],
            system_tags=[*(task.get("system_tags") or ()), _MOVED, f"{ORIGIN}{task['id']}"],
            **({"parent": parent} if parent else {}),
        )["id"]
        return made

    def _task(self, task: Mapping[str, Any], copy: Mapping[str, Any] | None) -> None:
        stamp = f"{task['status']}@{task.get('last_change') or task.get('last_update')}"
        mine = self._ids[task["id"]]
        if copy is not None and ((copy.get("runtime") or {}).get(_DONE) or "").startswith(f"{stamp}#"):
            self.moved.present["tasks"] += 1
            self.moved.digests[mine] = copy["runtime"][_DONE].rpartition("#")[2]
            return
        if copy is not None:
            self._again(self._target, "tasks.reset", task=mine, force=True, delete_output_models=False)
        self._fill(task, mine)
        digest = self._events(task["id"], mine)
        self._artifacts(task, mine)
        self._status(task, mine)
        self._compare(mine, digest)
        kept = {f"origin_{k}": str(task[k]) for k in ("created", "started", "completed", "last_update") if task.get(k)}
        done = {**kept, _DONE: f"{stamp}#{digest.hex}"}
        self._again(self._target, "tasks.edit_runtime", task=mine, add_or_update=done, force=True)
        self.moved.copied["tasks"] += 1
        self.moved.digests[mine] = digest.hex

    def _fill(self, task: Mapping[str, Any], mine: str) -> None:
        body = {name: task[name] for name in _TASK_FIELDS if task.get(name)}
        body["execution"] = {k: v for k, v in (body.get("execution") or {}).items() if k not in {"artifacts", "queue"}}
        body["models"] = {
            side: [m for m in rows or () if _id(m.get("model")) in self._ids]
            for side, rows in (task.get("models") or {}).items()
        }
        body["runtime"] = dict(task.get("runtime") or {})
        self._again(self._target, "tasks.edit", task=mine, force=True, **swap_ids(body, self._ids))
        if task.get("created"):
            self._again(self._target, "tasks.update", task=mine, created=task["created"])

    def _events(self, theirs: str, mine: str) -> Digest:
        """Copy every event; the hash of what was read from the source, as it looks on the target."""
        digest = Digest()
        for kind in EVENT_TYPES:
            for batch in self._source.events(theirs, kind):
                rows = [event_copy(event, mine, self._ids, self._file_in) for event in batch]
                for row in rows:
                    digest.add(row)
                self._again_lines(rows)
                self.moved.events[kind] += len(rows)
        return digest

    def _compare(self, mine: str, wanted: Digest) -> None:
        got = Digest()
        for kind in EVENT_TYPES:
            for batch in self._target.events(mine, kind):
                for event in batch:
                    got.add(event)
        if got != wanted:
            raise Mismatch(
                f"{dict(got.counts)} events read back, {dict(wanted.counts)} sent",
                where=f"task {mine}",
                hint="Push again: the copy is filled anew.",
            )

    def _artifacts(self, task: Mapping[str, Any], mine: str) -> None:
        rows = (task.get("execution") or {}).get("artifacts") or []
        if not rows:
            return
        copies = [{**row, "uri": self._file(row["uri"])} if row.get("uri") else row for row in rows]
        self._again(self._target, "tasks.add_or_update_artifacts", task=mine, artifacts=copies, force=True)
        self.moved.copied["artifacts"] += len(copies)

    def _status(self, task: Mapping[str, Any], mine: str) -> None:
        status = task["status"]
        if status == "created":
            return
        words = {"status_reason": task.get("status_reason") or "", "status_message": task.get("status_message") or ""}
        self._again(self._target, "tasks.started", task=mine, force=True)
        ends = {"failed": "tasks.failed", "stopped": "tasks.stopped"}
        self._again(self._target, ends.get(status, "tasks.completed"), task=mine, force=True, **words)
        if status == "published":
            self._again(self._target, "tasks.publish", task=mine, force=True)

    # models

    def _model(self, model: Mapping[str, Any], copy: Mapping[str, Any] | None) -> None:
        if copy is not None:
            self._ids[model["id"]] = copy["id"]
            # what may have changed since, a stage's tag for one, is set again
            self._again(self._target, "models.edit", model=copy["id"], tags=model.get("tags") or [])
            self._metadata(model, copy["id"])
            self.moved.present["models"] += 1
            return
        body = {name: model[name] for name in _MODEL_FIELDS if model.get(name)}
        task, parent = self._ids.get(_id(model.get("task"))), self._ids.get(_id(model.get("parent")))
        made = self._target.call(
            "models.create",
            uri=self._file(model["uri"]) if model.get("uri") else "",
            project=self._ids[_id(model["project"])],
            ready=bool(model.get("ready")),
            system_tags=[*(model.get("system_tags") or ()), _MOVED, f"{ORIGIN}{model['id']}"],
            **({"task": task} if task else {}),
            **({"parent": parent} if parent else {}),
            **swap_ids(body, self._ids),
        )["id"]
        self._ids[model["id"]] = made
        if model.get("created"):
            self._again(self._target, "models.update", model=made, created=model["created"])
        self._metadata(model, made)
        self.moved.copied["models"] += 1

    def _metadata(self, model: Mapping[str, Any], mine: str) -> None:
        rows = list((model.get("metadata") or {}).values())
        if rows:
            rows = swap_ids(rows, self._ids)
            self._again(self._target, "models.add_or_update_metadata", model=mine, metadata=rows, replace_metadata=True)

    # files

    def _file(self, uri: str) -> str:
        """Copy a file of the source's file server; its new address. Other storage keeps its address."""
        prefix = self._source.files + "/"
        if not uri.startswith(prefix):
            return uri
        if uri not in self._files:
            self._files[uri] = self._carry(uri, uri.removeprefix(prefix))
        return self._files[uri]

    def _carry(self, uri: str, path: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            kept, back = Path(folder) / "file", Path(folder) / "back"
            try:
                digest = self._source.download(uri, kept)
            except Rejected:
                self.moved.missing.append(uri)
                return f"{self._target.files}/{path}"
            url = self._target.upload(path, kept, "application/octet-stream")
            if self._target.download(url, back) != digest:
                raise Mismatch("the file read back differs", where=url, hint="Push again.")
            self.moved.files += 1
            self.moved.bytes += kept.stat().st_size
        return url

    def _file_in(self, text: str) -> str:
        """Replace addresses of the source's files inside a plot or an event."""
        if self._source.files not in text:
            return text
        return re.sub(re.escape(self._source.files) + r"/[^\s\"'<>\\)]+", lambda found: self._file(found.group()), text)

    # patience: what may be repeated is

    def _again(self, server: Endpoint, endpoint: str, **body: Any) -> dict[str, Any]:
        for wait in _PATIENCE:
            try:
                return server.call(endpoint, **body)
            except Unreachable:
                time.sleep(wait)
        return server.call(endpoint, **body)

    def _again_lines(self, rows: list[dict[str, Any]]) -> None:
        """Send events once: repeated ones would be counted twice, so a failure here ends the push of this task."""
        answer = self._target.lines("events.add_batch", rows)
        if int(answer.get("added", len(rows))) != len(rows):
            raise Mismatch(f"{answer.get('added')} of {len(rows)} events were taken", where="events.add_batch")


def _id(value: Any) -> str:
    """An id, where the server may answer with the object."""
    return str(value.get("id") if isinstance(value, Mapping) else value or "")
