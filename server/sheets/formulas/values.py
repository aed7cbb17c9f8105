"""What formulas compute with: numbers, texts, booleans, blanks (`None`), errors, and ranges as rows of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

KINDS = {
    "#ERROR!": "ERROR",
    "#NULL!": "NULL_VALUE",
    "#DIV/0!": "DIVIDE_BY_ZERO",
    "#VALUE!": "VALUE",
    "#REF!": "REF",
    "#NAME?": "NAME",
    "#NUM!": "NUM",
    "#N/A": "N_A",
}


class FormulaError(str):
    """An error value: the text in the cell, with what is wrong."""

    __slots__ = ("message",)
    message: str

    def __new__(cls, code: str, message: str = "") -> Self:
        """Code such as `#DIV/0!`, and a message for people."""
        error = super().__new__(cls, code)
        error.message = message
        return error

    @property
    def kind(self) -> str:
        """Google's ErrorType."""
        return KINDS.get(str(self), "ERROR")


class Stop(Exception):
    """An error value ends the computation that needed the value."""

    def __init__(self, error: FormulaError) -> None:
        super().__init__(error)
        self.error = error


class Cells(list[list[Any]]):
    """A range's values, row by row."""

    def flat(self) -> Iterator[Any]:
        """All values in reading order."""
        for row in self:
            yield from row


def fail(code: str, message: str = "") -> Stop:
    """The exception to raise for an error value."""
    return Stop(FormulaError(code, message))


def plain(value: Any) -> Any:
    """One value; a range of one cell is that cell.

    Raises
    ------
    Stop
        On an error value, or a range of several cells.
    """
    if isinstance(value, Cells):
        if len(value) != 1 or len(value[0]) != 1:
            raise fail("#VALUE!", "An array value could not be found.")
        value = value[0][0]
    if isinstance(value, FormulaError):
        raise Stop(value)
    return value


def number(value: Any) -> float:
    """The value as a number.

    Raises
    ------
    Stop
        Where a text is none.
    """
    value = plain(value)
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    from server.sheets.text import entered  # noqa: PLC0415 - texts in arithmetic are rare

    read = entered.read(value)
    read = read.get("v") if isinstance(read, dict) else read
    if isinstance(read, int | float) and not isinstance(read, bool):
        return read
    raise fail("#VALUE!", f"Cannot be coerced to a number: '{value}'")


def text(value: Any) -> str:
    """The value as `&` joins it."""
    from server.sheets.text import display  # noqa: PLC0415 - see number()

    return display.show(plain(value), None)


def truth(value: Any) -> bool:
    """The value as a condition."""
    value = plain(value)
    if isinstance(value, str):
        if value.upper() in {"TRUE", "FALSE"}:
            return value.upper() == "TRUE"
        raise fail("#VALUE!", f"Cannot be coerced to a boolean: '{value}'")
    return bool(value)


def numbers(arguments: tuple[Any, ...]) -> list[float]:
    """The numbers among the arguments; in ranges only true numbers count, as SUM counts them."""
    found: list[float] = []
    for argument in arguments:
        if not isinstance(argument, Cells):
            found.append(number(argument))
            continue
        for value in argument.flat():
            if isinstance(value, FormulaError):
                raise Stop(value)
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.append(value)
    return found


def rank(value: Any) -> tuple[int, Any]:
    """For comparing: numbers before texts before booleans, texts without regard to case."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    return 1, str(value or "").casefold()
