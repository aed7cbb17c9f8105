"""Every message of a replayed study is written again by `why`, bit by bit; of the erased nothing is said."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.commands import messages, studies
from flows.store import Store
from tests.integration.replayed import Replayed, replay

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MOODFLOW_SHARED", ROOT.parent / "shared")) / "data"
FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
STUDIES = {"fried2021": (4, 9), "mpath_example": (3, 8), "geschwind2011_bringmann2013": (2, 3), "kossakowski2017": (1, 9)}  # fmt: skip
"""Study -> people and days of the short form."""

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.campaign,
    pytest.mark.study,
    pytest.mark.skipif(not DATA.is_dir(), reason="the studies lie beside the checkout (MOODFLOW_SHARED), not in it"),
    pytest.mark.timeout(7200 if FULL else 900),
]


@pytest.fixture
def home(tmp_path: Path, prefect_server: str, clearml_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOODFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOODFLOW_PROJECT", f"Why {tmp_path.name}")
    monkeypatch.setenv("CLEARML_UTILS_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home / "private.db") as opened:
        yield opened


def said(store: Store, message_id: str, capsys: pytest.CaptureFixture[str]) -> str:
    messages.why(message_id)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", STUDIES)
def test_every_message_of_a_study_is_reproduced(name, home, store, monkeypatch, capsys):
    """The notify flow once a day over the study; then `why` of every message writes the text that was sent.

    In full, the one person of 239 days is gone through in one flow run; the others with a run of the flow a day.

    One person is then deleted: `why` of their messages says that and no more, and those of the others still reproduce.
    """
    people, days = STUDIES[name]
    study = studies.read(DATA / f"{name}.csv", home, persons=None if FULL else people)
    monkeypatch.setenv("MOODFLOW_SURVEY", study.survey)
    world, counts = replay(study, store, home, most=None if FULL else days, one_run=FULL and people == 1)
    assert [problem for one in counts for problem in one.problems] == []
    sent = store.messages.all()
    assert sum(one.sent for one in counts) == len(sent) > 0
    found = Counter(messages.again(store, record, "") == record.text for record in sent)
    assert found == {True: len(sent)}
    assert "Reproduced bit by bit" in said(store, sent[-1].message_id, capsys)
    with capsys.disabled():
        print(f"\n{name}: {len(counts)} cycles, {len(sent)} messages {dict(Counter(m.kind for m in sent))}")
    _one_is_erased(world, sent, capsys)


def _one_is_erased(world: Replayed, sent: list, capsys: pytest.CaptureFixture[str]) -> None:
    gone = sent[0].person
    world.store.erase(gone, sent[-1].created_at)
    theirs = [m for m in sent if m.person == gone]
    for message in theirs:
        text = said(world.store, message.message_id, capsys).replace("\n", " ")
        assert text.strip() == f"{message.message_id} went to a person who has been deleted since. Nothing more is kept about it."  # fmt: skip
    others = [m for m in sent if m.person != gone]
    assert all(messages.again(world.store, m, "") == m.text for m in (others if FULL else others[-3:]))
