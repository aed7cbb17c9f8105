"""A thread that starts with the first work and ends when none is left, nor anything live that could bring more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearml_utils.recorder import Recorder

IDLE_SECONDS = 3.0


class Background:
    """What the writer's and the sender's threads have in common: how they start, are woken, and leave."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name
        self._cond = threading.Condition()
        self._news = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to do."""
        with self._cond:
            self._news = True
            if self._thread is None or not self._thread.is_alive():
                self._starting()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._cond.notify_all()

    def _starting(self) -> None:
        """Called before a thread starts, with the condition held."""

    def _run(self) -> None:
        raise NotImplementedError

    def _leave(self) -> bool:
        """End an idle thread; only with nothing live, so that a later record starts another."""
        with self._cond:
            if self._news or self._recorder.live:
                return False
            self._thread = None
            return True
