"""One cell, as it is kept.

A cell without anything but a value is that value (`str`, `int`, `float`, `bool`); an empty one is `None`. Anything
more is a dict: `v` value, `f` formula, `fmt` the format set by people (userEnteredFormat), `note`, `dv` the data
validation rule.
"""

from __future__ import annotations

from typing import Any

Cell = Any
Scalar = str | int | float | bool | None
KEPT_ON_WRITE = ("fmt", "note", "dv")


def filled(cell: Cell) -> bool:
    """Whether there is a value or formula (a format or note alone does not count)."""
    if cell is None:
        return False
    return not isinstance(cell, dict) or "f" in cell or cell.get("v") is not None


def value(cell: Cell) -> Scalar:
    """The stored value; a formula has none of its own."""
    result: Scalar = cell.get("v") if isinstance(cell, dict) else cell
    return result


def number_format(cell: Cell) -> dict[str, str] | None:
    """The cell's number format, `{type, pattern}`."""
    return cell.get("fmt", {}).get("numberFormat") if isinstance(cell, dict) else None


def rewritten(old: Cell, new: Cell) -> Cell:
    """The new content in the old cell's format, note and validation; a newly recognised number format wins."""
    if not isinstance(old, dict):
        return new
    kept = {key: old[key] for key in KEPT_ON_WRITE if key in old}
    if not kept:
        return new
    if isinstance(new, dict):
        if "fmt" in new:
            kept["fmt"] = {**kept.get("fmt", {}), **new["fmt"]}
        return {**kept, **{key: item for key, item in new.items() if key != "fmt"}}
    return kept if new is None else {**kept, "v": new}


def simplest(cell: dict[str, Any]) -> Cell:
    """The cell without what it does not have: a bare value where nothing else is there."""
    slim = {key: item for key, item in cell.items() if item is not None and item not in ({}, [])}
    if not slim:
        return None
    return slim["v"] if set(slim) == {"v"} else slim


def trimmed(cells: list[Cell]) -> list[Cell]:
    """Without the empty cells at the end."""
    end = len(cells)
    while end and cells[end - 1] is None:
        end -= 1
    return cells[:end]
