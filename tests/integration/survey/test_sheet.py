"""The Sheet through the wire: gspread with a service account against the local Sheets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gspread
import pytest
from pydantic import SecretStr

from flows.clients.google import connect
from flows.clients.sheets import count_answers, keys, read_answers
from flows.clock import SharedClock
from flows.collect.flow import Writer
from flows.settings import Settings
from flows.store import Prompt, Response, Store
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("survey-wire")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running("server.sheets", tmp_path_factory.mktemp("sheets"), ["--port", "0"]) as service:
        yield service


@pytest.fixture
def settings(sheets: Service, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        sheets_credentials=SecretStr(sheets.ready["credentials"]),
        sheets_url=sheets.ready["urls"]["api"],
        sheets_per_minute=100_000,
        survey="mood",
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings.database) as opened:
        opened.surveys.open("mood", NOW)
        yield opened


def answer(store: Store, number: int, person: str = "p1", **answers: object) -> Response:
    """One response in the store, as the bot leaves it."""
    survey = store.surveys.of_study("mood")
    assert survey is not None
    at = NOW + timedelta(minutes=number)
    ident = f"prompt{number:010d}"
    day, beep = 1 + number // 10, 1 + number % 10
    store.prompts.add([Prompt(ident, person, "mood", survey.version, day, beep, at, at, "Europe/Moscow", "answered")])
    values = dict.fromkeys(survey.item_ids, 1 + number % 7) | answers
    response = Response(
        f"{ident}-1",
        ident,
        person,
        "mood",
        survey.version,
        1,
        "complete",
        day,
        beep,
        at,
        at,
        at,
        at,
        "Europe/Moscow",
        values,
    )
    store.responses.add(response)
    return response


def collect(settings: Settings, store: Store) -> Writer:
    writer = Writer(settings, store, SharedClock(settings.home))
    writer.everything()
    return writer


def table(settings: Settings, store: Store) -> list[dict[str, str]]:
    header, *rows = read_answers(settings, store)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_responses_become_rows_with_fixed_headers(settings: Settings, store: Store) -> None:
    """Each response is one row: keys first, then the items in the survey's order; times are UTC with a Z."""
    response = answer(store, 3, sad=None)
    writer = collect(settings, store)
    header, row = read_answers(settings, store)
    survey = store.surveys.of_study("mood")
    assert header == [
        *"response_id prompt_id person study survey_version revision status day beep slot_at sent_at answered_at timezone".split(),  # noqa: SIM905
        *survey.item_ids,
    ]
    got = dict(zip(header, row, strict=True))
    assert (got["response_id"], got["answered_at"], got["sad"], got["calm"]) == (
        response.response_id,
        "2026-03-02T09:03:00Z",
        "",
        "4",
    )
    assert writer.done().responses == 1
    assert (collect(settings, store).done().responses, count_answers(settings)) == (0, 1)


def test_formulas_and_control_characters_stay_text(settings: Settings, store: Store) -> None:
    """What people write is stored RAW: a formula does not compute, leading zeros and emoji stay."""
    answer(store, 1, sad="=1+1", calm="0042", cheerful="🙂 @x\nzwei")
    collect(settings, store)
    (row,) = table(settings, store)
    assert (row["sad"], row["calm"], row["cheerful"]) == ("=1+1", "0042", "🙂 @x\nzwei")


def test_hand_edits_stay_and_collection_goes_on(settings: Settings, store: Store) -> None:
    """A person inserts a column and a row, sorts and edits a cell: later rows still land in the right columns."""
    for number in range(1, 5):
        answer(store, number)
    collect(settings, store)
    book = connect(settings).open_by_key(keys(settings, store)[-1])
    page = book.worksheet("answers")
    page.insert_cols([[]], 3)
    page.insert_row([], 3)
    page.update([["7"]], gspread.utils.rowcol_to_a1(2, page.row_values(1).index("sad") + 1), raw=True)
    for number in range(5, 8):
        answer(store, number)
    collect(settings, store)
    rows = [row for row in table(settings, store) if row["response_id"]]
    assert sorted(row["response_id"] for row in rows) == [f"prompt{n:010d}-1" for n in range(1, 8)]
    by_id = {row["response_id"]: row for row in rows}
    assert {by_id[f"prompt{n:010d}-1"]["calm"] for n in (5, 6)} == {"6", "7"}
    assert by_id["prompt0000000007-1"]["person"] == "p1"
    assert by_id["prompt0000000001-1"]["sad"] == "7"


def test_deletion_reaches_the_sheet(settings: Settings, store: Store) -> None:
    """/delete takes a person's rows out of every worksheet and leaves the others."""
    person = store.people.enrol(
        5, study="mood", language="ru", timezone="Europe/Moscow", consent_version="1", at=NOW
    ).person
    for number in range(1, 4):
        answer(store, number, person if number != 2 else "other")
    collect(settings, store)
    store.erase(person, NOW)
    collect(settings, store)
    assert [row["person"] for row in table(settings, store)] == ["other"]
    book = connect(settings).open_by_key(keys(settings, store)[-1])
    assert person not in str([page.get_all_values() for page in book.worksheets()])
    assert store.people.erasures_open("sheet") == []


def test_a_thousand_responses_take_at_most_twelve_calls(settings: Settings, store: Store) -> None:
    """Opening, headers, one append, and the other worksheets."""
    with store.transaction():
        for number in range(1000):
            answer(store, number)
    collect(settings, store)
    with store.transaction():
        for number in range(1000, 2000):
            answer(store, number)
    assert collect(settings, store).done().calls <= 12
    assert count_answers(settings) == 2000
