"""The private store: private, migrated, idempotent, forgetting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.store import NewerStoreError, Store, UnknownPersonError
from flows.store.database import micros, moment

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "private.db") as opened:
        yield opened


def enrol(store, chat=5, study="mood"):
    return store.people.enrol(
        chat, study=study, language="ru", timezone="Europe/Moscow", consent_version="v1", at=NOW
    ).person


def test_only_the_owner_can_read_the_file(tmp_path):
    """The file that knows who is who is 0600, even if it was there with other rights."""
    path = tmp_path / "private.db"
    path.touch(mode=0o644)
    Store.open(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_newer_file_is_refused(tmp_path):
    """A file of a newer Moodflow is not touched."""
    with Store.open(tmp_path / "private.db") as opened:
        opened.database.connection.execute("PRAGMA user_version=999")
    with pytest.raises(NewerStoreError, match="update Moodflow"):
        Store.open(tmp_path / "private.db")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))
def test_times_survive_to_the_microsecond(at):
    """moment(micros(x)) == x."""
    at = at.replace(tzinfo=UTC)
    assert moment(micros(at)) == at


def test_a_chat_keeps_its_pseudonym(store):
    """Agreeing twice, or again after /stop, is the same person; the pseudonym says nothing of the chat."""
    first = enrol(store)
    store.people.change(first, state="stopped")
    assert enrol(store) == first
    assert first != "5"
    assert store.people.chat_id(first) == 5
    assert len(store.people.list()) == 1


def test_a_chat_that_moves_is_followed(store):
    """After a migration the pseudonym belongs to the new chat id."""
    person = enrol(store, 5)
    assert store.people.migrate_chat(5, -1005)
    assert store.people.chat_id(person) == -1005
    assert not store.people.migrate_chat(5, -1006)


def test_unknown_people_are_named_with_a_next_step(store):
    """The error says how to find out who there is."""
    with pytest.raises(UnknownPersonError, match="moodflow people"):
        store.people.get("p0")
    with pytest.raises(UnknownPersonError):
        store.people.change("p0", state="active")


def test_an_outbox_key_is_taken_once(store):
    """The same key is refused whatever became of the first: sending is idempotent."""
    person = enrol(store)
    assert store.outbox.enqueue("k", person, "insight", {"method": "sendMessage", "text": "x"}, NOW)
    store.outbox.claim(["k"])
    store.outbox.close("k", "sent", NOW, telegram_id=1)
    assert not store.outbox.enqueue("k", person, "insight", {"method": "sendMessage", "text": "y"}, NOW)
    assert store.outbox.delivered_counts() == {"insight": 1}
    assert store.outbox.get("k").payload == {}


def test_safety_goes_before_everything_due(store):
    """Of messages due, the help text is first."""
    person = enrol(store)
    store.outbox.enqueue("a", person, "reply", {}, NOW)
    store.outbox.enqueue("b", person, "safety", {}, NOW + timedelta(seconds=1))
    assert [one.key for one in store.outbox.due(NOW + timedelta(seconds=1))] == ["b", "a"]


def test_an_update_is_kept_once(store):
    """A repeated update id is known, and stays known after it was applied."""
    assert store.inbox.add([(7, 5, "{}"), (8, 5, "{}")], NOW) == 2
    store.inbox.done([7], NOW)
    assert store.inbox.add([(7, 5, "{}")], NOW) == 0
    assert [one.update_id for one in store.inbox.waiting()] == [8]


def test_what_was_committed_survives_a_kill(tmp_path):
    """SIGKILL right after a commit: the update is there. In the middle of a transaction: nothing of it is."""
    code = (
        "import sys, os, signal; from pathlib import Path; from datetime import *; from flows.store import Store\n"
        "s = Store.open(Path(sys.argv[1])); n = datetime.now(UTC); s.inbox.add([(1, 5, '{}')], n)\n"
        "s.database.connection.execute('BEGIN IMMEDIATE')\n"
        "s.database.connection.execute(\"INSERT INTO inbox (update_id, body, received_at) VALUES (2, '', 0)\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "private.db"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    with Store.open(path) as store:
        assert [one.update_id for one in store.inbox.waiting()] == [1]


frames = st.lists(
    st.tuples(
        st.sampled_from(["pa", "pb", "pc"]),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        st.one_of(st.none(), st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))),
        st.integers(-(2**40), 2**40),
        st.one_of(st.none(), st.text(st.characters(min_codepoint=32, max_codepoint=1200), min_size=1, max_size=8)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(rows=frames)
def test_a_snapshot_comes_back_as_it_was_and_forgets_one_person(rows, tmp_path_factory):
    """load(save(x)) == x with types; erasing a person leaves the others' rows and says what cannot be reproduced."""
    frame = pd.DataFrame(rows, columns=["person", "x", "at", "n", "note"])
    frame = frame.astype({"x": "float64", "n": "int64", "person": "object", "note": "object"})
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    with Store.open(tmp_path_factory.mktemp("s") / "private.db") as store:
        store.snapshots.save("h", frame, NOW)
        pd.testing.assert_frame_equal(store.snapshots.load("h"), frame, check_exact=True)
        touched = store.snapshots.erase("pa")
        assert touched == (["h"] if (frame["person"] == "pa").any() else [])
        left = frame[frame["person"] != "pa"].reset_index(drop=True)
        pd.testing.assert_frame_equal(store.snapshots.load("h"), left, check_exact=True)
        assert store.snapshots.reproducible("h") is not bool(touched)


def test_downtime_is_measured_within_a_stretch(store):
    """Only the part of an outage inside the stretch counts; outages add up."""
    store.prompts.down(NOW, NOW + timedelta(minutes=10))
    store.prompts.down(NOW + timedelta(minutes=20), NOW + timedelta(minutes=25))
    assert store.prompts.deaf(NOW + timedelta(minutes=4), NOW + timedelta(minutes=22)) == timedelta(minutes=8)
    assert store.prompts.deaf(NOW + timedelta(hours=1), NOW + timedelta(hours=2)) == timedelta(0)
