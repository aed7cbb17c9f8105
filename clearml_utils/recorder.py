"""One process's recording: the runs that are live, the spool, the threads that write and send."""

from __future__ import annotations

import atexit
import base64
import logging
import os
import socket
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from clearml_utils import links
from clearml_utils.connection import Connection, configured
from clearml_utils.errors import BadCredentials, NotConfigured, TrackingError
from clearml_utils.options import Options
from clearml_utils.pipeline import Graph, Step, dag, names
from clearml_utils.record import Record
from clearml_utils.redact import Redactor
from clearml_utils.sender import Sender
from clearml_utils.spool import Segment, Waiting, waiting
from clearml_utils.writer import WRITE, Writer

if TYPE_CHECKING:
    from clearml_utils.capture import Stored

log = logging.getLogger("clearml_utils")
_IDS = 20_000
_MOST_LATER = 32
_INLINE = 16_000


class Recorder:
    """Takes records from the runs of this process; never waits for the network on a run's own path."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options.load()
        self.redactor = Redactor()
        self.connection = Connection()
        self.live: dict[str, Record] = {}
        self.graphs: dict[str, Graph] = {}
        self.opens: dict[str, dict[str, Any]] = {}
        self._dirty: dict[str, float] = {}
        self._lock = threading.RLock()
        self._segment: Segment | None = None
        self._on: bool | None = None
        self._dropped: dict[str, int] = {}
        self._size = 0
        self._flows = 0
        self._order = 0
        self.ids: dict[str, str] = {}
        self.sender = Sender(self)
        self.writer = Writer(self)
        self._process = ""
        atexit.register(self.shutdown)

    # On or off

    @property
    def on(self) -> bool:
        """Whether anything is recorded; the first look decides, and warns once where it is not."""
        if self._on is None:
            with self._lock:
                if self._on is None:
                    self._on = self._decide()
        return self._on

    def _decide(self) -> bool:
        if self.options.off:
            return False
        if not configured():
            log.warning(
                "ClearML is not configured here (no CLEARML_API_HOST, no clearml.conf): runs are not recorded. "
                "CLEARML_UTILS_OFF=1 silences this."
            )
            return False
        return True

    def turn_off(self, why: TrackingError) -> None:
        """Stop recording in this process: one loud warning, and nothing is kept."""
        with self.writer.order, self._lock:
            if self._on is False:
                return
            self._on = False
            self.live.clear()
            self.writer.clear()
            segment, self._segment = self._segment, None
        if segment is not None:
            segment.close(discard=self.sender.delivered == 0)
        log.error("RECORDING TO CLEARML IS OFF in this process, and nothing is spooled: %s", why)

    def require(self) -> None:
        """Sign in now.

        Raises
        ------
        NotConfigured, BadCredentials
            What a strict flow wants to know before it starts. A server that is away is not an error: records wait.
        """
        if self.options.off:
            return
        if not configured():
            raise NotConfigured(
                "A strict flow needs ClearML, and it is not configured here.", hint="Set CLEARML_API_HOST."
            )
        try:
            _ = self.connection.session
        except (BadCredentials, NotConfigured):
            raise
        except TrackingError as error:
            log.warning(
                "ClearML is away at the start of a strict flow; records wait in %s: %s", self.options.spool, error
            )

    # Records

    @property
    def segment(self) -> Segment:
        """The part of the spool that is this process's."""
        with self._lock:
            if self._segment is None:
                self._segment = Segment.create(self.options.spool)
                self._process = f"{socket.gethostname()}/{self._segment.path.name}"
            return self._segment

    def add(
        self, run: str, items: list[tuple[str, dict[str, Any]]], *, essential: bool = False, durable: bool = False
    ) -> None:
        """Take records for the spool; over the size limit only the essential.

        A `durable` one is on disk at the return, any other within `linger_ms`.
        """
        if not self.on:
            return
        if not essential and self._size > self.options.spool_max_mb * 1e6:
            self._drop(run, items)
            return
        now = time.time()
        self.writer.put([Waiting(run, kind, body, now) for kind, body in items])
        if durable:
            self.writer.write(run)
            self.sender.wake()

    def store(self, items: list[Waiting]) -> None:
        """From the writer: commit."""
        if not self.on:
            return
        try:
            self._size += self.segment.add(items)
        except (OSError, sqlite3.Error) as error:
            self._broken(error)

    def write_file(self, body: dict[str, Any]) -> None:
        """Write one artifact's file; a value that cannot be written is described instead."""
        made: Stored = body.pop(WRITE)
        assert made.write is not None  # noqa: S101 - only such are put off
        try:
            path = self.segment.blob(made.suffix)
            made.write(path)
            body["file"] = str(path.absolute())
            body["size"] = path.stat().st_size
            self._size += body["size"]
        except Exception as error:  # noqa: BLE001 - the value is the user's and may raise anything
            body["preview"] = f"not stored: {type(error).__name__}"
            log.warning("artifact %s of run %s is not stored: %s", made.key, body["run"], type(error).__name__)

    def _broken(self, error: Exception) -> None:
        self.turn_off(TrackingError(f"the spool cannot be written: {error}", where=str(self.options.spool)))

    def _drop(self, run: str, items: list[tuple[str, dict[str, Any]]]) -> None:
        count = sum(len(body["events"]) if kind == "events" else 1 for kind, body in items)
        if not self._dropped:
            log.error(
                "The spool %s holds %.0f MB, its limit (CLEARML_UTILS_SPOOL_MAX_MB): records are dropped",
                self.options.spool,
                self._size / 1e6,
            )
        self._dropped[run] = self._dropped.get(run, 0) + count

    def dropped(self, run: str) -> int:
        """How many records of `run` did not fit."""
        return self._dropped.pop(run, 0)

    def measured(self, size: int) -> None:
        """The sender's look at the disk."""
        self._size = size

    # Runs

    def open(self, record: Record, body: dict[str, Any]) -> None:
        """Begin the record of a run."""
        with self._lock:
            self._order += 1
            record.order = self._order
            self.live[record.run] = record
            self.opens[record.run] = {"project": body["project"]}
        _ = self.segment
        body["hyperparams"]["properties"]["process"] = self._process
        self.add(record.run, [("open", body)], essential=True, durable=body["type"] == "controller")

    def close(self, record: Record, body: dict[str, Any]) -> None:
        """End the record of a run; what it still buffers goes first."""
        items: list[tuple[str, dict[str, Any]]] = []
        kept = record.take()
        if self._size > self.options.spool_max_mb * 1e6 and kept:
            self._drop(record.run, kept)
        else:
            items += kept
        if lost := self.dropped(record.run):
            body["message"] = f"{lost} records did not fit into the local spool and are lost"
        items.append(("close", body))
        with self._lock:
            self.live.pop(record.run, None)
            self.opens.pop(record.run, None)
        # a process that has no flow may be ended at any time after its task, and hears nothing of it
        self.add(record.run, items, essential=True, durable=self._flows == 0)

    def step(self, flow_run: str, step: Step) -> None:
        """Show a step in its flow run's graph."""
        graph = self.graphs.get(flow_run)
        if graph is None:
            return
        with self._lock:
            graph.update(step)
            self._dirty.setdefault(flow_run, time.monotonic())

    def troubled(self, flow_run: str) -> bool:
        """Whether a step of this flow run failed, so that others may never have started."""
        graph = self.graphs.get(flow_run)
        return graph is not None and any(step.status == "failed" for step in graph.steps.values())

    def tick(self) -> None:
        """From the writer, about once a second: what live runs buffer, graphs that changed."""
        for record in list(self.live.values()):
            record.move()
        now = time.monotonic()
        for flow_run, since in list(self._dirty.items()):
            cost = len(self.graphs[flow_run].steps) / 100 if flow_run in self.graphs else 0
            if now - since >= max(self.options.graph_seconds, cost):
                self.draw(flow_run)

    def draw(self, flow_run: str, graph: Graph | None = None, closed: dict[str, str] | None = None) -> None:
        """Put the graph as it is now into the spool, in place of an older one that waits."""
        with self._lock:
            self._dirty.pop(flow_run, None)
            graph = graph or self.graphs.get(flow_run)
            if graph is None or not self.on:
                return
            made = dag(graph, self.ids)
            runs = {name: run for run, name in names(graph.steps.values()).items()}
        with self.writer.order:
            self.writer.write()  # a graph names tasks; they come first
            try:
                self.segment.replace(flow_run, "graph", {"dag": made, "runs": runs, "closed": closed})
            except (OSError, sqlite3.Error) as error:
                self._broken(error)
                return
        self.sender.wake()

    # Files

    def add_artifact(
        self, record: Record, made: Stored, *, kind: str = "artifact", extra: dict[str, Any] | None = None
    ) -> None:
        """Spool a file with what is to be said of it; the writer's thread writes it, a small text goes along."""
        if not self.on:
            return
        body: dict[str, Any] = {
            "key": made.key,
            "type": made.type,
            "content_type": made.content_type,
            "suffix": made.suffix,
            "preview": self.redactor.text(made.preview[:2_000]) if record.policy == "full" else "",
            "display": made.display,
            "run": record.run,
            "project": self.opens.get(record.run, {}).get("project", "clearml_utils"),
            **(extra or {}),
        }
        if made.write is not None:
            if made.data is not None and len(made.data) <= _INLINE:
                body |= {"data": base64.b64encode(made.data).decode(), "size": len(made.data)}
            else:
                body[WRITE] = made
                if made.now or self.writer.files > _MOST_LATER:
                    self.write_file(body)
        record.keep(kind, body)

    def add_image(self, record: Record, title: str, series: str, png: bytes, iteration: int) -> None:
        """Spool a picture for the plots."""
        if not self.on:
            return
        path = self.segment.blob(".png")
        path.write_bytes(png)
        self._size += len(png)
        width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
        body = {
            "title": title, "series": series, "iteration": iteration, "file": str(path.absolute()), "width": width,
            "height": height, "key": f"{title}-{series}-{iteration}", "suffix": ".png", "content_type": "image/png",
            "run": record.run, "project": self.opens.get(record.run, {}).get("project", "clearml_utils"),
        }  # fmt: skip
        record.keep("image", body)

    # Ids

    def clearml_id(self, run: str) -> str | None:
        """ClearML's id of a run, if this process knows it."""
        return self.ids.get(run)

    def learned(self, ids: dict[str, str]) -> None:
        """The sender met these."""
        self.ids.update(ids)
        links.known(self, ids)
        while len(self.ids) > _IDS:
            self.ids.pop(next(iter(self.ids)))

    def wait_for_id(self, run: str, timeout: float) -> str | None:
        """The id, once the sender has it."""
        end = time.monotonic() + timeout
        while self.on and run not in self.ids and time.monotonic() < end:
            self.sender.wake()
            self.sender.wait_progress(min(0.05, timeout))
        return self.ids.get(run)

    # Flows

    def flow_began(self) -> None:
        """One more flow runs in this process."""
        with self._lock:
            self._flows += 1

    def flow_ended(self) -> bool:
        """One less; whether it was the outermost."""
        with self._lock:
            self._flows = max(0, self._flows - 1)
            return self._flows == 0

    @property
    def unused(self) -> bool:
        """Whether no run of this process is being recorded."""
        return self._flows == 0 and not self.live

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver what there is.

        Returns
        -------
        bool
            Whether nothing is left; False at once where the server is known to be away.
        """
        if not self.on:
            return True
        for record in list(self.live.values()):
            record.move()
        for flow_run in list(self._dirty):
            self.draw(flow_run)
        return self.sender.drain(self.options.flush_seconds if timeout is None else timeout)

    def elsewhere(self, runs: set[str], timeout: float) -> set[str]:
        """Those of `runs` whose records other processes of this machine did not deliver within `timeout`."""
        end = time.monotonic() + timeout
        while left := runs & waiting(self.options.spool, but=[self.segment.path]).keys():
            if self.sender.away or time.monotonic() > end:
                return left
            self.sender.adopt_quietly()  # of those that are gone
            time.sleep(0.05)
        return set()

    def rest(self) -> None:
        """After the outermost flow: no thread, no socket, no file kept open; where another has begun, it goes on."""
        self.writer.stop()
        ended = self.sender.stop()
        self.connection.rest()
        with self.writer.order, self._lock:  # nobody is writing to it, nor beginning to
            if self._flows:
                return
            segment, self._segment = self._segment, None
            self._size = 0
            if segment is not None and ended:  # else a call uses it: its lock falls with the call, then it is adopted
                segment.close()

    def shutdown(self) -> None:
        """At exit: a last try, bounded."""
        links.wait()
        self.end()

    def end(self) -> None:
        """Deliver what there is, and rest."""
        if self._on and self._segment is not None:
            self.flush(min(10.0, self.options.flush_seconds))
            self._flows = 0
            self.rest()


_recorder: Recorder | None = None
_guard = threading.Lock()


def recorder() -> Recorder:
    """The recorder of this process."""
    global _recorder  # noqa: PLW0603 - one per process is the point
    if _recorder is None:
        with _guard:
            if _recorder is None:
                _recorder = Recorder()
    return _recorder


def reset() -> None:
    """Forget this process's recorder; the next run reads the environment anew (tests, forks)."""
    global _recorder
    old, _recorder = _recorder, None
    if old is not None:
        old.end()


def _after_fork() -> None:
    global _recorder, _guard
    _recorder, _guard = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
