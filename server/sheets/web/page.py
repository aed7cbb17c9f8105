"""The read-only page: which spreadsheets there are, and what stands in their cells."""

from __future__ import annotations

from starlette.responses import HTMLResponse, Response

from server.sheets.errors import NotFound
from server.sheets.storage.library import Library


def answer(library: Library, method: str, path: str) -> Response:
    """A page, or 404."""
    if method not in {"GET", "HEAD"} or path != "/":
        raise NotFound
    return HTMLResponse("<!doctype html><title>Sheets</title>")
