"""What is made for one person when it is sent: all their answers as a file, their chart. Runs beside the event loop."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from typing import Any

from flows.bot.texts import text
from flows.collect.rows import KEYS, answer_row
from flows.store import Person, Store


def attachment(database: Path, person: str, what: str) -> dict[str, Any]:
    """Payload of `what` (export or stats) for a person, over a connection of its own."""
    with Store.open(database) as store:
        known = store.people.get(person)
        return export(store, known) if what == "export" else stats(store, known)


def export(store: Store, person: Person) -> dict[str, Any]:
    """All answers of a person as CSV."""
    responses = store.responses.of(person.person)
    if not responses:
        return {"method": "sendMessage", "text": text("export_empty", person.language)}
    surveys = {version: store.surveys.by_version(version) for version in {r.survey_version for r in responses}}
    items = list(dict.fromkeys(item for survey in surveys.values() for item in survey.item_ids))
    out = io.StringIO()
    writer = csv.DictWriter(out, [*KEYS, *items], restval="")
    writer.writeheader()
    writer.writerows(answer_row(r, surveys[r.survey_version]) for r in responses)
    return {
        "method": "sendDocument",
        "document_base64": base64.b64encode(out.getvalue().encode("utf-8-sig")).decode(),
        "filename": "answers.csv",
        "caption": text("export_done", person.language),
    }


def stats(store: Store, person: Person) -> dict[str, Any]:
    """Chart of a person's own answers."""
    raise NotImplementedError
