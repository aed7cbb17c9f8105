"""organization.*download*: a table of tasks or models as a CSV file."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Answer, Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import KINDS
from server.embedded.query import find
from server.embedded.query.filters import path_parts

KEPT_S = 3_600
LONGEST = 50_000
_prepared: dict[str, tuple[float, dict[str, Any]]] = {}


@endpoint("organization.prepare_download_for_get_all", version="2.26")
def prepare(call: Call) -> dict[str, Any]:
    """Keep a request for a moment: a browser can then download its answer by id."""
    now = time.monotonic()
    for old in [key for key, (at, _) in _prepared.items() if at < now - KEPT_S]:
        del _prepared[old]
    identifier = objects.new_id()
    _prepared[identifier] = (now, dict(call.body))
    return {"prepare_id": identifier}


@endpoint("organization.download_for_get_all", version="2.26")
def download(call: Call) -> Answer:
    """Answer a prepared request as CSV."""
    kept = _prepared.get(str(call.body["prepare_id"]))
    if kept is None:
        raise fail("bad_request", "prepare ID not found", prepare_id=call.body["prepare_id"])
    body = kept[1]
    kind = KINDS[str(body["entity_type"])]
    chosen = {key: value for key, value in body.items() if key not in {"entity_type", "field_mappings"}}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([mapping["name"] for mapping in body["field_mappings"]])
    page = 0
    while page * 500 < LONGEST:
        rows = find(call.db, kind, chosen | {"page": page, "page_size": 500}, call.company, expanded=True).objects
        for row in rows:
            writer.writerow([_cell(row, mapping) for mapping in body["field_mappings"]])
        if len(rows) < 500:
            break
        page += 1
    headers = (("content-disposition", f"attachment; filename={kind.table}s.csv"),)
    return Answer(body=out.getvalue().encode(), content_type="text/csv; charset=utf-8", headers=headers)


def _cell(row: Mapping[str, Any], mapping: Mapping[str, Any]) -> str:
    value: Any = row
    for part in path_parts(str(mapping["field"])):
        value = value.get(part) if isinstance(value, Mapping) else None
    for pair in mapping.get("values") or ():
        if pair.get("key") == value:
            value = pair.get("value")
    text = ", ".join(str(item) for item in value) if isinstance(value, list) else "" if value is None else str(value)
    # a cell that begins like a formula is text to a spreadsheet only behind an apostrophe
    return f"'{text}" if text[:1] in {"=", "+", "@"} else text
