"""The read-only page: which spreadsheets there are, and what stands in their cells."""

from __future__ import annotations

from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, select_autoescape
from starlette.responses import HTMLResponse, Response

from server.sheets import values
from server.sheets.drive import timestamp
from server.sheets.errors import ApiError, NotFound
from server.sheets.formulas.evaluate import Evaluator
from server.sheets.storage.book import Book, Sheet
from server.sheets.storage.library import SPREADSHEET, Library
from server.sheets.text import a1

PAGE_ROWS = 200
PAGE_COLUMNS = 60
HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-store"}
TEMPLATE = Environment(autoescape=select_autoescape(default=True)).from_string(
    resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
)


def answer(library: Library, method: str, path: str, query: str) -> Response:
    """The list of spreadsheets, or one sheet's cells.

    Raises
    ------
    NotFound
        Where there is no such page.
    """
    if method not in {"GET", "HEAD"} or path != "/":
        raise NotFound
    asked = {name: found[-1] for name, found in parse_qs(query).items()}
    books = _books(library)
    if "id" not in asked:
        return _page(books=books)
    try:
        book = library.book(asked["id"])
    except ApiError:
        return _page(404, books=books, missing=asked["id"])
    sheet = book.sheet(_number(asked.get("sheet"))) or book.sheets[0]
    first = min(_number(asked.get("row")), max(sheet.grid.last_row() - 1, 0))
    return _page(books=books, book=book, sheet=sheet, **_cells(book, sheet, first))


def _page(status: int = 200, **what: Any) -> HTMLResponse:
    return HTMLResponse(TEMPLATE.render(**what), status, HEADERS)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else 0


def _books(library: Library) -> list[dict[str, str]]:
    sql = "select id, name, modified from files where mime = ? order by modified desc limit 500"
    found = library.db.execute(sql, (SPREADSHEET,))
    return [{"id": key, "name": name, "modified": timestamp(when)[:19]} for key, name, when in found]


def _cells(book: Book, sheet: Sheet, first: int) -> dict[str, Any]:
    """What the page shows: rows from `first` on, as wide as their longest; errors and formulas are marked."""
    evaluator, last = Evaluator(book), sheet.grid.last_row()
    rows: list[tuple[int, list[tuple[str, str]]]] = []
    stored = dict(sheet.grid.rows(first, first + PAGE_ROWS))
    width = min(max((len(cells) for cells in stored.values()), default=1), PAGE_COLUMNS)
    for r in range(first, min(first + PAGE_ROWS, last)):
        line = (stored.get(r, []) + [None] * width)[:width]
        rows.append((r, [_shown(cell, sheet, r, c, evaluator) for c, cell in enumerate(line)]))
    return {
        "rows": rows,
        "letters": [a1.letters(c) for c in range(width)],
        "last": last,
        "earlier": max(first - PAGE_ROWS, 0) if first else None,
        "later": first + PAGE_ROWS if first + PAGE_ROWS < last else None,
    }


def _shown(cell: Any, sheet: Sheet, row: int, column: int, evaluator: Evaluator) -> tuple[str, str]:
    text = str(values.Rendering().of(cell, sheet, row, column, evaluator))
    number = isinstance(cell, int | float) and not isinstance(cell, bool)
    formula = cell["f"] if isinstance(cell, dict) and "f" in cell else ""
    return text, formula or ("number" if number else "")
