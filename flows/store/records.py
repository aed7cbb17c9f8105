"""What must be provable later: messages with their lineage, snapshots of rows, the ledger, slots, definitions."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.store.database import Database, StoreError, micros, micros_or_none, moment, moment_or_none

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MessageRecord:
    """An insight or a reminder, and everything it came from."""

    message_id: str
    person: str
    kind: str
    language: str
    text: str
    facts: dict[str, Any]
    evidence: dict[str, Any]
    policy_id: str
    policy_version: str
    model_id: str | None
    model_version: str | None
    data_hash: str
    flow_run_id: str
    task_run_id: str
    created_at: datetime


_MESSAGE_FIELDS = tuple(field.name for field in fields(MessageRecord))


class Messages:
    """Repository of messages."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, message: MessageRecord) -> bool:
        """Keep a message; False where its id is there already."""
        values = asdict(message) | {
            "facts": json.dumps(message.facts, ensure_ascii=False),
            "evidence": json.dumps(message.evidence, ensure_ascii=False),
            "created_at": micros(message.created_at),
        }
        names = ", ".join(_MESSAGE_FIELDS)
        marks = ", ".join(":" + name for name in _MESSAGE_FIELDS)
        return self._db.write(f"INSERT OR IGNORE INTO messages ({names}) VALUES ({marks})", values) > 0  # noqa: S608 - the dataclass's names

    def get(self, message_id: str) -> MessageRecord | None:
        """One message, None where there is none."""
        found = self._select("message_id = ?", (message_id,))
        return found[0] if found else None

    def recent(self, person: str, since: datetime) -> list[MessageRecord]:
        """Messages to a person since a time, oldest first."""
        return self._select("person = ? AND created_at >= ?", (person, micros(since)))

    def all(self, since: datetime | None = None) -> list[MessageRecord]:
        """Messages to everybody, oldest first."""
        return self._select("?1 IS NULL OR created_at >= ?1", (micros_or_none(since),))

    def unwritten(self, limit: int = 5000) -> list[MessageRecord]:
        """Messages the Sheet does not list yet."""
        return self._select("written_at IS NULL", (), limit)

    def written(self, message_ids: Iterable[str], at: datetime) -> None:
        """The Sheet lists these."""
        self._db.write_many(
            "UPDATE messages SET written_at = ? WHERE message_id = ?", [(micros(at), one) for one in message_ids]
        )

    def _select(self, where: str, values: tuple[Any, ...], limit: int = -1) -> list[MessageRecord]:
        names = ", ".join(_MESSAGE_FIELDS)
        order = f"ORDER BY created_at, message_id LIMIT {limit}"
        sql = f"SELECT {names} FROM messages WHERE {where} {order}"  # noqa: S608 - conditions of this class
        return [
            MessageRecord(
                **{
                    **dict(row),
                    "facts": json.loads(row["facts"]),
                    "evidence": json.loads(row["evidence"]),
                    "created_at": moment(row["created_at"]),
                }
            )
            for row in self._db.rows(sql, values)
        ]


def _iso(moments: pd.Series) -> pd.Series:
    """Moments in UTC as `Snapshots.save` would have them written, in a tenth of the time."""
    import numpy as np  # noqa: PLC0415 - the bot does without it
    import pandas as pd  # noqa: PLC0415 - likewise

    text = np.datetime_as_string(moments.dt.tz_convert(None).to_numpy(), unit="us")
    return (pd.Series(text, index=moments.index, dtype=object) + "+0000").where(moments.notna(), "")


class Snapshots:
    """The rows a run read, under their data hash."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def save(self, data_hash: str, frame: pd.DataFrame, at: datetime | None = None) -> None:
        """Keep a frame of plain columns; one kept before stays."""
        written = frame.assign(**{str(n): _iso(c) for n, c in frame.items() if str(c.dtype).endswith(", UTC]")})
        text = written.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%f%z")
        columns = json.dumps({str(name): str(kind) for name, kind in frame.dtypes.items()})
        self._db.write(
            "INSERT OR IGNORE INTO snapshots (data_hash, columns, rows, saved_at) VALUES (?,?,?,?)",
            (data_hash, columns, zlib.compress(text.encode()), micros(at) if at else 0),
        )

    def load(self, data_hash: str) -> pd.DataFrame:
        """Give a frame back as it was saved (less what was erased since).

        Raises
        ------
        StoreError
            There is no snapshot under this hash.
        """
        row = self._db.row("SELECT columns, rows FROM snapshots WHERE data_hash = ?", (data_hash,))
        if row is None:
            raise StoreError(f"no snapshot {data_hash}: run the analysis again to make one")
        return _frame(zlib.decompress(row["rows"]).decode(), json.loads(row["columns"]))

    def erase(self, person: str) -> list[str]:
        """Drop a person's rows from every snapshot; hashes of the snapshots that can no longer be reproduced."""
        touched = []
        with self._db.transaction():
            for (data_hash,) in self._db.rows("SELECT data_hash FROM snapshots"):
                frame = self.load(data_hash)
                if "person" not in frame or not (mine := frame["person"] == person).any():
                    continue
                text = frame[~mine].to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%f%z")
                self._db.write(
                    "UPDATE snapshots SET rows = ?, erased = erased + 1 WHERE data_hash = ?",
                    (zlib.compress(text.encode()), data_hash),
                )
                touched.append(data_hash)
        return touched

    def reproducible(self, data_hash: str) -> bool:
        """Whether the snapshot is there and nothing was erased from it."""
        row = self._db.row("SELECT erased FROM snapshots WHERE data_hash = ?", (data_hash,))
        return row is not None and row[0] == 0


def _frame(text: str, columns: dict[str, str]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - the bot does without it

    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    kind: Any  # the stubs of pandas list dtypes one by one
    for name, kind in columns.items():
        filled = frame[name].where(frame[name] != "")
        if kind.startswith("datetime64"):
            frame[name] = pd.to_datetime(filled, utc="UTC" in kind, format="ISO8601").astype(kind)
        elif kind in {"object", "str", "string", "category"}:
            frame[name] = filled.astype(kind)
        elif kind in {"bool", "boolean"}:
            frame[name] = filled.map({"True": True, "False": False}).astype(kind)
        else:
            frame[name] = pd.to_numeric(filled).astype(kind)
    return frame


class Ledger:
    """What became of every prompt and message; entries are only ever added."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, subject: str, event: str, at: datetime, reason: str = "") -> None:
        """Add one entry about a prompt id, message id or outbox key."""
        self.add_many([(subject, event, at, reason)])

    def add_many(self, entries: Iterable[tuple[str, str, datetime, str]]) -> None:
        """Add entries (subject, event, at, reason) in one commit."""
        self._db.write_many(
            "INSERT INTO ledger (subject, event, at, reason) VALUES (?,?,?,?)",
            [(subject, event, micros(at), reason) for subject, event, at, reason in entries],
        )

    def counts(self) -> dict[str, int]:
        """Number of entries by event."""
        return dict(self._db.rows("SELECT event, COUNT(*) FROM ledger GROUP BY event ORDER BY event"))  # type: ignore[arg-type]

    def of(self, subject: str) -> list[tuple[str, datetime, str]]:
        """Entries (event, at, reason) about one subject, oldest first."""
        rows = self._db.rows("SELECT event, at, reason FROM ledger WHERE subject = ? ORDER BY id", (subject,))
        return [(row[0], moment(row[1]), row[2]) for row in rows]


class Slots:
    """Prompt times a study prescribed, person by person (for replays)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, person: str, slots: Iterable[tuple[datetime, int, int]]) -> int:
        """Add prompt times (slot_at, day, beep) of a person; how many were new."""
        return self._db.write_many(
            "INSERT OR IGNORE INTO slots VALUES (?,?,?,?)", [(person, micros(at), day, beep) for at, day, beep in slots]
        )

    def between(self, study: str, start: datetime, end: datetime) -> list[tuple[str, datetime, int, int]]:
        """Prompt times (person, slot_at, day, beep) of a study's active people, start < slot_at <= end."""
        rows = self._db.rows(
            "SELECT slots.* FROM slots JOIN people USING (person) WHERE slot_at > ? AND slot_at <= ? AND study = ?"
            " AND state = 'active' ORDER BY slot_at, person",
            (micros(start), micros(end), study),
        )
        return [(row[0], moment(row[1]), row[2], row[3]) for row in rows]


@dataclass(frozen=True)
class Study:
    """A study people can be enrolled in: which survey, until when, and for how long its answers are kept."""

    study: str
    survey_version: str
    ends_at: datetime | None
    retention_days: int | None
    purged_at: datetime | None


class Studies:
    """Repository of studies and of every survey definition that was ever asked."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def keep(self, version: str, name: str, source: str, at: datetime) -> None:
        """Keep a definition's text under its version, for as long as answers to it exist."""
        self._db.write("INSERT OR IGNORE INTO surveys VALUES (?,?,?,?)", (version, name, source, micros(at)))

    def source(self, version: str) -> str | None:
        """Text of a definition."""
        row = self._db.row("SELECT source FROM surveys WHERE version = ?", (version,))
        return None if row is None else str(row[0])

    def name(self, version: str) -> str | None:
        """Name of the survey of a version."""
        row = self._db.row("SELECT name FROM surveys WHERE version = ?", (version,))
        return None if row is None else str(row[0])

    def put(self, study: str, survey_version: str, ends_at: datetime | None, retention_days: int | None) -> None:
        """Open a study, or give it a new survey version, end or retention."""
        self._db.write(
            "INSERT INTO studies (study, survey_version, ends_at, retention_days) VALUES (?,?,?,?) ON CONFLICT (study)"
            " DO UPDATE SET survey_version = excluded.survey_version, ends_at = excluded.ends_at,"
            " retention_days = excluded.retention_days,"
            " purged_at = CASE WHEN excluded.ends_at IS studies.ends_at THEN studies.purged_at END",
            (study, survey_version, micros_or_none(ends_at), retention_days),
        )

    def purged(self, study: str, at: datetime) -> None:
        """Note that a study's answers are gone, its retention period being over."""
        self._db.write("UPDATE studies SET purged_at = ? WHERE study = ?", (micros(at), study))

    def get(self, study: str) -> Study | None:
        """One study, None where there is none."""
        row = self._db.row("SELECT * FROM studies WHERE study = ?", (study,))
        return None if row is None else Study(row[0], row[1], moment_or_none(row[2]), row[3], moment_or_none(row[4]))

    def list(self) -> Sequence[Study]:
        """All studies by name."""
        rows = self._db.rows("SELECT * FROM studies ORDER BY study")
        return [Study(row[0], row[1], moment_or_none(row[2]), row[3], moment_or_none(row[4])) for row in rows]


class Facts:
    """Small single values: where planning got to, when the bot last heard Telegram, which spreadsheet."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, key: str) -> Any:
        """Value of a key, None where there is none."""
        row = self._db.row("SELECT value FROM facts WHERE key = ?", (key,))
        return None if row is None else json.loads(row[0])

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._db.write("INSERT OR REPLACE INTO facts VALUES (?,?)", (key, json.dumps(value)))
