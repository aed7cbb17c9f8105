"""The cell references in a formula's text: moved when cells are copied, or when rows and columns come and go."""

from __future__ import annotations

import re
from collections.abc import Callable

from server.sheets.text import a1

TOKEN = re.compile(
    r"""(?P<text>"(?:[^"]|"")*")"""
    r"""|(?P<sheet>'(?:[^']|'')*'!|[A-Za-z_][A-Za-z0-9_.]*!)?"""
    r"""(?P<ref>\$?[A-Za-z]{1,3}\$?[0-9]+(?::\$?[A-Za-z]{1,3}(?:\$?[0-9]+)?)?|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}|\$?[0-9]+:\$?[0-9]+)"""
    r"""(?![A-Za-z0-9_(!.])"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_.]*|[0-9.]+)"""
)
PART = re.compile(r"(\$?)([A-Za-z]{1,3})?(\$?)([0-9]+)?")
Span = Callable[[int, int], "tuple[int, int] | None"]


def _rewrite(formula: str, change: Callable[[str, str], str]) -> str:
    """Put every reference through `change(sheet title or '', text)`."""

    def one(match: re.Match[str]) -> str:
        if not match["ref"]:
            return match.group()
        return (match["sheet"] or "") + change(match["sheet"] or "", match["ref"])

    return TOKEN.sub(one, formula)


def _title(prefix: str, own: str) -> str:
    if not prefix:
        return own
    text = prefix[:-1]
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def moved(formula: str, own: str, target: str, dimension: str, span: Span) -> str:
    """The formula after rows or columns of sheet `target` moved; `own` is the sheet the formula stands in."""

    def change(prefix: str, text: str) -> str:
        if _title(prefix, own).casefold() != target.casefold():
            return text
        return _moved_reference(text, dimension, span)

    return _rewrite(formula, change)


def _moved_reference(text: str, dimension: str, span: Span) -> str:
    first, colon, last = text.partition(":")
    start, end = _read(first), _read(last or first)
    place = 3 if dimension == "ROWS" else 1
    if start[place] is None or end[place] is None:
        return text
    after = span(start[place], end[place] + 1)  # type: ignore[arg-type, operator]
    if after is None:
        return "#REF!"
    return _write(_at(start, place, after[0])) + (colon + _write(_at(end, place, after[1] - 1)) if colon else "")


Part = tuple[str, int | None, str, int | None]


def _read(text: str) -> Part:
    match = PART.fullmatch(text)
    if match is None:
        raise ValueError(text)
    column = a1.column_of(match[2]) if match[2] else None
    # a lone "$7" puts its dollar before the row
    fixed_column, fixed_row = (match[1], match[3]) if match[2] else ("", match[1] or match[3])
    return fixed_column, column, fixed_row, int(match[4]) - 1 if match[4] else None


def _at(part: Part, place: int, value: int) -> Part:
    return (part[0], value, part[2], part[3]) if place == 1 else (part[0], part[1], part[2], value)


def _write(part: Part) -> str:
    column = "" if part[1] is None else part[0] + a1.letters(part[1])
    return column + ("" if part[3] is None else f"{part[2]}{part[3] + 1}")


def copied(formula: str, rows: int, columns: int) -> str:
    """The formula pasted so many rows down and columns right: relative references move, `$` ones stay."""

    def change(_: str, text: str) -> str:
        parts = [_read(part) for part in text.split(":")]
        new = []
        for fixed_column, column, fixed_row, row in parts:
            if column is not None and not fixed_column:
                column += columns  # noqa: PLW2901 - the moved place
            if row is not None and not fixed_row:
                row += rows  # noqa: PLW2901 - the moved place
            if (column or 0) < 0 or (row or 0) < 0:
                return "#REF!"
            new.append(_write((fixed_column, column, fixed_row, row)))
        return ":".join(new)

    return _rewrite(formula, change)


def retitled(formula: str, old: str, new: str) -> str:
    """The formula after a sheet was renamed."""

    def one(match: re.Match[str]) -> str:
        if match["ref"] and match["sheet"] and _title(match["sheet"], "").casefold() == old.casefold():
            return f"{a1.quoted(new)}!{match['ref']}"
        return match.group()

    return TOKEN.sub(one, formula)
