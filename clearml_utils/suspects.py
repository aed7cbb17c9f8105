"""Records the server answers with an error of its own (5xx), again and again, while it takes others.

Such an answer mostly means "later": the record waits, and so does what comes after it. But a record that a defect of
the server always trips over must not hold up the spool for ever. What tells the two apart is what becomes of other
records of the same kind: where they are taken, the third such answer sets a record aside; where there is nothing to
compare it with, the twentieth.
"""

from __future__ import annotations

import threading

from clearml_utils.errors import Rejected, Unreachable
from clearml_utils.spool import Op

_TRIES = 3
_TRIES_ALONE = 20


class Suspects:
    """What one batch met."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._met: list[tuple[Op, Unreachable]] = []
        self._taken: set[str] = set()

    def begin(self) -> None:
        """A new batch."""
        with self._lock:
            self._met, self._taken = [], set()

    def taken(self, op: Op) -> None:
        """The server took this one."""
        with self._lock:
            self._taken.add(op.kind)

    def met(self, op: Op, error: Unreachable) -> None:
        """The server answered with an error of its own.

        Raises
        ------
        Unreachable
            It did not answer at all.
        """
        if not error.answered:
            raise error
        with self._lock:
            self._met.append((op, error))

    def verdict(self) -> tuple[list[tuple[Op, Rejected]], Unreachable | None]:
        """Those to be set aside, and the error of one that is to be tried again."""
        aside: list[tuple[Op, Rejected]] = []
        again: Unreachable | None = None
        for op, error in self._met:
            limit = _TRIES if op.kind in self._taken else _TRIES_ALONE
            if op.tried + 1 >= limit:
                aside.append((op, Rejected(f"given up after {op.tried + 1} tries: {error.what}", where=error.where)))
            else:
                again = error
        return aside, again
