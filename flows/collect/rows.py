"""Responses, people, prompts and messages as rows of the Sheet. Fixed headers; pseudonyms only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flows.survey.definition import Survey

KEYS = (
    "response_id", "prompt_id", "person", "study", "survey_version", "revision", "status", "day", "beep", "slot_at",
    "sent_at", "answered_at", "timezone",
)  # fmt: skip
PEOPLE = ("person", "study", "language", "timezone", "state", "consent_version", "consented_at", "enrolled_at")
PROMPTS = (
    "prompt_id", "person", "study", "survey_version", "day", "beep", "slot_at", "expires_at", "timezone", "state",
    "sent_at",
)  # fmt: skip
MESSAGES = (
    "message_id", "person", "kind", "language", "text", "policy_id", "policy_version", "model_id", "model_version",
    "data_hash", "flow_run_id", "task_run_id", "created_at",
)  # fmt: skip
CODE = {
    "response_id": "one row: prompt id and revision",
    "prompt_id": "one beep: hash of person, survey version and slot",
    "person": "random pseudonym",
    "study": "study the person is enrolled in",
    "survey_version": "hash of the definition that was answered",
    "revision": "1 unless answered again",
    "status": "complete: every item asked has an answer; partial: some were skipped or left",
    "day": "day in the study, from 1, in the person's timezone",
    "beep": "prompt of the day, from 1; from 90 on asked for by the person",
    "slot_at": "time the prompt was due (UTC)",
    "sent_at": "time it was delivered (UTC)",
    "answered_at": "time the answers were submitted (UTC); of abandoned ones the last tap",
    "timezone": "the person's timezone then",
}
"""What the key columns mean, for codebooks."""
CELL = 50_000
"""Characters a cell of Google Sheets takes."""

Cell = str | float | int
Row = Mapping[str, Cell]


def answers_header(survey: Survey) -> tuple[str, ...]:
    """Header of the worksheet of a survey's answers."""
    return (*KEYS, *survey.item_ids)


def stamp(at: datetime | None) -> str:
    """A time as the Sheet has it: ISO 8601, UTC, to the millisecond where it matters; empty for none."""
    if at is None:
        return ""
    at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def answer_row(response: Any, survey: Survey) -> dict[str, Cell]:
    """One response: column -> cell. An item without an answer is an empty cell.

    `response` has the fields of `flows.store.Response`.
    """
    row: dict[str, Cell] = {key: _cell(getattr(response, key)) for key in KEYS}
    return row | {item: _cell(response.answers.get(item)) for item in survey.item_ids}


def plain_row(record: Any, header: Sequence[str]) -> dict[str, Cell]:
    """A person, prompt or message: column -> cell."""
    return {key: _cell(getattr(record, key)) for key in header}


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, (list, tuple)):
        return ",".join(str(one) for one in value)
    if isinstance(value, (int, float)):
        return value
    return str(value)[:CELL]


def laid_out(row: Mapping[str, Cell], header: Sequence[str]) -> list[Cell]:
    """A row's cells in the order the Sheet has its columns; columns people added stay empty."""
    return [row.get(name, "") for name in header]
