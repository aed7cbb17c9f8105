"""From memory to the spool: what runs have to tell is committed together, by a thread of its own.

A run's own path only appends to a list; it waits neither for the disk nor for a lock another thread holds while it
works. The price: SIGKILL may lose what came within the last `linger_ms`. Where that is too much (the start of a flow,
the end of a task in a process that is not the flow's, `Record.flush`) `write` is called and waited for.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from clearml_utils.background import IDLE_SECONDS, Background

if TYPE_CHECKING:
    from clearml_utils.recorder import Recorder
    from clearml_utils.spool import Waiting

log = logging.getLogger("clearml_utils")
WRITE = "_write"
_TICK_SECONDS = 1.0


class Writer(Background):
    """What is not yet in the spool; its thread starts with the first record and ends when nothing is live.

    Attributes
    ----------
    order
        Held while records are committed, so that they keep their order.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, "clearml-utils-writer")
        self.order = threading.RLock()
        self._lock = threading.Lock()
        self._filing = threading.Lock()
        self._items: list[Waiting] = []
        self._later: dict[str, list[Waiting]] = {}
        self._halt = threading.Event()

    def put(self, items: list[Waiting]) -> None:
        """Take records of one run; those behind a file that is yet to be written wait for it."""
        run = items[0].run
        with self._lock:
            behind = run in self._later or any(WRITE in item.body for item in items)
            (self._later.setdefault(run, []) if behind else self._items).extend(items)
        if not self._news or self._thread is None:
            self.wake()

    def write(self, run: str = "") -> None:
        """Commit what is here, and what waits for no file, or for a file of `run`; it is safe against SIGKILL then."""
        while run in self._later:
            self._write_files(run)
        with self.order:
            with self._lock:
                items, self._items = self._items, []
            if items:
                self._recorder.store(items)

    @property
    def files(self) -> int:
        """Runs with a file that is yet to be written."""
        return len(self._later)

    @property
    def idle(self) -> bool:
        """Whether nothing is here, nor on its way to the segment."""
        with self.order:
            return not self._items and not self._later

    def clear(self) -> None:
        """Forget what is here."""
        with self._lock:
            self._items.clear()
            self._later.clear()

    def stop(self) -> None:
        """Commit what is here and end the thread; a record that comes meanwhile starts another."""
        self._halt.set()
        with self._cond:
            self._cond.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._cond:
            self._halt.clear()
            self._thread, self._news = None, False
        self._write_all()

    def _run(self) -> None:
        used = ticked = time.monotonic()
        while not self._halt.is_set():
            if self._wait():
                used = time.monotonic()
                self._halt.wait(self._recorder.options.linger_ms / 1000)
                self._safely(self._commit)
            if time.monotonic() - ticked >= _TICK_SECONDS:
                self._safely(self._recorder.tick)
                ticked = time.monotonic()
            if time.monotonic() - used > IDLE_SECONDS and self._leave():
                return

    def _wait(self) -> bool:
        """Whether there is something to write, waiting for it up to a tick."""
        with self._cond:
            if not self._news and not self._halt.is_set():
                self._cond.wait(_TICK_SECONDS)
            news, self._news = self._news, False
            return news

    def _commit(self) -> None:
        self.write()
        self._recorder.sender.wake()
        if self._later:
            self._write_all()
            self._recorder.sender.wake()

    def _write_all(self) -> None:
        while run := next(iter(self._later.copy()), ""):
            self._write_files(run)
        self.write()

    def _write_files(self, run: str) -> None:
        """Write the files of one run; what waited behind them joins the rest."""
        with self._filing:  # a file is written once, whoever comes first
            with self._lock:
                items = list(self._later.get(run, ()))
            for item in items:
                if WRITE in item.body:
                    self._recorder.write_file(item.body)
            with self._lock:
                if run not in self._later:  # recording was turned off meanwhile, or another wrote them
                    return
                rest = self._later.pop(run)[len(items) :]
                self._items.extend(items)
                if rest:
                    self._later[run] = rest

    def _safely(self, do: Any) -> None:
        try:
            do()
        except Exception:
            log.exception("clearml_utils could not write its spool; it tries again")
