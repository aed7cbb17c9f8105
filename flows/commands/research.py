"""`moodflow people`, `moodflow export` and `moodflow study`: what a researcher asks of the private store."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from flows import settings as configuration
from flows.clock import SharedClock
from flows.collect.rows import CODE, KEYS, answer_row
from flows.store import Store
from flows.survey.definition import Survey, SurveyError, load
from flows.survey.overview import Compliance, codebook, compliance, tidy

Study = Annotated[str | None, typer.Option(help="Only this study.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
study_app = typer.Typer(no_args_is_help=True, help="Open studies, end them, rewrite the Sheet.")


def _store() -> Store:
    return Store.open(configuration.load().database)


def overview(store: Store, study: str | None = None) -> list[dict[str, Any]]:
    """People of a study with their compliance, by pseudonym."""
    people = store.people.list(study)
    last = {}
    for response in store.responses.of(study=study):
        last[response.person] = response.answered_at
    found = compliance((p for person in people for p in store.prompts.of(person.person)), last)
    none = Compliance(0, 0, 0, 0, None, None)
    return [
        {
            "person": one.person,
            "study": one.study,
            "state": one.state,
            "timezone": one.timezone,
            "language": one.language,
            "enrolled_at": one.enrolled_at.isoformat() if one.enrolled_at else None,
            **_plain(found.get(one.person, none)),
        }
        for one in people
    ]


def _plain(one: Compliance) -> dict[str, Any]:
    return {**vars(one), "last_answer": one.last_answer.isoformat() if one.last_answer else None}


def people(study: Study = None, as_json: Json = False) -> None:  # noqa: FBT002 - an option of the command line
    """List people by pseudonym with their compliance."""
    with _store() as store:
        rows = overview(store, study)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    columns = ("person", "study", "state", "answered", "expired", "undelivered", "rate", "last_answer", "timezone")
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        rate = "" if row["rate"] is None else f"{row['rate']:.0%}"
        table.add_row(
            *(rate if name == "rate" else str(row[name] if row[name] is not None else "") for name in columns)
        )
    Console().print(table)


def write_export(store: Store, folder: Path, study: str | None, language: str) -> tuple[Path, Path, int]:
    """Write `answers.csv` and `codebook.csv`; their paths and the number of responses."""
    responses = store.responses.of(study=study)
    surveys: dict[str, Survey] = {}
    for response in responses:
        surveys.setdefault(response.survey_version, store.surveys.by_version(response.survey_version))
    items = list(dict.fromkeys(item for survey in surveys.values() for item in survey.item_ids))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    answers, book = folder / "answers.csv", folder / "codebook.csv"
    answers.write_text(tidy((answer_row(r, surveys[r.survey_version]) for r in responses), [*KEYS, *items]), "utf-8")
    book.write_text(codebook(surveys.values(), language, CODE), "utf-8")
    return answers, book, len(responses)


def export(
    folder: Annotated[Path, typer.Argument(help="Where answers.csv and codebook.csv are written.")],
    study: Study = None,
    language: Annotated[str, typer.Option(help="Language of the codebook.")] = "en",
) -> None:
    """Write tidy data, one response a line, with a codebook. Pseudonyms only."""
    with _store() as store:
        answers, book, count = write_export(store, folder, study, language)
    print(f"{count} responses in {answers}, their columns explained in {book}")


@study_app.command("open")
def open_study(definition: Annotated[str, typer.Argument(help="A shipped survey's name or a .toml file.")]) -> None:
    """Open a study, or give it the present version of its definition; check the definition first."""
    settings = configuration.load()
    try:
        survey = load(definition)
    except SurveyError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    with _store() as store:
        store.surveys.open(definition, SharedClock(settings.home).now(), again=True)
    print(f"study {survey.name}: {len(survey.items)} items, version {survey.version}; to join: /start {survey.name}")


@study_app.command("check")
def check(definition: Annotated[str, typer.Argument(help="A shipped survey's name or a .toml file.")]) -> None:
    """Read a definition and say what is wrong with it, line by line."""
    try:
        survey = load(definition)
    except SurveyError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{survey.name}: fine, {len(survey.items)} items, version {survey.version}")


@study_app.command("end")
def end_study(
    study: Annotated[str, typer.Argument(help="The study.")],
    on: Annotated[str | None, typer.Option(help="Last day, as 2027-01-31; today without it.")] = None,
    retention_days: Annotated[int | None, typer.Option(min=1, help="Days until its answers are erased.")] = None,
) -> None:
    """Set a study's last day and for how long its answers are kept after it."""
    settings = configuration.load()
    now = SharedClock(settings.home).now()
    with _store() as store:
        known = store.studies.get(study)
        survey = store.surveys.of_study(study)
        if known is None or survey is None:
            print(f"no study {study!r}; open: {', '.join(s.study for s in store.studies.list())}", file=sys.stderr)
            raise typer.Exit(1)
        zone = ZoneInfo(survey.timezone)
        last = _day(on) if on else now.astimezone(zone).date()
        ends = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone) if on else now
        store.studies.put(study, known.survey_version, ends, retention_days or known.retention_days)
    print(f"study {study} ends at {ends.isoformat()}")


def _day(words: str) -> date:
    try:
        return date.fromisoformat(words)
    except ValueError:
        raise typer.BadParameter(f"{words!r} is no day; write it as 2027-01-31", param_hint="--on") from None


@study_app.command("rewrite-sheet")
def rewrite_sheet() -> None:
    """Write everything again with the next collection, into a new spreadsheet unless MOODFLOW_SPREADSHEET names one."""
    settings = configuration.load()
    with _store() as store:
        count = store.forget_sheet()
    where = settings.spreadsheet or "a new spreadsheet"
    print(f"{count} responses will be written to {where} with the next collection")
