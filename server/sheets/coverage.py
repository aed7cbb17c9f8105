"""What of the two APIs is there: written from the tables that the server itself uses.

`python -m server.sheets.coverage > server/sheets/COVERAGE.md` brings the page up to date; a test holds it to that.
"""

from __future__ import annotations

from server.sheets.formulas.functions import FUNCTIONS
from server.sheets.requests.table import HANDLERS, OUT_OF_SCOPE
from server.sheets.web import drive_routes, faults, sheets_routes

HEAD = """# What this endpoint covers

Written by `python -m server.sheets.coverage`; do not edit. What is not listed here is answered with 404 (paths) or with
Google's 400 (request kinds), never with a silent success.

"""
LIMITS = """
## Known differences from Google

- An id of the right form that was never given out here is answered with 403, as somebody else's file; a deleted one
  with 404.
- Calls without an `Authorization` header are taken as the service account's own, unless the server runs with
  `--require-auth`.
- Formulas are computed on reading; arrays are not spilled, and functions not listed above are `#NAME?`.
- Filters, validation rules, protection and conditional formats are kept and shown back; nothing is hidden, refused or
  coloured.
- Column widths are measured by an average character; exports are CSV and TSV of the first sheet, others are refused
  with 400.
- Locale is en_US whatever the spreadsheet says. Comments can be listed (there are none), not written.
- Deleting by `trashed: true` is final. Quotas count what arrives, refused calls excepted.
"""


def render() -> str:
    """The page."""
    parts = [HEAD, "## Sheets v4\n\n| method | path |\n|---|---|\n"]
    parts += [f"| {method} | {_doc(handler)} |\n" for method, _, _, _, handler in sheets_routes.ROUTES]
    parts += ["\n## Drive v3 (and v2's upload)\n\n| method | path |\n|---|---|\n"]
    parts += [f"| {method} | {_doc(handler)} |\n" for method, _, _, handler in drive_routes.ROUTES]
    parts += ["\n## Requests of batchUpdate\n\nCarried out: " + ", ".join(f"`{kind}`" for kind in HANDLERS) + ".\n"]
    parts += ["\nRefused:\n\n| kind | why |\n|---|---|\n", *(f"| {k} | {why} |\n" for k, why in OUT_OF_SCOPE.items())]
    parts += ["\n## Functions in formulas\n\n" + ", ".join(sorted(FUNCTIONS)) + ".\n"]
    parts += ["\n## Kinds of faults\n\n" + ", ".join(f"`{kind}`" for kind in faults.KINDS) + ".\n", LIMITS]
    return "".join(parts)


def _doc(handler: object) -> str:
    return (handler.__doc__ or "").strip().splitlines()[0].rstrip(".")


if __name__ == "__main__":
    print(render(), end="")
