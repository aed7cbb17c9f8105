"""From spooled records to calls, so that repeating any of them changes nothing.

ClearML's `tasks.create` takes no key. So every task carries the system tag `prefect:<run id>`; it is looked up before
it is created, many at a time. Scalars, plots, artifacts and properties overwrite themselves. Console lines do not:
after a send whose end is unknown, the server is asked which of them it has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clearml_utils.connection import Connection
from clearml_utils.errors import Rejected, Unreachable
from clearml_utils.forms import chunks, configuration, content, hyperparams, place, remove, stored
from clearml_utils.names import safe_name, safe_segment
from clearml_utils.projects import Projects
from clearml_utils.spool import Op, Segment
from clearml_utils.suspects import Suspects

MARK = "prefect:"
OURS = "prefect"
_PATIENCE_SECONDS = 60.0
_PAGE = 200
_IDS = 20_000
_SIDE_BY_SIDE = 3
_SMALL = 200_000
_FILES = 50


class Held(Exception):
    """The parent of a task is not there yet."""


def mark(run: str) -> str:
    """System tag by which a run's ClearML task is found."""
    return MARK + run


def find(connection: Connection, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """ClearML tasks (id, status, parent) by Prefect run id; the oldest where there are several."""
    wanted = list(dict.fromkeys(runs))
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), _PAGE):
        part = set(wanted[start : start + _PAGE])
        for task in _all_tasks(connection, ["__$any", *map(mark, sorted(part))]):
            for tag in task.get("system_tags") or ():
                run = tag.removeprefix(MARK)
                if run in part:
                    found.setdefault(run, task)
    return found


def _all_tasks(connection: Connection, system_tags: list[str], **where: Any) -> Iterable[dict[str, Any]]:
    page = 0
    while True:
        tasks = connection.call(
            "tasks.get_all",
            system_tags=system_tags,
            search_hidden=True,
            only_fields=["id", "status", "status_reason", "status_message", "parent", "system_tags", "created"],
            order_by=["created", "id"],
            page=page,
            page_size=500,
            **where,
        )["tasks"]
        yield from tasks
        if len(tasks) < 500:
            return
        page += 1


class Delivery:
    """Carries out spooled records over one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.projects = Projects(connection)
        self.ids: dict[str, str] = {}
        self._fresh: dict[str, str] = {}
        self._over: list[Op] = []
        self._folded: set[int] = set()
        self._stored: dict[int, str] = {}
        self._suspects = Suspects()
        self.again: Unreachable | None = None

    def batch(self, segment: Segment, ops: Sequence[Op]) -> list[tuple[Op, Rejected]]:
        """Deliver `ops` of `segment`; those the server refuses for good are returned, those that wait are left.

        Raises
        ------
        Unreachable, BadCredentials, NotConfigured
            What was delivered until then is forgotten by the segment, the rest stays.
        """
        segment.trying(ops)
        self._suspects.begin()
        self._folded.clear()
        try:
            return self._batch(segment, ops)
        finally:
            self._settle(segment)

    def _settle(self, segment: Segment) -> None:
        """Note in the segment what was done, for all of a batch at once: what is done again changes nothing."""
        segment.remember(self._fresh)
        segment.done(self._over)
        for op in self._over:
            remove(op.body.get("file"))
        self._fresh, self._over = {}, []

    def _batch(self, segment: Segment, ops: Sequence[Op]) -> list[tuple[Op, Rejected]]:
        self._store_together(ops)
        refused: list[tuple[Op, Rejected]] = []
        held = self._open(segment, ops, refused)
        rest = [op for op in ops if op.kind != "open" and op.run not in held]
        there = [op for op in rest if self._has(segment, op.run)]
        stuck = self._events(segment, [op for op in there if op.kind == "events"], refused)
        runs: dict[str, list[Op]] = {}
        for op in there:
            if op.kind != "events" and op.run not in stuck:
                runs.setdefault(op.run, []).append(op)
        last = [r for r, mine in runs.items() if any(op.kind == "graph" for op in mine)]  # it names all the others
        self._each(lambda run: self._rest(segment, runs[run], refused), [r for r in runs if r not in last])
        self._each(lambda run: self._rest(segment, runs[run], refused), last)
        for op in rest:
            if op.run not in self.ids and time.time() - op.at > _PATIENCE_SECONDS:
                refused.append((op, Rejected("its task is not in ClearML", where=op.run)))
                self._over.append(op)
        aside, self.again = self._suspects.verdict()
        return refused + aside

    def _rest(self, segment: Segment, ops: Sequence[Op], refused: list[tuple[Op, Rejected]]) -> None:
        """What one run has to tell, in order."""
        for op in ops:
            try:
                if op.seq not in self._folded:
                    _STEPS[op.kind](self, segment, op, self.ids[op.run])
                self._suspects.taken(op)
            except Rejected as error:
                refused.append((op, error))
            except Unreachable as error:
                self._suspects.met(op, error)
                return
            self._folded.discard(op.seq)
            self._over.append(op)

    def _each(self, do: Callable[[Any], None], items: Sequence[Any]) -> None:
        """Do independent things side by side; the first failure is raised once all are through, or have failed."""

        def each(part: Sequence[Any]) -> None:
            for item in part:
                do(item)

        if len(items) < 2:
            each(items)
            return
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="clearml-utils-call") as pool:
            done = [pool.submit(each, items[start::_SIDE_BY_SIDE]) for start in range(_SIDE_BY_SIDE)]
        for one in done:
            one.result()

    # Opening

    def _open(self, segment: Segment, ops: Sequence[Op], refused: list[tuple[Op, Rejected]]) -> set[str]:
        """Create what is not there; the runs that have to wait."""
        opens = [op for op in ops if op.kind == "open"]
        parents = [str(op.body["parent"]) for op in opens if op.body.get("parent")]
        runs = {op.run for op in ops}
        missing = [r for r in dict.fromkeys([*runs, *parents]) if not self._has(segment, r)]
        found = find(self.connection, missing) if missing else {}
        fresh = {run: str(task["id"]) for run, task in found.items()}
        self._learn(fresh)
        held: set[str] = set()
        files: dict[str, list[Op]] = {}
        for op in ops:
            if op.kind == "artifact" and not op.tried:
                files.setdefault(op.run, []).append(op)

        def one(op: Op) -> None:
            try:
                if op.run not in self.ids:
                    self._create(op, files.get(op.run, []))
                elif op.run in found and not op.tried:  # made by a reconciler, which knew less
                    self.edit(segment, op, self.ids[op.run])
                self._start(op, found.get(op.run))
                self._suspects.taken(op)
            except Held:
                held.add(op.run)
                return
            except Unreachable as error:
                self._suspects.met(op, error)
                held.add(op.run)
                return
            except Rejected as error:
                refused.append((op, error))
            self._over.append(op)

        children = [op for op in opens if op.body["type"] != "controller"]
        first = [op for op in opens if op.body["type"] == "controller"] + children[:1]
        for op in first:  # parents before children; and the first child makes the project
            one(op)
        self._each(one, children[1:])
        return held

    def _learn(self, ids: dict[str, str]) -> None:
        self.ids.update(ids)
        self._fresh.update(ids)
        while len(self.ids) > _IDS:  # the segment still has them
            self.ids.pop(next(iter(self.ids)))

    def _has(self, segment: Segment, run: str) -> bool:
        if run not in self.ids:
            known = segment.known(run)
            if known is None:
                return False
            self.ids[run] = known
        return True

    def _create(self, op: Op, files: Sequence[Op]) -> None:
        body = op.body
        parent = None
        if body.get("parent"):
            parent = self.ids.get(str(body["parent"]))
            if parent is None and time.time() - op.at < _PATIENCE_SECONDS:
                raise Held(op.run)
        controller = body["type"] == "controller"
        also = [str(run) for run in body.get("also") or []]
        project = (
            self.projects.pipeline(body["project"], body["flow"])
            if controller
            else self.projects.id(
                f"{body['project']}/{safe_segment(body['flow'])}" if body["flow"] else body["project"]
            )
        )
        request = {
            "name": safe_name(body["name"]),
            "type": body["type"],
            "project": project,
            "tags": body.get("tags") or [],
            "system_tags": [OURS, mark(op.run), *map(mark, also), *(["pipeline"] if controller else [])],
            "hyperparams": hyperparams(body.get("hyperparams") or {}),
            "configuration": configuration(body.get("configuration") or {}),
            "script": body.get("script") or {},
            "comment": body.get("comment") or "",
        }
        if parent:
            request["parent"] = parent
        if files:
            request["execution"] = {"artifacts": [self._entry(one) for one in files]}
        made = str(self.connection.call("tasks.create", **request)["id"])
        known = dict.fromkeys([op.run, *also], made)
        self._learn(known)
        self._folded.update(one.seq for one in files)
        if body.get("runtime"):
            self.connection.call("tasks.edit", task=made, runtime=body["runtime"], force=True)

    def _start(self, op: Op, task: dict[str, Any] | None) -> None:
        if op.body.get("start", True) and (task is None or task["status"] in {"created", "queued"}):
            self._transition("tasks.started", self.ids[op.run], "in_progress", status_reason="", force=True)

    # Events

    def _events(self, segment: Segment, ops: Sequence[Op], refused: list[tuple[Op, Rejected]]) -> set[str]:
        """Send console lines, points and plots of many runs together; the runs whose could not be."""
        stuck: set[str] = set()
        for part in chunks(ops):
            try:
                self._send(segment, part)
            except (Rejected, Unreachable) as error:
                if isinstance(error, Unreachable) and not error.answered:
                    raise
                for op in part:  # one of them is it; the others must not suffer for it
                    self._one(segment, op, refused, stuck)
        return stuck

    def _one(self, segment: Segment, op: Op, refused: list[tuple[Op, Rejected]], stuck: set[str]) -> None:
        if op.run in stuck:
            return
        try:
            self._send(segment, [op])
            self._suspects.taken(op)
        except Rejected as error:
            refused.append((op, error))
            self._over.append(op)
        except Unreachable as error:
            self._suspects.met(op, error)
            stuck.add(op.run)

    def _send(self, segment: Segment, ops: Sequence[Op]) -> None:
        rows: list[dict[str, Any]] = []
        for op in ops:
            events = op.body["events"]
            if op.tried:
                events = self._unseen(self.ids[op.run], events)
            rows += [{**event, "task": self.ids[op.run]} for event in events]
        if rows:
            self.connection.lines("events.add_batch", rows)
        segment.done(ops)

    def _unseen(self, task: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """`events` without the console lines the server already has."""
        logs = [e for e in events if e["type"] == "log"]
        if not logs:
            return events
        seen = self._stamps(task, min(e["timestamp"] for e in logs))
        return [e for e in events if e["type"] != "log" or (e["timestamp"], e["msg"]) not in seen]

    def _stamps(self, task: str, since: int) -> set[tuple[int, str]]:
        seen: set[tuple[int, str]] = set()
        before: dict[str, Any] = {}
        while True:
            got = self.connection.call(
                "events.get_task_log", task=task, batch_size=500, navigate_earlier=True, **before
            )["events"]
            seen |= {(int(e["timestamp"]), str(e["msg"])) for e in got}
            oldest = min((int(e["timestamp"]) for e in got), default=0)
            if len(got) < 500 or oldest < since or before.get("from_timestamp") == oldest:
                return seen
            before = {"from_timestamp": oldest}

    # The rest

    def artifact(self, segment: Segment, op: Op, task: str) -> None:  # noqa: ARG002 - one signature for all steps
        """Upload a file and list it under the task's artifacts."""
        self.connection.call("tasks.add_or_update_artifacts", task=task, artifacts=[self._entry(op)], force=True)

    def _entry(self, op: Op) -> dict[str, Any]:
        """Upload the file of an artifact; what is to be said of it."""
        body = op.body
        return {
            "key": body["key"],
            "type": body["type"],
            "mode": "output",
            "uri": self._stored.get(op.seq) or self._upload(body, "artifacts"),
            "content_size": body.get("size") or 0,
            "hash": body.get("hash") or "",
            "timestamp": int(op.at),
            "type_data": {"preview": body.get("preview") or "", "content_type": body["content_type"]},
            "display_data": body.get("display") or [],
        }

    def image(self, segment: Segment, op: Op, task: str) -> None:  # noqa: ARG002 - one signature for all steps
        """Upload a picture and show it among the plots."""
        uri = self._upload(op.body, "plots")
        width, height = op.body.get("width") or 640, op.body.get("height") or 480
        plot = {
            "data": [],
            "layout": {
                "title": str(op.body["title"]),  # the web app draws no plot of a page that has one without a title
                "xaxis": {"visible": False, "range": [0, width]},
                "yaxis": {"visible": False, "range": [0, height], "scaleanchor": "x"},
                "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
                "images": [
                    {
                        "source": uri, "x": 0, "y": height, "sizex": width, "sizey": height,
                        "xref": "x", "yref": "y", "sizing": "stretch", "opacity": 1.0, "layer": "below",
                    }
                ],
            },
        }  # fmt: skip
        event = {
            "type": "plot", "task": task, "timestamp": int(op.at * 1000), "metric": op.body["title"],
            "variant": op.body["series"], "iter": op.body["iteration"], "plot_str": json.dumps(plot),
        }  # fmt: skip
        self.connection.lines("events.add_batch", [event])

    def model(self, segment: Segment, op: Op, task: str) -> None:  # noqa: ARG002 - one signature for all steps
        """Upload a model's file, make its entry once, and list it among the task's outputs."""
        body = op.body
        tag = f"{MARK}{op.run}:{body['key']}"
        there = self.connection.call("models.get_all", system_tags=[tag], only_fields=["id"])["models"]
        if there:
            made = there[0]["id"]
        else:
            made = self.connection.call(
                "models.create",
                name=safe_name(body["key"]),
                uri=self._upload(body, "models"),
                framework=body.get("framework") or "Custom",
                task=task,
                project=self._project_of(task),
                tags=body.get("tags") or [],
                system_tags=[tag],
                ready=True,
                metadata=[
                    {"key": str(k), "value": str(v), "type": "str"} for k, v in (body.get("metadata") or {}).items()
                ],
            )["id"]
        self.connection.call("tasks.add_or_update_model", task=task, name=body["key"], model=made, type="output")

    def edit(self, segment: Segment, op: Op, task: str) -> None:  # noqa: ARG002 - one signature for all steps
        """Add tags, set parameters and properties."""
        if op.body.get("tags"):
            self.connection.call("tasks.update_tags", ids=[task], add_tags=list(op.body["tags"]))
        if op.body.get("hyperparams"):
            items = [item for section in hyperparams(op.body["hyperparams"]).values() for item in section.values()]
            self.connection.call("tasks.edit_hyper_params", task=task, hyperparams=items, force=True)

    def graph(self, segment: Segment, op: Op, task: str) -> None:
        """Write the pipeline's graph, with the ids of the steps that have one."""
        dag = op.body["dag"]
        runs = op.body["runs"]
        for name, step in dag.items():
            if step["job_id"] is None and self._has(segment, runs[name]):
                step["job_id"] = self.ids[runs[name]]
                step["executed"] = step["job_id"] if step["job_ended"] else None
        item = {"name": "Pipeline", "type": "dictionary", "description": "", "value": json.dumps(dag)}
        closed = op.body.get("closed")
        if closed:  # ClearML edits the configuration of running tasks only
            self._transition("tasks.started", task, "in_progress", force=True)
        self.connection.call("tasks.edit_configuration", task=task, configuration=[item], force=True)
        if closed:
            self._finish(task, closed["status"], closed.get("reason") or "", closed.get("message") or "")

    def close(self, segment: Segment, op: Op, task: str) -> None:
        """Bring the task to its final state, whatever state it is in."""
        self.edit(segment, op, task)
        self._finish(task, op.body["status"], op.body.get("reason") or "", op.body.get("message") or "")

    def _finish(self, task: str, status: str, reason: str, message: str) -> None:
        endpoint, final = _FINAL[status]
        self._transition(endpoint, task, final, status_reason=reason[:500], status_message=message[:2_000], force=True)

    def _transition(self, endpoint: str, task: str, wanted: str, **body: Any) -> None:
        try:
            self.connection.call(endpoint, task=task, **body)
        except Rejected:
            now = self.connection.call("tasks.get_all", id=[task], only_fields=["status"], search_hidden=True)["tasks"]
            if not now or now[0]["status"] not in {wanted, "published"}:
                raise

    def _upload(self, body: dict[str, Any], folder: str) -> str:
        if not stored(body):
            return ""
        return self.connection.upload(place(body, folder), content(body), body["content_type"])

    def _store_together(self, ops: Sequence[Op]) -> None:
        """Upload the small files of many artifacts in a few requests."""
        self._stored.clear()
        small = [op for op in ops if op.kind == "artifact" and stored(op.body) and (op.body.get("size") or 0) < _SMALL]
        for start in range(0, len(small), _FILES):
            part = small[start : start + _FILES]
            files = [(place(op.body, "artifacts"), content(op.body), op.body["content_type"]) for op in part]
            try:
                urls = self.connection.upload_many(files)
            except Rejected:  # one of them; each is tried by itself later, and the one is told
                continue
            self._stored.update(zip((op.seq for op in part), urls, strict=True))

    def _project_of(self, task: str) -> str:
        got = self.connection.call("tasks.get_all", id=[task], only_fields=["project"], search_hidden=True)["tasks"]
        project = got[0].get("project") if got else None
        return str(project["id"] if isinstance(project, dict) else project or "")


_STEPS = {
    "artifact": Delivery.artifact,
    "image": Delivery.image,
    "model": Delivery.model,
    "edit": Delivery.edit,
    "graph": Delivery.graph,
    "close": Delivery.close,
}
_FINAL = {
    "completed": ("tasks.completed", "completed"),
    "failed": ("tasks.failed", "failed"),
    "stopped": ("tasks.stopped", "stopped"),
}
