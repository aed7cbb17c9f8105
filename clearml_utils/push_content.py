"""What a copy looks like: events without the server's own fields, ids replaced, and a hash to compare by (pure)."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
EVENT_TYPES = ("training_stats_scalar", "plot", "training_debug_image", "log")
_KEPT = ("type", "timestamp", "iter", "metric", "variant", "value", "msg", "level", "worker", "plot_str", "url", "key")
# what must be equal on both sides; a log's iteration and a sample's key are the server's to fill in
_COMPARED = ("type", "timestamp", "metric", "variant", "value", "msg", "plot_str", "url")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def swap_ids(value: T, ids: Mapping[str, str]) -> T:
    """The same plain data with every known id inside any text replaced."""
    text = json.dumps(value)
    swapped: T = json.loads(_ID.sub(lambda found: ids.get(found.group(), found.group()), text))
    return swapped


def event_copy(
    event: Mapping[str, Any], task: str, ids: Mapping[str, str], files: Callable[[str], str]
) -> dict[str, Any]:
    """The event as it is sent to the target."""
    copy = {name: event[name] for name in _KEPT if event.get(name) is not None}
    for name in ("plot_str", "url"):
        if isinstance(copy.get(name), str):
            copy[name] = files(copy[name])
    if isinstance(copy.get("msg"), str):
        copy["msg"] = _ID.sub(lambda found: ids.get(found.group(), found.group()), copy["msg"])
    return {**copy, "task": task}


@dataclass
class Digest:
    """Counts by type and a hash that does not depend on the order of events."""

    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        """Take one event in."""
        row = [event.get(name) for name in _COMPARED]
        kept = event.get("iter") if event.get("type") != "log" else 0
        text = json.dumps([*row, kept or 0], sort_keys=True)
        self.counts[str(event.get("type"))] += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(text.encode()).digest())) % (1 << 256)

    @property
    def hex(self) -> str:
        """The hash, as text."""
        counts = json.dumps(sorted(self.counts.items()))
        return hashlib.sha256(f"{counts}{self.total}".encode()).hexdigest()
