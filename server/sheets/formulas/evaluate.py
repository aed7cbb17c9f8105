"""Compute formulas when cells are read: always from what the cells hold now, each cell once a request."""

from __future__ import annotations

import math
from typing import Any

from server.sheets.cells import Cell, number_format
from server.sheets.errors import InvalidArgument
from server.sheets.formulas import functions
from server.sheets.formulas.parse import Node, parse
from server.sheets.formulas.values import Cells, FormulaError, Stop, fail, number, plain, rank, text
from server.sheets.storage.book import Book, Sheet
from server.sheets.text import a1, entered

LAZY = {"IF", "IFERROR", "IFNA", "IFS", "SWITCH", "ROW", "COLUMN"}
DATE = {"type": "DATE", "pattern": "m/d/yyyy"}
MOMENT = {"type": "DATE_TIME", "pattern": "m/d/yyyy h:mm:ss"}
PERCENT = {"type": "PERCENT", "pattern": "0.00%"}
BUSY = FormulaError("#REF!", "Circular dependency detected.")


class Evaluator:
    """Values of formula cells, for one request."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._known: dict[tuple[int, int, int], Any] = {}
        self._rows: dict[tuple[int, int], list[Cell]] = {}

    def value(self, sheet: Sheet, row: int, column: int, cell: Cell) -> Any:
        """The cell's value; of a formula, what it comes to."""
        if not isinstance(cell, dict):
            return cell
        if "f" not in cell:
            return cell.get("v")
        place = (sheet.grid.key, row, column)
        if place not in self._known:
            self._known[place] = BUSY
            self._known[place] = self._compute(cell["f"], sheet, row, column)
        return self._known[place]

    def _compute(self, formula: str, sheet: Sheet, row: int, column: int) -> Any:
        try:
            found = _Computation(self, sheet, row, column).of(parse(formula))
            result = plain(found)
        except Stop as stop:
            return stop.error
        except RecursionError:
            return FormulaError("#ERROR!", "The chain of formulas is too long for this local endpoint.")
        if isinstance(result, float) and not math.isfinite(result):
            return FormulaError("#NUM!", "The result is no finite number.")
        # a reference to an empty cell shows 0, as in Sheets' UNFORMATTED_VALUE
        return entered.whole(result) if isinstance(result, float) else result

    def cell(self, sheet: Sheet, row: int, column: int) -> Cell:
        """The cell as stored; rows are kept for the request."""
        key = (sheet.grid.key, row)
        if key not in self._rows:
            self._rows[key] = sheet.grid.row(row)
        cells = self._rows[key]
        return cells[column] if column < len(cells) else None

    def range(self, sheet: Sheet, area: a1.Area) -> Cells:
        """The values of an area."""
        if area.bottom - area.top == 1 and area.right - area.left == 1:
            return Cells([[self.value(sheet, area.top, area.left, self.cell(sheet, area.top, area.left))]])
        stored = dict(sheet.grid.rows(area.top, area.bottom))
        width = area.right - area.left
        values = Cells()
        for r in range(area.top, area.bottom):
            window = stored.get(r, [])[area.left : area.right]
            line = [self.value(sheet, r, area.left + i, cell) for i, cell in enumerate(window)]
            values.append(line + [None] * (width - len(line)))
        return values

    def format_of(self, sheet: Sheet, cell: Cell) -> dict[str, str] | None:
        """The number format that a formula's value brings with it: that of a date, a percentage or a cell it takes."""
        if not isinstance(cell, dict) or "f" not in cell:
            return None
        try:
            return self._format(sheet, parse(cell["f"]), 0)
        except Stop:
            return None

    def _format(self, sheet: Sheet, node: Node, depth: int) -> dict[str, str] | None:
        if node.kind == "call" and node.value in functions.DATES | functions.MOMENTS:
            return MOMENT if node.value in functions.MOMENTS else DATE
        if node.kind == "percent":
            return PERCENT
        if node.kind == "ref":
            return self._format_of_reference(sheet, str(node.value), depth)
        inherits = (node.kind == "binary" and node.value in {"+", "-"}) or (
            node.kind == "call" and node.value in {"SUM", "MIN", "MAX", "AVERAGE", "MEDIAN"}
        )
        if inherits:
            return next((found for part in node.parts if (found := self._format(sheet, part, depth + 1))), None)
        return None

    def _format_of_reference(self, sheet: Sheet, reference: str, depth: int) -> dict[str, str] | None:
        try:
            other, box = self._locate(sheet, reference)
        except InvalidArgument:
            return None
        target = self.cell(other, box.top, box.left)
        own: dict[str, str] | None = number_format(target)
        if own or depth > 20 or not isinstance(target, dict) or "f" not in target:
            return own
        return self._format(other, parse(target["f"]), depth + 1)

    def _locate(self, sheet: Sheet, reference: str) -> tuple[Sheet, a1.Box]:
        found = a1.parse(reference.replace("$", ""))
        target = sheet if found.sheet is None else self.book.titled(found.sheet)
        if target is None or found.box is None:
            raise a1.unparsable(reference)
        return target, found.box

    def reference(self, sheet: Sheet, text_of: str) -> tuple[Sheet, a1.Area]:
        """The cells that a reference in a formula of this sheet names.

        Raises
        ------
        Stop
            `#REF!` where there are none.
        """
        try:
            target, box = self._locate(sheet, text_of)
            return target, target.clip(box)
        except InvalidArgument as error:
            raise fail("#REF!", error.message) from error


class _Computation:
    """One formula in one cell."""

    def __init__(self, evaluator: Evaluator, sheet: Sheet, row: int, column: int) -> None:
        self.evaluator, self.sheet, self.row, self.column = evaluator, sheet, row, column

    def of(self, node: Node) -> Any:
        """The value of a piece of the formula."""
        return getattr(self, f"_{node.kind}")(node)

    def _value(self, node: Node) -> Any:
        return node.value

    def _error(self, node: Node) -> Any:
        raise fail(str(node.value))

    def _ref(self, node: Node) -> Any:
        return self.evaluator.range(*self.evaluator.reference(self.sheet, str(node.value)))

    def _name(self, node: Node) -> Any:
        named = self.evaluator.book.named_range(str(node.value).rpartition("!")[2])
        if named is None:
            raise fail("#NAME?", f"Unknown range name: '{str(node.value).upper()}'.")
        sheet, box = named
        return self.evaluator.range(sheet, sheet.clip(box))

    def _array(self, node: Node) -> Any:
        return Cells([[plain(self.of(part)) for part in row.parts] for row in node.parts])

    def _negative(self, node: Node) -> Any:
        return -number(self.of(node.parts[0]))

    def _percent(self, node: Node) -> Any:
        return number(self.of(node.parts[0])) / 100

    def _binary(self, node: Node) -> Any:
        sign, left, right = str(node.value), self.of(node.parts[0]), self.of(node.parts[1])
        if sign == "&":
            return text(left) + text(right)
        if sign in {"+", "-", "*", "/", "^"}:
            return _arithmetic(sign, number(left), number(right))
        return _comparison(sign, plain(left), plain(right))

    def _call(self, node: Node) -> Any:
        name = str(node.value)
        if name in LAZY:
            return getattr(self, f"_do_{name.lower()}")(node.parts)
        return functions.call(name, [self._argument(part) for part in node.parts])

    def _argument(self, part: Node) -> Any:
        try:
            return self.of(part)
        except Stop as stop:
            return stop.error

    def _do_if(self, parts: tuple[Node, ...]) -> Any:
        from server.sheets.formulas.values import truth  # noqa: PLC0415 - used by conditions alone

        if not 2 <= len(parts) <= 3:
            raise fail("#N/A", "Wrong number of arguments to IF.")
        if truth(self.of(parts[0])):
            return self.of(parts[1])
        return self.of(parts[2]) if len(parts) > 2 else False

    def _do_iferror(self, parts: tuple[Node, ...]) -> Any:
        try:
            return plain(self.of(parts[0]))
        except Stop:
            return self.of(parts[1]) if len(parts) > 1 else None

    def _do_ifna(self, parts: tuple[Node, ...]) -> Any:
        try:
            return plain(self.of(parts[0]))
        except Stop as stop:
            if stop.error != "#N/A":
                raise
            return self.of(parts[1]) if len(parts) > 1 else None

    def _do_ifs(self, parts: tuple[Node, ...]) -> Any:
        for at in range(0, len(parts) - 1, 2):
            if self._do_if((parts[at], Node("value", value=True))):
                return self.of(parts[at + 1])
        raise fail("#N/A", "No match.")

    def _do_switch(self, parts: tuple[Node, ...]) -> Any:
        wanted = rank(plain(self.of(parts[0])))
        for at in range(1, len(parts) - 1, 2):
            if rank(plain(self.of(parts[at]))) == wanted:
                return self.of(parts[at + 1])
        if len(parts) % 2 == 0:
            return self.of(parts[-1])
        raise fail("#N/A", "No match.")

    def _do_row(self, parts: tuple[Node, ...]) -> int:
        return (self._place(parts).top if parts else self.row) + 1

    def _do_column(self, parts: tuple[Node, ...]) -> int:
        return (self._place(parts).left if parts else self.column) + 1

    def _place(self, parts: tuple[Node, ...]) -> a1.Area:
        if parts[0].kind != "ref":
            raise fail("#N/A", "Argument must be a range.")
        return self.evaluator.reference(self.sheet, str(parts[0].value))[1]


def _arithmetic(sign: str, left: float, right: float) -> float:
    if sign == "/":
        if right == 0:
            raise fail("#DIV/0!", "Function DIVIDE parameter 2 cannot be zero.")
        return left / right
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    return power(left, right)


def power(base: float, exponent: float) -> float:
    """`base ^ exponent`.

    Raises
    ------
    Stop
        `#NUM!` where the result is too large or imaginary.
    """
    if base < 0 and exponent != int(exponent):
        raise fail("#NUM!", "POWER evaluates to an imaginary number.")
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError) as error:
        raise fail("#NUM!", "The result is too large.") from error


def _comparison(sign: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        other = right if left is None else left
        empty: Any = "" if isinstance(other, str) else (False if isinstance(other, bool) else 0)
        left, right = (empty if left is None else left), (empty if right is None else right)
    a, b = rank(left), rank(right)
    return {"=": a == b, "<>": a != b, "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign]
