"""Prompts: one beep for one person, and the answers given to it until it is closed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flows.store.database import Database, micros, micros_or_none, moment, moment_or_none
from flows.store.queues import IN_DOUBT

OPEN = ("planned", "sent", "started")
STATES = (*OPEN, "answered", "empty", "expired", "skipped", "cancelled", "refused")


@dataclass(frozen=True)
class Prompt:
    """One beep.

    `state`: planned, sent, started, answered (submitted), empty (submitted without one answer), expired (never begun,
    or abandoned), skipped (found too late to be sent), cancelled (pause, stop, new timezone), refused (Telegram would
    not deliver it).
    `answers`: item id -> value, None where the person skipped. `scratch`: half of an answer in the making.
    """

    prompt_id: str
    person: str
    study: str
    survey_version: str
    day: int
    beep: int
    slot_at: datetime
    expires_at: datetime
    timezone: str
    state: str = "planned"
    sent_at: datetime | None = None
    message_id: int | None = None
    started_at: datetime | None = None
    touched_at: datetime | None = None
    position: int = 0
    answers: dict[str, Any] | None = None
    scratch: str = ""

    @property
    def open(self) -> bool:
        """Whether it can still become a response."""
        return self.state in OPEN


@dataclass(frozen=True)
class Response:
    """What came of a prompt: one row."""

    response_id: str
    prompt_id: str
    person: str
    study: str
    survey_version: str
    revision: int
    status: str
    day: int
    beep: int
    slot_at: datetime
    sent_at: datetime | None
    started_at: datetime | None
    answered_at: datetime
    timezone: str
    answers: dict[str, Any]


def _prompt(row: sqlite3.Row) -> Prompt:
    return Prompt(
        prompt_id=row["prompt_id"],
        person=row["person"],
        study=row["study"],
        survey_version=row["survey_version"],
        day=row["day"],
        beep=row["beep"],
        slot_at=moment(row["slot_at"]),
        expires_at=moment(row["expires_at"]),
        timezone=row["timezone"],
        state=row["state"],
        sent_at=moment_or_none(row["sent_at"]),
        message_id=row["message_id"],
        started_at=moment_or_none(row["started_at"]),
        touched_at=moment_or_none(row["touched_at"]),
        position=row["position"],
        answers=json.loads(row["answers"]),
        scratch=row["scratch"],
    )


class Prompts:
    """Repository of prompts."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, prompts: Iterable[Prompt]) -> int:
        """Add prompts; those already there stay as they are. How many were new."""
        return self._db.write_many(
            "INSERT OR IGNORE INTO prompts (prompt_id, person, study, survey_version, day, beep, slot_at, expires_at,"
            " timezone, state) VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    p.prompt_id,
                    p.person,
                    p.study,
                    p.survey_version,
                    p.day,
                    p.beep,
                    micros(p.slot_at),
                    micros(p.expires_at),
                    p.timezone,
                    p.state,
                )
                for p in prompts
            ],
        )

    def known(self, prompt_ids: Sequence[str]) -> set[str]:
        """Which of these exist."""
        found: set[str] = set()
        for start in range(0, len(prompt_ids), 500):
            part = prompt_ids[start : start + 500]
            marks = ",".join("?" * len(part))
            found.update(
                r[0]
                for r in self._db.rows(f"SELECT prompt_id FROM prompts WHERE prompt_id IN ({marks})", part)  # noqa: S608 - question marks
            )
        return found

    def get(self, prompt_id: str) -> Prompt | None:
        """One prompt, None where there is none."""
        row = self._db.row("SELECT * FROM prompts WHERE prompt_id = ?", (prompt_id,))
        return None if row is None else _prompt(row)

    def of(self, person: str, since: datetime | None = None) -> list[Prompt]:
        """Prompts of a person, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM prompts WHERE person = ?1 AND (?2 IS NULL OR slot_at >= ?2) ORDER BY slot_at",
            (person, micros_or_none(since)),
        )
        return [_prompt(row) for row in rows]

    def current(self, person: str) -> Prompt | None:
        """The newest prompt on the person's screen that is still open.

        One whose delivery is under way, or in doubt, counts: the person may see it before Telegram's answer is here.
        """
        row = self._db.row(
            "SELECT * FROM prompts WHERE person = ? AND (state IN ('sent', 'started') OR state = 'planned' AND EXISTS"
            " (SELECT 1 FROM outbox WHERE key = prompt_id || ':prompt' AND (state = 'sending' OR reason = ?)))"
            " ORDER BY (touched_at IS NULL), touched_at DESC, slot_at DESC LIMIT 1",
            (person, IN_DOUBT),
        )
        return None if row is None else _prompt(row)

    def sent(self, prompt_id: str, message_id: int | None, at: datetime) -> None:
        """Note delivery; a second delivery keeps the first time and points at the newer message."""
        self._db.write(
            "UPDATE prompts SET state = CASE state WHEN 'planned' THEN 'sent' ELSE state END,"
            " sent_at = COALESCE(sent_at, ?), message_id = COALESCE(?, message_id), written_at = NULL"
            " WHERE prompt_id = ?",
            (micros(at), message_id, prompt_id),
        )

    def draft(self, prompt: Prompt, at: datetime) -> None:
        """Keep answers, position and scratch as `prompt` has them; the message on screen is now stale."""
        self._db.write(
            "UPDATE prompts SET state = 'started', answers = ?, position = ?, scratch = ?,"
            " started_at = COALESCE(started_at, ?), touched_at = ?, stale = 1 WHERE prompt_id = ?",
            (
                json.dumps(prompt.answers, ensure_ascii=False),
                prompt.position,
                prompt.scratch,
                micros(at),
                micros(at),
                prompt.prompt_id,
            ),
        )

    def close(self, prompt_id: str, state: str) -> bool:
        """Close an open prompt; False where it was closed before."""
        changed = self._db.write(
            "UPDATE prompts SET state = ?, stale = (message_id IS NOT NULL), written_at = NULL"
            " WHERE prompt_id = ? AND state IN ('planned', 'sent', 'started')",
            (state, prompt_id),
        )
        return changed > 0

    def undelivered(self, prompt_id: str, state: str) -> bool:
        """Close a prompt that did not reach its person; False where it was closed before or has been answered to."""
        sql = "UPDATE prompts SET state = ?, written_at = NULL WHERE prompt_id = ? AND state = 'planned'"
        return self._db.write(sql, (state, prompt_id)) > 0

    def mark_stale(self, prompt_id: str) -> None:
        """Ask for the message on screen to be drawn again."""
        self._db.write("UPDATE prompts SET stale = 1 WHERE prompt_id = ?", (prompt_id,))

    def stale_ids(self, limit: int = 2000) -> list[str]:
        """Prompts whose message on screen differs from the store."""
        return [row[0] for row in self._db.rows("SELECT prompt_id FROM prompts WHERE stale = 1 LIMIT ?", (limit,))]

    def drawn(self, prompts: Iterable[Prompt]) -> None:
        """Their messages show what these prompts say, unless something changed meanwhile."""
        self._db.write_many(
            "UPDATE prompts SET stale = 0 WHERE prompt_id = ? AND state = ? AND touched_at IS ? AND position = ?"
            " AND scratch = ?",
            [(p.prompt_id, p.state, micros_or_none(p.touched_at), p.position, p.scratch) for p in prompts],
        )

    def overdue(self, before: datetime, limit: int = 2000) -> list[Prompt]:
        """Open prompts that expired before a time."""
        rows = self._db.rows(
            "SELECT * FROM prompts WHERE expires_at < ? AND state IN ('planned', 'sent', 'started')"
            " ORDER BY expires_at LIMIT ?",
            (micros(before), limit),
        )
        return [_prompt(row) for row in rows]

    def cancel_planned(self, person: str) -> list[str]:
        """Withdraw prompts not yet sent, and the sending of them."""
        with self._db.transaction():
            rows = self._db.rows("SELECT prompt_id FROM prompts WHERE person = ? AND state = 'planned'", (person,))
            for row in rows:
                self._db.write(
                    "UPDATE prompts SET state = 'cancelled', written_at = NULL WHERE prompt_id = ?", (row[0],)
                )
                self._db.write(
                    "UPDATE outbox SET state = 'cancelled' WHERE key = ? AND state = 'waiting'", (f"{row[0]}:prompt",)
                )
            return [row[0] for row in rows]

    def unwritten(self, limit: int = 5000) -> list[Prompt]:
        """Closed prompts that the Sheet does not list yet: what became of them does not change any more."""
        rows = self._db.rows(
            "SELECT * FROM prompts WHERE written_at IS NULL AND state NOT IN ('planned', 'sent', 'started')"
            " ORDER BY slot_at LIMIT ?",
            (limit,),
        )
        return [_prompt(row) for row in rows]

    def written(self, prompts: Iterable[Prompt], at: datetime) -> None:
        """The Sheet shows these states now, unless they changed meanwhile."""
        self._db.write_many(
            "UPDATE prompts SET written_at = ? WHERE prompt_id = ? AND state = ?",
            [(micros(at), p.prompt_id, p.state) for p in prompts],
        )

    def counts(self, study: str | None = None) -> dict[str, int]:
        """Number of prompts by state, of a study or of all."""
        rows = self._db.rows(
            "SELECT state, COUNT(*) FROM prompts WHERE ?1 IS NULL OR study = ?1 GROUP BY state ORDER BY state", (study,)
        )
        return {row[0]: row[1] for row in rows}

    def down(self, started: datetime, ended: datetime) -> None:
        """Record that the bot could not hear people between two times."""
        self._db.write("INSERT INTO downtime VALUES (?,?)", (micros(started), micros(ended)))

    def deaf(self, start: datetime, end: datetime) -> timedelta:
        """How long, within a stretch, the bot could not hear people."""
        total = self._db.number(
            "SELECT SUM(MIN(ended_at, ?2) - MAX(started_at, ?1)) FROM downtime WHERE ended_at > ?1 AND started_at < ?2",
            (micros(start), micros(end)),
        )
        return timedelta(microseconds=total)


class Responses:
    """Repository of responses."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, response: Response) -> bool:
        """Add a response; False where it is there already."""
        r = response
        return (
            self._db.write(
                "INSERT OR IGNORE INTO responses (response_id, prompt_id, person, study, survey_version, revision,"
                " status, day, beep, slot_at, sent_at, started_at, answered_at, timezone, answers)"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    r.response_id,
                    r.prompt_id,
                    r.person,
                    r.study,
                    r.survey_version,
                    r.revision,
                    r.status,
                    r.day,
                    r.beep,
                    micros(r.slot_at),
                    micros_or_none(r.sent_at),
                    micros_or_none(r.started_at),
                    micros(r.answered_at),
                    r.timezone,
                    json.dumps(r.answers, ensure_ascii=False),
                ),
            )
            > 0
        )

    def unwritten(self, limit: int = 5000) -> list[Response]:
        """Responses the Sheet does not hold yet, oldest first."""
        rows = self._db.rows("SELECT * FROM responses WHERE written_at IS NULL ORDER BY answered_at LIMIT ?", (limit,))
        return [_response(row) for row in rows]

    def written(self, response_ids: Iterable[str], at: datetime) -> None:
        """The Sheet holds these."""
        self._db.write_many(
            "UPDATE responses SET written_at = ? WHERE response_id = ?", [(micros(at), one) for one in response_ids]
        )

    def of(self, person: str | None = None, study: str | None = None) -> list[Response]:
        """Responses of a person or a study, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM responses WHERE (?1 IS NULL OR person = ?1) AND (?2 IS NULL OR study = ?2)"
            " ORDER BY answered_at, response_id",
            (person, study),
        )
        return [_response(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Number of responses by status."""
        return dict(self._db.rows("SELECT status, COUNT(*) FROM responses GROUP BY status ORDER BY status"))  # type: ignore[arg-type]


def _response(row: sqlite3.Row) -> Response:
    return Response(
        row["response_id"],
        row["prompt_id"],
        row["person"],
        row["study"],
        row["survey_version"],
        row["revision"],
        row["status"],
        row["day"],
        row["beep"],
        moment(row["slot_at"]),
        moment_or_none(row["sent_at"]),
        moment_or_none(row["started_at"]),
        moment(row["answered_at"]),
        row["timezone"],
        json.loads(row["answers"]),
    )
