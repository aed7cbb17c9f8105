"""`moodflow people`, `moodflow export` and `moodflow study`, as a researcher types them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.bot.engine import apply
from flows.clock import SharedClock
from flows.commands import research
from flows.store import Prompt, Store
from flows.survey.callbacks import Callback, encode
from tests.unit.bot.hands import NOW, enrol, tap, value

RUNNER = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOODFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    SharedClock(tmp_path / "home").set(NOW)
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home / "private.db") as opened:
        opened.surveys.open("mood", NOW)
        yield opened


def run(*words: str) -> Result:
    """The command line with these commands."""
    from flows.__main__ import app

    return RUNNER.invoke(app, list(words))


def study(store: Store) -> tuple[str, str]:
    """Two people: one answered one prompt of two in part, one answered none."""
    people = enrol(store, 5), enrol(store, 6)
    survey = store.surveys.of_study("mood")
    assert survey is not None
    for n, person in enumerate([people[0], people[0], people[1]]):
        ident, at = f"{n:016x}", NOW + timedelta(hours=n)
        zone = "Europe/Amsterdam"
        store.prompts.add(
            [Prompt(ident, person, "mood", survey.version, 1, 1 + n, at, at + timedelta(hours=1), zone, "sent")]
        )
    given = [value("0" * 16, survey.version, 0, "7"), value("0" * 16, survey.version, 1, "2")]
    apply(store, [tap(5, data) for data in [*given, encode(Callback("submit", "0" * 16, survey.version))]], "mood")
    for ident in (f"{1:016x}", f"{2:016x}"):
        store.prompts.close(ident, "expired")
    return people


def test_people_are_listed_with_their_compliance(store: Store) -> None:
    """By pseudonym, never by chat: answered, missed, the rate, and when they last answered."""
    one, two = study(store)
    shown = run("people")
    assert shown.exit_code == 0, shown.output
    assert "50%" in shown.output
    rows = {row["person"]: row for row in json.loads(run("people", "--study", "mood", "--json").output)}
    assert set(rows) == {one, two}
    assert (rows[one]["answered"], rows[one]["expired"], rows[one]["rate"]) == (1, 1, 0.5)
    assert rows[one]["last_answer"] == NOW.isoformat()
    assert (rows[two]["answered"], rows[two]["rate"], rows[two]["last_answer"]) == (0, 0.0, None)
    assert json.loads(run("people", "--study", "other", "--json").output) == []


def test_the_export_is_tidy_and_its_codebook_explains_every_column(store: Store, tmp_path: Path) -> None:
    """One response a line; each column of the data has a line in the codebook, with its words and its scale."""
    one, _two = study(store)
    folder = tmp_path / "out"
    done = run("export", str(folder), "--language", "ru")
    assert done.exit_code == 0, done.output
    assert "1 responses" in done.output
    with (folder / "answers.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["person"], row["status"], row["cheerful"], row["calm"], row["sad"]) == (one, "partial", "7", "2", "")
    with (folder / "codebook.csv").open(encoding="utf-8") as file:
        book = {line["column"]: line for line in csv.DictReader(file)}
    assert set(book) == set(row)
    survey = store.surveys.of_study("mood")
    assert survey is not None
    assert book["sad"]["text"] == survey.items[survey.item_ids.index("sad")].words("ru")
    assert (book["sad"]["lo"], book["sad"]["hi"], book["sad"]["targets"]) == ("1", "7", "na")
    assert book["sad"]["survey_version"] == row["survey_version"] == survey.version
    assert folder.stat().st_mode & 0o077 == 0


def test_a_study_is_checked_opened_ended_and_opened_again(store: Store, tmp_path: Path) -> None:
    """Mistakes are named with their line; an end is a day in the study's timezone; opening again takes it back."""
    definition = tmp_path / "trial.toml"
    definition.write_text('title = {en = "T"}\nlanguages = ["en"]\ntimezone = "Mars/Olympus"\n')
    bad = run("study", "check", str(definition))
    assert bad.exit_code == 1
    assert "trial.toml:3" in bad.stderr
    assert run("study", "open", str(definition)).exit_code == 1
    assert [known.study for known in store.studies.list()] == ["mood"]
    opened = run("study", "open", "mpath")
    assert (opened.exit_code, "/start mpath" in opened.output) == (0, True)
    ended = run("study", "end", "mood", "--on", "2026-03-31", "--retention-days", "90")
    assert ended.exit_code == 0, ended.output
    known = store.studies.get("mood")
    assert known is not None
    assert known.ends_at is not None
    assert (known.ends_at.isoformat(), known.retention_days) == ("2026-03-31T21:00:00+00:00", 90)
    unknown = run("study", "end", "nothing")
    assert (unknown.exit_code, "open: mood, mpath" in unknown.stderr) == (1, True)
    wrong = run("study", "end", "mood", "--on", "tomorrow")
    assert wrong.exit_code == 2
    assert "2027-01-31" in wrong.stderr
    assert run("study", "open", "mood").exit_code == 0
    known = store.studies.get("mood")
    assert known is not None
    assert known.ends_at is None


def test_the_sheet_is_written_again_on_request(store: Store) -> None:
    """Everything counts as unwritten, wherever it was before."""
    study(store)
    store.responses.written([store.responses.of()[0].response_id], NOW)
    store.facts.set("spreadsheets", ["gone"])
    done = run("study", "rewrite-sheet")
    assert (done.exit_code, "1 responses will be written to a new spreadsheet" in done.output) == (0, True)
    assert len(store.responses.unwritten()) == 1
    assert store.facts.get("spreadsheets") == []


def test_the_commands_name_no_chat(store: Store, tmp_path: Path) -> None:
    """What a researcher sees knows people by pseudonym alone."""
    person = store.people.enrol(
        987654321, study="mood", language="ru", timezone="UTC", consent_version="1", at=NOW
    ).person
    assert person in json.dumps(research.overview(store))
    run("export", str(tmp_path / "out"))
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "987654321" not in run("people").output + written
