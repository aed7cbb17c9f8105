"""The Sheet: four worksheets with fixed headers, appended to by one writer, read as people left it.

Columns are found by their name in row 1, every time: people may insert, move and sort as they like. What they renamed
or deleted is added again on the right. Values are RAW: a formula in an answer stays text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gspread
from gspread.utils import rowcol_to_a1

from flows.clients.google import SheetBusyError, SheetError, SheetGoneError, SheetUnsureError, connect, transport
from flows.collect.rows import KEYS, MESSAGES, PEOPLE, PROMPTS, Row, laid_out
from flows.settings import Settings
from flows.store import Store

ANSWERS = "answers"
HEADERS: Mapping[str, tuple[str, ...]] = {
    ANSWERS: KEYS,
    "people": PEOPLE,
    "prompts": PROMPTS,
    "messages": MESSAGES,
}
ROWS_AT_ONCE = 2000
BYTES_AT_ONCE = 1_500_000
"""Google takes bodies of about 2 MB."""
SETTLE = 1.0
"""Seconds to let a write that was answered with an error settle before reading what became of it."""
TITLE = "Moodflow answers"


@dataclass
class Page:
    """A worksheet as it was last seen: its number, its grid and the names in row 1."""

    title: str
    gid: int
    rows: int
    columns: int
    header: list[str] = field(default_factory=list)


class Book(gspread.Spreadsheet):
    """gspread's spreadsheet, which remembers what opening it has fetched already."""

    seen: Mapping[str, Any]

    def fetch_sheet_metadata(self, params: Any = None) -> Any:
        """Fetch the spreadsheet without its cells."""
        self.seen = super().fetch_sheet_metadata(params)
        return self.seen


class Sheet:
    """One spreadsheet."""

    def __init__(self, client: gspread.Client, key: str, cells: int) -> None:
        self.client = client
        self._http = transport(client)
        self._spreadsheet = Book(client.http_client, {"id": key})
        self._most = cells
        self.pages: dict[str, Page] = {}

    @property
    def id(self) -> str:
        """Key of the spreadsheet."""
        return str(self._spreadsheet.id)

    @property
    def calls(self) -> int:
        """API calls made so far by this client."""
        return self._http.calls

    @property
    def url(self) -> str:
        """Address for people."""
        return str(self._spreadsheet.url)

    def look(self) -> int:
        """See which worksheets there are and make those that are missing; cells of the whole spreadsheet."""
        self._see(self._spreadsheet.seen)
        missing = [title for title in HEADERS if title not in self.pages]
        if missing:
            self._make(missing)
        return sum(page.rows * page.columns for page in self.pages.values())

    def _see(self, metadata: Mapping[str, Any]) -> None:
        self.pages = {}
        for sheet in metadata["sheets"]:
            known = sheet["properties"]
            grid = known.get("gridProperties", {})
            page = Page(known["title"], known["sheetId"], grid.get("rowCount", 0), grid.get("columnCount", 0))
            self.pages[page.title] = page

    def _make(self, titles: Sequence[str]) -> None:
        """Add worksheets with their headers, in one structural call and one write."""
        requests = [
            {
                "addSheet": {
                    "properties": {
                        "title": title,
                        "gridProperties": {"rowCount": 1000, "columnCount": len(HEADERS[title]), "frozenRowCount": 1},
                    }
                }
            }
            for title in titles
        ]
        self._spreadsheet.batch_update({"requests": requests})
        data = [{"range": f"{title}!A1", "values": [list(HEADERS[title])]} for title in titles]
        self._spreadsheet.values_batch_update({"valueInputOption": "RAW", "data": data})
        self._see(self._spreadsheet.fetch_sheet_metadata())

    def headers(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Read row 1 of these worksheets, adding on the right the columns they lack."""
        got = self._spreadsheet.values_batch_get([f"{title}!1:1" for title in wanted])
        writes = []
        for (title, columns), ranged in zip(wanted.items(), got["valueRanges"], strict=True):
            page = self.pages[title]
            found = [str(cell).strip() for cell in (ranged.get("values") or [[]])[0]]
            page.header = _complete(found, columns)
            if page.header != found:
                self._widen(page, len(page.header))
                writes.append({"range": f"{title}!A1", "values": [page.header]})
        if writes:
            self._spreadsheet.values_batch_update({"valueInputOption": "RAW", "data": writes})

    def _widen(self, page: Page, columns: int) -> None:
        if columns > page.columns:
            more = {"sheetId": page.gid, "dimension": "COLUMNS", "length": columns - page.columns}
            self._spreadsheet.batch_update({"requests": [{"appendDimension": more}]})
            page.columns = columns

    def append(self, title: str, rows: Sequence[Row], key: str) -> int:
        """Append rows, each once; how many calls of append it took.

        A write that was answered with an error is not repeated before the key column has been read back.
        """
        appends = 0
        for part in _parts(rows):
            left = list(part)
            for _attempt in range(4):
                try:
                    appends += 1
                    self._append(title, left)
                    left = []
                except SheetUnsureError:
                    time.sleep(SETTLE)
                    there = self.column(title, key)
                    left = [row for row in left if str(row[key]) not in there]
                if not left:
                    break
            else:
                raise SheetBusyError(f"worksheet {title} takes no rows now; answers wait in the store, try later")
        return appends

    def _append(self, title: str, rows: Sequence[Row]) -> None:
        page = self.pages[title]
        params: dict[str, Any] = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
        values = [laid_out(row, page.header) for row in rows]
        self._spreadsheet.values_append(f"{title}!A1", params, {"values": values, "majorDimension": "ROWS"})

    def column(self, title: str, name: str) -> dict[str, list[int]]:
        """Values of a column by name, each with the rows (from 1) it stands in; the header is not among them."""
        return self.columns([title], name)[title]

    def columns(self, titles: Sequence[str], name: str) -> dict[str, dict[str, list[int]]]:
        """`column` of several worksheets in one call."""
        ranges = []
        for title in titles:
            letter = rowcol_to_a1(1, self.pages[title].header.index(name) + 1).rstrip("1")
            ranges.append(f"{title}!{letter}2:{letter}")
        got = self._spreadsheet.values_batch_get(ranges, params={"majorDimension": "COLUMNS"})
        found: dict[str, dict[str, list[int]]] = {}
        for title, ranged in zip(titles, got["valueRanges"], strict=True):
            places = found.setdefault(title, {})
            for row, cell in enumerate((ranged.get("values") or [[]])[0], start=2):
                places.setdefault(str(cell), []).append(row)
        return found

    def upsert(self, title: str, rows: Sequence[Row], key: str) -> None:
        """Write rows over those with the same key, append the others."""
        places = self.column(title, key)
        header = self.pages[title].header
        changed = [row for row in rows if str(row[key]) in places]
        data = [
            {"range": f"{title}!{rowcol_to_a1(places[str(row[key])][0], at + 1)}", "values": [[row[name]]]}
            for row in changed
            for at, name in enumerate(header)
            if name in row
        ]
        for start in range(0, len(data), 5000):
            self._spreadsheet.values_batch_update({"valueInputOption": "RAW", "data": data[start : start + 5000]})
        fresh = [row for row in rows if str(row[key]) not in places]
        if fresh:
            self.append(title, fresh, key)

    def erase(self, person: str) -> int:
        """Delete every row of a person from every worksheet; how many there were."""
        titles = [title for title in HEADERS if "person" in self.pages[title].header]
        requests = []
        for title, places in self.columns(titles, "person").items():
            for row in sorted(places.get(person, []), reverse=True):
                span = {"sheetId": self.pages[title].gid, "dimension": "ROWS", "startIndex": row - 1, "endIndex": row}
                requests.append({"deleteDimension": {"range": span}})
        if requests:
            self._spreadsheet.batch_update({"requests": requests})
        return len(requests)

    def read(self, title: str) -> list[list[str]]:
        """All cells as text, the header first: numbers in full, dates as they look, empty cells empty."""
        got = self._spreadsheet.values_get(
            title, params={"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "FORMATTED_STRING"}
        )
        rows = [[_text(cell) for cell in row] for row in got.get("values", [])]
        width = max((len(row) for row in rows), default=0)
        return [row + [""] * (width - len(row)) for row in rows]

    def room_for(self, rows: int) -> bool:
        """Whether that many rows fit under the limit of cells."""
        used = sum(page.rows * page.columns for page in self.pages.values())
        return used + rows * max(page.columns for page in self.pages.values()) <= self._most

    def share_like(self, other: Sheet) -> None:
        """Let the people into this spreadsheet who are let into another."""
        for granted in other._spreadsheet.list_permissions():
            address, kind, role = (str(granted.get(name) or "") for name in ("emailAddress", "type", "role"))
            if address and address != self._http.account and role != "owner":
                self._spreadsheet.share(address, perm_type=kind, role=role, notify=False)


def _complete(found: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """Row 1 with a name in every column (a column without one would cut the table) and every wanted column."""
    taken = set(found)
    header: list[str] = []
    for at, name in enumerate(found, start=1):
        label = name or f"note_{at}"
        while not name and label in taken:
            label += "_"
        header.append(label)
        taken.add(label)
    return header + [name for name in wanted if name not in taken]


def _parts(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Rows in parts that Google takes at once."""
    part: list[Row] = []
    size = 0
    for row in rows:
        weight = sum(len(str(cell).encode()) + 4 for cell in row.values())
        if part and (len(part) >= ROWS_AT_ONCE or size + weight > BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(row)
        size += weight
    if part:
        yield part


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return "" if cell is None else str(cell)


def keys(settings: Settings, store: Store) -> list[str]:
    """Keys of the spreadsheets in use, the one that is written to last."""
    rolled = store.facts.get("spreadsheets") or []
    if settings.spreadsheet is not None and settings.spreadsheet not in rolled:
        return [settings.spreadsheet]
    return list(rolled)


def open_sheet(settings: Settings, store: Store, client: gspread.Client | None = None) -> Sheet:
    """Open the spreadsheet that is written to; the first time, make it."""
    client = client or connect(settings)
    known = keys(settings, store)
    if known:
        sheet = Sheet(client, known[-1], settings.sheet_cells)
    else:
        sheet = Sheet(client, _created(client, TITLE), settings.sheet_cells)
    if store.facts.get("spreadsheets") != [*known[:-1], sheet.id]:
        store.facts.set("spreadsheets", [*known[:-1], sheet.id])
    sheet.look()
    return sheet


def _created(client: gspread.Client, title: str) -> str:
    """Make a spreadsheet, once even where the answer to making it is lost."""
    try:
        return str(client.create(title).id)
    except SheetUnsureError:
        time.sleep(SETTLE)
        made = [one for one in client.list_spreadsheet_files(title) if one.get("name") == title]
        if not made:
            return str(client.create(title).id)
        newest = max(made, key=lambda one: str(one.get("createdTime", "")))
        return str(newest["id"])


def rolled_over(settings: Settings, store: Store, sheet: Sheet) -> Sheet:
    """A fresh spreadsheet that goes on where a full one ends, shared with the same people."""
    known = keys(settings, store)
    fresh = Sheet(sheet.client, _created(sheet.client, f"{TITLE} ({len(known) + 1})"), settings.sheet_cells)
    fresh.look()
    fresh.share_like(sheet)
    store.facts.set("spreadsheets", [*known, fresh.id])
    return fresh


def read_answers(settings: Settings, store: Store | None = None) -> list[list[str]]:
    """All answers as the Sheet has them now, header first, spreadsheets of a rollover one after the other."""
    if store is None:
        with Store.open(settings.database) as own:
            return read_answers(settings, own)
    return _joined([_sheet.read(ANSWERS) for _sheet in _each(settings, store)])


def _each(settings: Settings, store: Store) -> Iterable[Sheet]:
    known = keys(settings, store)
    if not known:
        return
    client = connect(settings)
    for one in known:
        yield Sheet(client, one, settings.sheet_cells)


def _joined(tables: Sequence[list[list[str]]]) -> list[list[str]]:
    """Tables under one header, their columns matched by name."""
    tables = [table for table in tables if table]
    if len(tables) <= 1:
        return tables[0] if tables else [list(KEYS)]
    header = list(dict.fromkeys(name for table in tables for name in table[0] if name))
    joined = [header]
    for table in tables:
        place = {name: at for at, name in enumerate(table[0])}
        joined += [[row[place[name]] if name in place else "" for name in header] for row in table[1:]]
    return joined


def count_answers(settings: Settings) -> int:
    """Rows of the answers worksheet that have a response id, as the Sheet has them now."""
    table = read_answers(settings)
    at = table[0].index("response_id")
    return sum(1 for row in table[1:] if row[at].strip())


def check_access(settings: Settings) -> str:
    """Try the Sheet as it is set up, for `moodflow doctor --live`; what was found, in words.

    Raises
    ------
    SheetError
        With what to do about it (a ValueError, LookupError or OSError as well).
    """
    with Store.open(settings.database) as store:
        known = keys(settings, store)
        client = connect(settings)
        if not known:
            transport(client).login()
            return "the service account's key works; the spreadsheet is made on first use"
        sheet = Sheet(client, known[-1], settings.sheet_cells)
        writable = sheet.look()
        return f"spreadsheet {sheet.id} can be read and written, {writable:,} cells in use"


__all__ = [
    "ANSWERS",
    "HEADERS",
    "Sheet",
    "SheetError",
    "SheetGoneError",
    "check_access",
    "count_answers",
    "open_sheet",
    "read_answers",
    "rolled_over",
]
