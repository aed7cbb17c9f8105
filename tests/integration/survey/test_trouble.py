"""The Sheet in real trouble: gone, taken away, its key or token worthless; and a person who works in it by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import gspread
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from flows.analyse.frame import build_frame
from flows.clients.google import Quota, SheetForbiddenError, SheetGoneError, SheetSettingsError, connect
from flows.clients.sheets import check_access, count_answers, keys, read_answers
from flows.settings import Settings
from flows.store import Store
from tests.integration.survey.test_sheet import NOW, answer, collect, table
from tests.integration.survey.wire import until
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("survey-wire")


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running("server.sheets", tmp_path_factory.mktemp("sheets"), ["--port", "0"]) as service:
        yield service


@pytest.fixture
def settings(sheets: Service, tmp_path: Path) -> Settings:
    return made(sheets, tmp_path)


def made(sheets: Service, home: Path, **changes: Any) -> Settings:
    given = {
        "home": home,
        "sheets_credentials": SecretStr(sheets.ready["credentials"]),
        "sheets_url": sheets.ready["urls"]["api"],
        "sheets_per_minute": 100_000,
        "survey": "mood",
    }
    return Settings(**given | changes)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings.database) as opened:
        opened.surveys.open("mood", NOW)
        yield opened


def book_of(settings: Settings, store: Store) -> gspread.Spreadsheet:
    return connect(settings).open_by_key(keys(settings, store)[-1])


def test_a_spreadsheet_thrown_away_is_written_again_elsewhere(settings: Settings, store: Store) -> None:
    """Deleted for good in Drive: a clear error, nothing lost; after the researcher's command a new one holds it all."""
    for number in range(3):
        answer(store, number)
    collect(settings, store)
    connect(settings).del_spreadsheet(keys(settings, store)[-1])
    answer(store, 3)
    with pytest.raises(SheetGoneError, match="rewrite-sheet"):
        collect(settings, store)
    with pytest.raises(SheetGoneError):
        check_access(settings)
    assert store.forget_sheet() == 4
    collect(settings, store)
    assert count_answers(settings) == 4
    assert "can be read and written" in check_access(settings)


def test_access_is_checked_before_anything_starts(settings: Settings, store: Store, sheets: Service) -> None:
    """`moodflow doctor --live`: a new account is told what happens first, one without rights what to do."""
    assert "made on first use" in check_access(settings)
    collect(settings, store)
    admin = sheets.ready["urls"]["api"] + "/admin/faults"
    httpx.post(admin, json={"kind": "revoked", "match": {"path": keys(settings, store)[-1]}}).raise_for_status()
    try:
        with pytest.raises(SheetForbiddenError, match=r"share it as editor with survey@moodflow-local"):
            check_access(settings)
    finally:
        httpx.delete(admin)


def test_a_token_that_expires_on_the_way_is_renewed(settings: Settings, store: Store, sheets: Service) -> None:
    """The endpoint forgets every token between two writes: the client signs in again, and each row is there once."""
    answer(store, 1)
    writer = collect(settings, store)
    for number in range(2, 5):
        answer(store, number)
        api = sheets.ready["urls"]["api"]
        assert httpx.post(f"{api}/admin/revoke-tokens").json()["revoked"] >= 1
        writer.everything()
    assert sorted(row["response_id"] for row in table(settings, store)) == [f"prompt{n:010d}-1" for n in range(1, 5)]


def test_a_key_that_was_taken_back_is_an_operator_error(settings: Settings, store: Store, sheets: Service) -> None:
    """Google refuses the signature: the setting and the way to a new key are named; answers wait."""
    answer(store, 1)
    info = json.loads(Path(sheets.ready["credentials"]).read_text())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    info["private_key"] = stranger.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()
    worthless = made(sheets, settings.home, sheets_credentials=SecretStr(json.dumps(info)))
    with pytest.raises(SheetSettingsError, match=r"make a new key and set\s+MOODFLOW_SHEETS_CREDENTIALS"):
        collect(worthless, store)
    assert len(store.responses.unwritten()) == 1
    collect(settings, store)
    assert count_answers(settings) == 1


def test_sorting_renaming_and_deleting_by_hand(settings: Settings, store: Store) -> None:
    """Collection finds its columns by name and puts nothing back that a person took out; analysis reads what is there."""
    for number in range(1, 7):
        answer(store, number)
    collect(settings, store)
    page = book_of(settings, store).worksheet("answers")
    page.sort((page.row_values(1).index("answered_at") + 1, "des"))
    page.delete_rows(2)  # the newest answer: their deletion wins
    page.insert_cols([["my notes", "x", "y"]], 1)
    page.update_cell(1, page.row_values(1).index("calm") + 1, "calmness")
    page.update_cell(2, page.row_values(1).index("sad") + 1, "9")
    for number in range(7, 9):
        answer(store, number)
    collect(settings, store)
    rows = table(settings, store)
    ids = [row["response_id"] for row in rows]
    assert ids == [f"prompt{n:010d}-1" for n in (5, 4, 3, 2, 1, 7, 8)]
    assert [row["calm"] for row in rows] == [""] * 5 + ["1", "2"]
    assert [row["calmness"] for row in rows][:2] == ["6", "5"]
    survey = store.surveys.of_study("mood")
    assert survey is not None
    frame = build_frame(read_answers(settings, store), survey, now=NOW + timedelta(days=1))
    assert len(frame.data) == 7
    assert len(frame.quality) > 0  # the answer that is off its scale shows


def test_following_writes_what_comes_meanwhile(settings: Settings, store: Store) -> None:
    """`collect(follow_seconds=...)`: answers given while it follows are in the Sheet when it ends."""
    from flows.collect.flow import write_new

    answer(store, 1)
    found: list[Any] = []
    following = threading.Thread(target=lambda: found.append(write_new.fn(settings, 6)))
    following.start()
    until(lambda: not store.responses.unwritten(), what="the first row")
    answer(store, 2)
    following.join(120)
    assert found[0].responses == 2
    assert (store.responses.unwritten(), count_answers(settings)) == ([], 2)


def test_two_writers_wait_for_each_other(settings: Settings, store: Store) -> None:
    """The second one begins when the first has ended; a round in which nothing is new costs no call."""
    from flows.clock import SharedClock
    from flows.collect.flow import Writer, one_writer

    answer(store, 1)
    done: list[int] = []

    def second() -> None:
        with one_writer(settings.home), Store.open(settings.database) as own:
            done.append(Writer(settings, own, SharedClock(settings.home)).done().responses)

    with one_writer(settings.home):
        writer = collect(settings, store)
        other = threading.Thread(target=second)
        other.start()
        for number in range(2, 5):
            answer(store, number)
            writer.follow()
            assert store.responses.unwritten() == []
        assert (done, writer.done().responses) == ([], 4)
        calls = writer.done().calls
        writer.follow()
        assert writer.done().calls == calls  # nothing new costs nothing
    other.join(60)
    assert (done, count_answers(settings)) == ([0], 4)


def test_calls_keep_below_the_quota_in_any_minute() -> None:
    """Reads and writes are counted apart; the one too many waits until the first of them is a minute old."""
    clock = [0.0]
    waits: list[float] = []

    def rest(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    quota = Quota(3, now=lambda: clock[0], rest=rest)
    made_at = []
    for n in range(10):
        quota.take("read")
        made_at.append(clock[0])
        clock[0] += 1
        if n == 0:
            quota.take("write")
    assert all(later - earlier >= 60 for earlier, later in zip(made_at, made_at[3:], strict=False))
    assert len(waits) == 3


def test_the_endpoints_own_quota_is_waited_out(settings: Settings, store: Store, sheets: Service) -> None:
    """429 with the local endpoint's quotas switched on: retried after a rest, every row there once."""
    api = sheets.ready["urls"]["api"]
    httpx.post(f"{api}/admin/faults", json={"kind": "status", "status": 429, "times": 2}).raise_for_status()
    answer(store, 1)
    collect(settings, store)
    fired = [rule["fired"] for rule in httpx.get(f"{api}/admin/faults").json()["faults"]]
    httpx.delete(f"{api}/admin/faults")
    assert fired == [2]
    assert count_answers(settings) == 1
