"""What counts as told before: what reached its person, or still may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.notify.flow import told_before
from flows.notify.policy import Policy
from flows.store import MessageRecord, Store

AT = datetime(2026, 5, 4, 16, tzinfo=UTC)
EVENING, NEXT = AT + timedelta(hours=3), AT + timedelta(days=1)


def said(store: Store) -> str:
    """One message about a change, queued until the evening; its person."""
    person = store.people.enrol(
        7, study="mood", language="en", timezone="Europe/Moscow", consent_version="1", at=AT
    ).person
    record = MessageRecord(
        "m1", person, "change", "en", "words", {}, {"subject": "change:x"}, "id", "1", None, None, "d", "f", "t", AT
    )
    store.messages.record(record)
    store.outbox.enqueue("m1", person, "insight", {"method": "sendMessage"}, AT, EVENING)
    return person


@pytest.mark.parametrize(
    ("end", "counts"), [("waiting", False), ("expired", False), ("sent", True), ("unknown", True), ("refused", True)]
)
def test_what_came_too_late_was_not_told(tmp_path: Path, end: str, counts: object) -> None:
    """Expired, or about to: it may be told anew. Sent, or perhaps sent: it counts, and is not told twice."""
    with Store.open(tmp_path / "private.db") as store:
        person = said(store)
        if end != "waiting":
            store.outbox.close("m1", end, EVENING)
        assert [t.subject for t in told_before(store, person, NEXT, Policy())] == (["change:x"] if counts else [])


def test_what_still_waits_counts_and_goes_on_counting_for_that_moment(tmp_path: Path) -> None:
    """A decision taken while a message waited is the same when it is looked at again after the message expired."""
    with Store.open(tmp_path / "private.db") as store:
        person, then = said(store), AT + timedelta(hours=1)
        before = told_before(store, person, then, Policy())
        store.outbox.close("m1", "expired", EVENING)
        assert told_before(store, person, then, Policy()) == before != []
