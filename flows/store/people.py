"""People: pseudonyms, what they agreed to, and the one map from chat to pseudonym."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.store.database import Database, UnknownPersonError, micros, micros_or_none, moment, moment_or_none

STATES = ("enrolling", "active", "paused", "blocked", "stopped", "ended")


@dataclass(frozen=True)
class Person:
    """Who takes part, by pseudonym.

    `state`: enrolling (agreed, still to say country and timezone), active, paused, blocked (Telegram refuses
    delivery), stopped (by themselves), ended (the study is over).
    """

    person: str
    study: str
    language: str
    timezone: str
    country: str | None
    state: str
    consent_version: str
    consented_at: datetime
    enrolled_at: datetime | None
    paused_until: datetime | None


@dataclass(frozen=True)
class Chat:
    """A private chat with the bot: what is known before (and beside) a pseudonym."""

    chat_id: int
    person: str | None
    language: str
    study: str | None
    step: str
    draft: dict[str, Any]


def _person(row: sqlite3.Row) -> Person:
    return Person(
        row["person"],
        row["study"],
        row["language"],
        row["timezone"],
        row["country"],
        row["state"],
        row["consent_version"],
        moment(row["consented_at"]),
        moment_or_none(row["enrolled_at"]),
        moment_or_none(row["paused_until"]),
    )


class People:
    """Repository of people and chats."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def list(self, study: str | None = None, state: str | None = None) -> Sequence[Person]:
        """People, by pseudonym, optionally of one study or in one state."""
        rows = self._db.rows(
            "SELECT * FROM people WHERE (?1 IS NULL OR study = ?1) AND (?2 IS NULL OR state = ?2) ORDER BY person",
            (study, state),
        )
        return [_person(row) for row in rows]

    def get(self, person: str) -> Person:
        """One person.

        Raises
        ------
        UnknownPersonError
            No such pseudonym; it may have been deleted.
        """
        row = self._db.row("SELECT * FROM people WHERE person = ?", (person,))
        if row is None:
            raise UnknownPersonError(f"no person {person!r} in {self._db.path.name}: list them with `moodflow people`")
        return _person(row)

    def find(self, person: str) -> Person | None:
        """One person, None where there is none."""
        row = self._db.row("SELECT * FROM people WHERE person = ?", (person,))
        return None if row is None else _person(row)

    def enrol(
        self,
        chat_id: int | None,
        *,
        study: str,
        language: str,
        timezone: str,
        consent_version: str,
        at: datetime,
        country: str | None = None,
        state: str = "active",
    ) -> Person:
        """Give a chat that has just agreed a random pseudonym; a chat that has one keeps it."""
        with self._db.transaction():
            known = None if chat_id is None else self.by_chat(chat_id)
            person = known.person if known else "p" + secrets.token_hex(8)
            enrolled = micros(at) if state == "active" else None
            self._db.write(
                "INSERT INTO people (person, study, language, timezone, country, state, consent_version, consented_at,"
                " enrolled_at) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (person) DO UPDATE SET study = excluded.study,"
                " language = excluded.language, state = excluded.state, consent_version = excluded.consent_version,"
                " consented_at = excluded.consented_at, enrolled_at = COALESCE(enrolled_at, excluded.enrolled_at),"
                " paused_until = NULL, written_at = NULL",
                (person, study, language, timezone, country, state, consent_version, micros(at), enrolled),
            )
            self._db.write(
                "INSERT INTO consents (person, version, language, agreed_at) VALUES (?,?,?,?)",
                (person, consent_version, language, micros(at)),
            )
            if chat_id is not None:
                self.save_chat(Chat(chat_id, person, language, study, "done", {}))
            return self.get(person)

    def change(self, person: str, **fields: Any) -> Person:
        """Set fields of a person: language, timezone, country, state, paused_until, enrolled_at, study."""
        allowed = {"language", "timezone", "country", "state", "paused_until", "enrolled_at", "study"}
        if unknown := set(fields) - allowed:
            raise ValueError(f"a person has no field {sorted(unknown)} that may change: one of {sorted(allowed)}")
        values = {k: micros(v) if isinstance(v, datetime) else v for k, v in fields.items()}
        sets = ", ".join(f"{name} = :{name}" for name in values)
        changed = self._db.write(
            f"UPDATE people SET {sets}, written_at = NULL WHERE person = :person",  # noqa: S608 - names are checked above
            {**values, "person": person},
        )
        if not changed:
            raise UnknownPersonError(f"no person {person!r} in {self._db.path.name}: list them with `moodflow people`")
        return self.get(person)

    def withdraw(self, person: str, at: datetime) -> None:
        """Record that consent was withdrawn."""
        self._db.write(
            "UPDATE consents SET withdrawn_at = ? WHERE person = ? AND withdrawn_at IS NULL", (micros(at), person)
        )

    def chat_id(self, person: str) -> int | None:
        """Telegram chat of a person; None where the chat is gone."""
        row = self._db.row("SELECT chat_id FROM chats WHERE person = ?", (person,))
        return None if row is None else int(row[0])

    def chat(self, chat_id: int) -> Chat | None:
        """What is known of a chat."""
        row = self._db.row("SELECT * FROM chats WHERE chat_id = ?", (chat_id,))
        if row is None:
            return None
        return Chat(row["chat_id"], row["person"], row["language"], row["study"], row["step"], json.loads(row["draft"]))

    def by_chat(self, chat_id: int) -> Person | None:
        """Person behind a chat."""
        row = self._db.row("SELECT people.* FROM people JOIN chats USING (person) WHERE chat_id = ?", (chat_id,))
        return None if row is None else _person(row)

    def save_chat(self, chat: Chat) -> None:
        """Keep what is known of a chat."""
        self._db.write(
            "INSERT INTO chats (chat_id, person, language, study, step, draft) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT (chat_id) DO UPDATE SET person = excluded.person, language = excluded.language,"
            " study = excluded.study, step = excluded.step, draft = excluded.draft",
            (chat.chat_id, chat.person, chat.language, chat.study, chat.step, json.dumps(chat.draft)),
        )

    def migrate_chat(self, old: int, new: int) -> bool:
        """Follow a chat whose id changed; True where it was known under the old one."""
        with self._db.transaction():
            # what waits for a chat follows it, whether or not anybody is enrolled there
            self._db.write(
                "UPDATE outbox SET chat_id = ? WHERE chat_id = ? AND state IN ('waiting', 'sending')", (new, old)
            )
            if self._db.number("SELECT COUNT(*) FROM chats WHERE chat_id = ?", (old,)) == 0:
                return False
            self._db.write("DELETE FROM chats WHERE chat_id = ?", (new,))
            self._db.write("UPDATE chats SET chat_id = ? WHERE chat_id = ?", (new, old))
            return True

    def keep_consent_text(self, version: str, language: str, text: str) -> None:
        """Keep the words people agree to, under their version."""
        self._db.write("INSERT OR IGNORE INTO consent_texts VALUES (?,?,?)", (version, language, text))

    def resume_due(self, now: datetime) -> Sequence[str]:
        """End the pauses that are over; who may be asked again."""
        with self._db.transaction():
            found = self._db.rows(
                "SELECT person FROM people WHERE state = 'paused' AND paused_until <= ?", (micros(now),)
            )
            for row in found:
                self.change(row[0], state="active", paused_until=None)
            return [row[0] for row in found]

    def unwritten(self) -> Sequence[Person]:
        """People whose line in the Sheet is missing or out of date."""
        return [_person(row) for row in self._db.rows("SELECT * FROM people WHERE written_at IS NULL ORDER BY person")]

    def written(self, people: Sequence[Person], at: datetime) -> None:
        """The Sheet shows these people as they are given here, unless they changed meanwhile."""
        self._db.write_many(
            "UPDATE people SET written_at = ? WHERE person = ? AND state = ? AND language = ? AND timezone = ?",
            [(micros(at), p.person, p.state, p.language, p.timezone) for p in people],
        )

    def erased(self, after: datetime | None = None) -> Sequence[str]:
        """Pseudonyms whose owners asked to be deleted, whatever has been done about it so far."""
        rows = self._db.rows(
            "SELECT person FROM erasures WHERE ?1 IS NULL OR asked_at > ?1 ORDER BY asked_at", (micros_or_none(after),)
        )
        return [row[0] for row in rows]

    def erasures_open(self, where: str) -> Sequence[str]:
        """Deletions that `where` ("sheet" or "models") has yet to carry out."""
        column = {"sheet": "sheet_done_at", "models": "models_done_at"}[where]
        rows = self._db.rows(f"SELECT person FROM erasures WHERE {column} IS NULL ORDER BY asked_at")  # noqa: S608 - one of two names
        return [row[0] for row in rows]

    def erasure_done(self, person: str, where: str, at: datetime) -> None:
        """Record that `where` ("sheet" or "models") holds nothing of the person any more."""
        column = {"sheet": "sheet_done_at", "models": "models_done_at"}[where]
        self._db.write(f"UPDATE erasures SET {column} = ? WHERE person = ?", (micros(at), person))  # noqa: S608 - one of two names
