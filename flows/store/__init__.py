"""The private store: the only SQLite code of the product, and the only place that knows which chat is whom."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.store.database import Database, NewerStoreError, StoreError, UnknownPersonError, micros
from flows.store.people import Chat, People, Person
from flows.store.prompts import Prompt, Prompts, Response, Responses
from flows.store.queues import Inbox, Incoming, Outbox, Outgoing
from flows.store.records import Facts, Ledger, MessageRecord, Messages, Slots, Snapshots, Studies, Study
from flows.store.surveys import Surveys

__all__ = [
    "Chat",
    "Incoming",
    "MessageRecord",
    "NewerStoreError",
    "Outgoing",
    "Person",
    "Prompt",
    "Response",
    "Store",
    "StoreError",
    "Study",
    "Surveys",
    "UnknownPersonError",
]


class Store:
    """One private SQLite file; a repository per kind of thing in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.people = People(database)
        self.prompts = Prompts(database)
        self.responses = Responses(database)
        self.inbox = Inbox(database)
        self.outbox = Outbox(database)
        self.messages = Messages(database)
        self.snapshots = Snapshots(database)
        self.ledger = Ledger(database)
        self.slots = Slots(database)
        self.studies = Studies(database)
        self.facts = Facts(database)
        self.surveys = Surveys(self.studies)
        self.transaction = database.transaction

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open the file, made and migrated where needed, readable by its owner only."""
        return cls(Database(path))

    def erase(self, person: str, at: datetime) -> list[str]:
        """Forget a person here and leave the request for the Sheet and the models.

        Returns
        -------
        list of str
            Data hashes of snapshots that can no longer be reproduced.
        """
        with self.transaction():
            known = self.people.get(person)
            touched = self.snapshots.erase(person)
            prompts = [
                row[0] for row in self.database.rows("SELECT prompt_id FROM prompts WHERE person = ?", (person,))
            ]
            messages = [
                row[0] for row in self.database.rows("SELECT message_id FROM messages WHERE person = ?", (person,))
            ]
            for table in ("responses", "prompts", "outbox", "messages", "slots", "consents", "people"):
                self.database.write(f"DELETE FROM {table} WHERE person = ?", (person,))  # noqa: S608 - names above
            self.database.write(
                "UPDATE inbox SET body = '', chat_id = NULL WHERE chat_id = ? AND done_at IS NOT NULL",
                (self.people.chat_id(person),),
            )
            self.database.write("DELETE FROM chats WHERE person = ?", (person,))
            self.database.write_many(
                "DELETE FROM ledger WHERE subject = ?1 OR subject BETWEEN ?1 || ':' AND ?1 || ':~'",
                [(one,) for one in (*prompts, *messages, person)],
            )
            self.database.write(
                "INSERT OR REPLACE INTO erasures (person, study, asked_at) VALUES (?,?,?)",
                (person, known.study, micros(at)),
            )
            self.ledger.add(person, "erased", at, f"{len(touched)} snapshots no longer reproducible")
            self.ledger.add_many((message, "erased", at, "its person was deleted") for message in messages)
        return touched

    def cancel_planned(self, person: str, at: datetime, reason: str) -> None:
        """Withdraw a person's prompts that are not sent yet; the ledger says why."""
        with self.transaction():
            cancelled = self.prompts.cancel_planned(person)
            self.ledger.add_many((prompt, "cancelled", at, reason) for prompt in cancelled)

    def forget_sheet(self) -> int:
        """Have everything written again, to whatever spreadsheet comes next; number of responses."""
        with self.transaction():
            self.facts.set("spreadsheets", [])
            self.facts.set("sheet_intent", None)
            for table in ("people", "prompts", "messages"):
                self.database.write(f"UPDATE {table} SET written_at = NULL")  # noqa: S608 - names above
            return self.database.write("UPDATE responses SET written_at = NULL")

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
