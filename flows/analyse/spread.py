"""How work is spread over workers: the same parts wherever they run, so that results are the same to the bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Spread = Callable[[Callable[..., Any], Sequence[Any], Any], list[Any]]
"""`spread(work, parts, shared)` is `[work(part, shared) for part in parts]`, wherever it runs."""


def in_turn(work: Callable[..., Any], parts: Sequence[Any], shared: Any) -> list[Any]:
    """One after another, in this process."""
    return [work(part, shared) for part in parts]
