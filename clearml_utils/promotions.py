"""Which promotions count, and what follows from them for the stages of versions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CANDIDATE, CHAMPION, RETIRED = STAGES = ("candidate", "champion", "retired")


@dataclass(frozen=True)
class Promotion:
    """One entry in a model's history.

    Attributes
    ----------
    id
        ClearML's id of the task that is this entry.
    base
        Id of the promotion it was based on; empty for the first.
    version
        Model version promoted; 0 where none is to be champion.
    undo
        Whether it was a rollback.
    counts
        Whether it took effect.
    """

    id: str
    base: str
    version: int
    model_id: str
    reason: str
    by: str
    at: str
    undo: bool = False
    counts: bool = field(default=False)


def fold(entries: Iterable[Mapping[str, Any]]) -> list[Promotion]:
    """Decide which promotions count. Pure.

    Parameters
    ----------
    entries
        Tasks with `id`, `created` and, as JSON in `comment`, `base`, `version`, `model`, `reason`, `by`.

    Returns
    -------
    list of Promotion
        In order of creation, then id.
    """
    newest = ""
    found: list[Promotion] = []
    for entry in sorted(entries, key=lambda e: (str(e["created"]), str(e["id"]))):
        try:
            body = json.loads(entry.get("comment") or "")
            made = Promotion(
                str(entry["id"]), str(body["base"]), int(body["version"]), str(body["model"]), str(body["reason"]),
                str(body["by"]), str(entry["created"]), undo=bool(body.get("undo")), counts=str(body["base"]) == newest,
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue  # somebody else's task in this folder
        if made.counts:
            newest = made.id
        found.append(made)
    return found


def last(promotions: Sequence[Promotion]) -> Promotion | None:
    """Give the promotion in force, None before the first."""
    return next((p for p in reversed(promotions) if p.counts), None)


def before(valid: Sequence[Promotion]) -> Promotion | None:
    """The promotion a rollback returns to: what was champion before the present one came, undone ones left out."""
    stack: list[Promotion] = []
    for entry in valid:
        while entry.undo and len(stack) > 1 and stack[-1].model_id != entry.model_id:
            stack.pop()
        if not stack or stack[-1].model_id != entry.model_id:
            stack.append(entry)
    return stack[-2] if len(stack) > 1 else None


def stages(promotions: Sequence[Promotion]) -> dict[str, str]:
    """Stage by model id; models never promoted are candidates and not in it."""
    found = {p.model_id: RETIRED for p in promotions if p.counts}
    newest = last(promotions)
    if newest:
        found[newest.model_id] = CHAMPION
    return found
