"""The one clock. Processes that share a state directory share the time, real or replayed.

A replay writes its time to `clock.json`; while that file exists it is what time it is, in every process.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the time in UTC."""

    def now(self) -> datetime:
        """Time now, aware, UTC."""


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Time now, aware, UTC."""
        return datetime.now(UTC)


class SharedClock:
    """The time in the state directory where a replay set one, the machine's elsewhere.

    Reading costs one `stat` while nothing changed, so a loop may ask often.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "clock.json"
        self._stamp: tuple[int, int] | None = None
        self._now: datetime | None = None

    def now(self) -> datetime:
        """Time now, aware, UTC."""
        return self.replayed() or datetime.now(UTC)

    def replayed(self) -> datetime | None:
        """Time a replay has reached, None where none runs here."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp = self._now = None
            return None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._now = datetime.fromisoformat(json.loads(self._path.read_text())["now"])
            self._stamp = stamp
        return self._now

    def set(self, now: datetime) -> None:
        """Move every process of this state directory to `now` (aware, never backwards)."""
        if now.tzinfo is None:
            raise ValueError(f"a replay's time needs a timezone: {now!r}")
        before = self.replayed()
        if before is not None and now < before:
            raise ValueError(f"time does not run backwards: {before.isoformat()} -> {now.isoformat()}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"now": now.astimezone(UTC).isoformat()}))
        fresh.replace(self._path)

    def release(self) -> None:
        """Return to the machine's time."""
        self._path.unlink(missing_ok=True)
