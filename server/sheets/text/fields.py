"""Field masks: `sheets(properties.title,data.rowData.values.note)`, with `/` for `.` as older clients write it."""

from __future__ import annotations

from typing import Any

from server.sheets.errors import bad_field

Mask = dict[str, "Mask"]
"""Names to deeper masks; an empty mask takes everything below."""


def parse(text: str) -> Mask:
    """Read a mask.

    Raises
    ------
    InvalidArgument
        Where brackets do not match or a name is empty.
    """
    mask, rest = _list(text.replace("/", ".").replace(" ", ""), 0)
    if rest != len(text.replace(" ", "")):
        raise _invalid(text)
    return mask


def _invalid(text: str) -> Exception:
    return bad_field("fields", f"Error expanding 'fields' parameter. Cannot find matching fields for path '{text}'.")


def _list(text: str, at: int) -> tuple[Mask, int]:
    mask: Mask = {}
    while True:
        at = _path(text, at, mask)
        if at < len(text) and text[at] == ",":
            at += 1
            continue
        return mask, at


def _path(text: str, at: int, mask: Mask) -> int:
    """Read one `a.b(c,d)` into the mask; where it ends."""
    parents: list[Mask] = [mask]
    while True:
        end = at
        while end < len(text) and (text[end].isalnum() or text[end] in "_*-$#:"):
            end += 1
        if end == at:
            raise _invalid(text)
        name = text[at:end]
        deeper = parents[-1].setdefault(name, {})
        if end < len(text) and text[end] == ".":
            parents.append(deeper)
            at = end + 1
            continue
        if end < len(text) and text[end] == "(":
            inner, close = _list(text, end + 1)
            if close >= len(text) or text[close] != ")":
                raise _invalid(text)
            merge(deeper, inner)
            return close + 1
        deeper.clear()
        return end


def merge(into: Mask, other: Mask) -> None:
    """Add the other mask's names."""
    for name, deeper in other.items():
        merge(into.setdefault(name, {}), deeper)


def wants(mask: Mask | None, *path: str) -> bool:
    """Whether the mask takes something at or below this path."""
    here = mask
    for name in path:
        if not here or "*" in here:
            return True
        if name not in here:
            return False
        here = here[name]
    return True


def apply(mask: Mask | None, value: Any) -> Any:
    """What the mask leaves of a value; lists are gone through item by item."""
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [apply(mask, item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: apply(mask[name], item) for name, item in value.items() if name in mask}


def update(target: dict[str, Any], mask: Mask, source: dict[str, Any]) -> None:
    """Write the masked fields of `source` into `target`; a masked field that is missing is cleared."""
    for name in list(source) if "*" in mask or not mask else list(mask):
        deeper = mask.get(name, {})
        given = source.get(name)
        if deeper and "*" not in deeper and (isinstance(given, dict) or given is None):
            below = target.setdefault(name, {})
            update(below, deeper, given or {})
            if not below:
                del target[name]
        elif given is None:
            target.pop(name, None)
        else:
            target[name] = given
