"""Which cells are filled, kept in memory as one integer per row, and the tables they form.

A table is what Sheets calls the data region: from a filled cell, the rectangle grows on all four sides while the cells
beside it (corners excepted) hold anything. The table that the last append made is remembered, so that the next one does
not walk over all rows again.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.sheets.text.a1 import Area


@dataclass(slots=True)
class Table:
    """A region and the columns filled anywhere in its rows."""

    area: Area
    columns: int


MEMORY = 4
NEAR = 5_000


class Occupancy:
    """The filled cells of a sheet, and the tables last asked for by the cell they were grown from."""

    def __init__(self, masks: dict[int, int]) -> None:
        self.masks = masks
        self.last = max(masks, default=-1)
        self._known: dict[tuple[int, int], Table] = {}

    def set(self, r: int, mask: int) -> None:
        """Row `r` is now filled as `mask` says."""
        if self.masks.get(r, 0) == mask:
            return
        self._known = {seed: table for seed, table in self._known.items() if self._follows(table, r, mask)}
        if mask:
            self.masks[r] = mask
            self.last = max(self.last, r)
        elif self.masks.pop(r, None) is not None and r == self.last:
            self.last = max(self.masks, default=-1)

    def _follows(self, known: Table, r: int, mask: int) -> bool:
        """Whether a remembered table survives this write: it is only made longer, within its columns."""
        if r != known.area.bottom or r in self.masks or r + 1 in self.masks:
            return False
        inside = span_mask(known.area.left, known.area.right)
        if not mask & inside or mask & ~inside:
            return False
        known.area = Area(known.area.top, known.area.left, r + 1, known.area.right)
        known.columns |= mask
        return True

    def last_filled(self, area: Area) -> tuple[int, int] | None:
        """The last filled cell of the area, in reading order."""
        window = span_mask(area.left, area.right)
        if min(area.bottom, self.last + 1) - area.top > len(self.masks):
            rows = sorted((r for r in self.masks if area.top <= r < area.bottom), reverse=True)
        else:
            rows = list(range(min(area.bottom, self.last + 1) - 1, area.top - 1, -1))
        for r in rows:
            found = self.masks.get(r, 0) & window
            if found:
                return r, found.bit_length() - 1
        return None

    def table_at(self, row: int, column: int) -> Area:
        """The table around a filled cell."""
        table = self._known.get((row, column)) or self._nearby(row, column) or self._grow(row, column)
        self._known[(row, column)] = table
        if len(self._known) > MEMORY:
            del self._known[next(iter(self._known))]
        return table.area

    def _nearby(self, row: int, column: int) -> Table | None:
        """The remembered table of a cell above that this cell's own table reaches: then the two are the same.

        A table is closed under growing, so one grown from any cell inside is no larger; reaching the cell that the
        remembered one was grown from, it is no smaller.
        """
        for seed, table in list(self._known.items()):
            near = 0 <= row - seed[0] <= NEAR and table.area.contains(Area(row, column, row + 1, column + 1))
            if near and self._grow(row, column, seed[0]).area.contains(Area(*seed, seed[0] + 1, seed[1] + 1)):
                return self._known.pop(seed)
        return None

    def _grow(self, row: int, column: int, floor: int = 0) -> Table:
        top, bottom, left, right = row, row + 1, column, column + 1
        columns = self.masks.get(row, 0)
        while True:
            before = (top, bottom, left, right)
            inside = span_mask(left, right)
            while top > floor and self.masks.get(top - 1, 0) & inside:
                top -= 1
                columns |= self.masks[top]
            while self.masks.get(bottom, 0) & inside:
                columns |= self.masks[bottom]
                bottom += 1
            while left > 0 and columns >> (left - 1) & 1:
                left -= 1
            while columns >> right & 1:
                right += 1
            if before == (top, bottom, left, right):
                return Table(Area(top, left, bottom, right), columns)

    def table_for(self, area: Area) -> Area | None:
        """The last table that the area touches; None where it touches none."""
        found = self.last_filled(area)
        if found:
            return self.table_at(*found)
        return self._around(area.top, area.left)

    def _around(self, row: int, column: int) -> Area | None:
        """The table in whose rectangle an empty cell lies, if any."""
        cell = Area(row, column, row + 1, column + 1)
        left_of = self.masks.get(row, 0) & span_mask(0, column)
        candidates = [(row, left_of.bit_length() - 1)] if left_of else []
        above = next((r for r in range(row - 1, -1, -1) if self.masks.get(r, 0) >> column & 1), None)
        if above is not None:
            candidates.append((above, column))
        for place in candidates:
            table = self.table_at(*place)
            if table.contains(cell):
                return table
        return None


def span_mask(left: int, right: int) -> int:
    """The bits of the columns from `left` up to `right`."""
    return ((1 << right) - 1) & ~((1 << left) - 1)
