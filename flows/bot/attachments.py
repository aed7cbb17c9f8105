"""What is made for one person when it is sent: all their answers as a file, their chart. Runs beside the event loop."""

from __future__ import annotations

import base64
import csv
import io
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flows.bot.texts import text
from flows.collect.rows import KEYS, answer_row
from flows.store import Person, Store
from flows.survey import Survey, Target


def attachment(database: Path, person: str, what: str) -> dict[str, Any]:
    """Payload of `what` (export or stats) for a person, over a connection of its own."""
    with Store.open(database) as store:
        known = store.people.get(person)
        return export(store, known) if what == "export" else stats(store, known)


def export(store: Store, person: Person) -> dict[str, Any]:
    """All answers of a person as CSV."""
    responses = store.responses.of(person.person)
    if not responses:
        return {"method": "sendMessage", "text": text("export_empty", person.language)}
    surveys = {version: store.surveys.by_version(version) for version in {r.survey_version for r in responses}}
    items = list(dict.fromkeys(item for survey in surveys.values() for item in survey.item_ids))
    out = io.StringIO()
    writer = csv.DictWriter(out, [*KEYS, *items], restval="")
    writer.writeheader()
    writer.writerows(answer_row(r, surveys[r.survey_version]) for r in responses)
    return {
        "method": "sendDocument",
        "document_base64": base64.b64encode(out.getvalue().encode("utf-8-sig")).decode(),
        "filename": "answers.csv",
        "caption": text("export_done", person.language),
    }


def stats(store: Store, person: Person) -> dict[str, Any]:
    """Chart of the last weeks of a person's own answers: the first target of their survey, as it was answered."""
    survey = store.surveys.of_study(person.study)
    target = survey.targets[0] if survey is not None and survey.targets else None
    points = [] if survey is None or target is None else _series(store, person, target)
    if survey is None or target is None or len(points) < 2:
        return {"method": "sendMessage", "text": text("stats_empty", person.language)}
    name = text(f"target_{target.polarity}", person.language)
    return {
        "method": "sendPhoto",
        "photo_base64": base64.b64encode(_png(_chart(survey, target, points, person, name))).decode(),
        "caption": text("stats_caption", person.language, target=name, count=len(points)),
    }


def _series(store: Store, person: Person, target: Target) -> list[tuple[datetime, float]]:
    """(local time, mean of the target's items) of every response that answers all of them."""
    zone = ZoneInfo(person.timezone)
    found = []
    for response in store.responses.of(person.person):
        given = (response.answers.get(item) for item in target.items)
        values = [float(value) for value in given if isinstance(value, (int, float))]
        if len(values) == len(target.items):
            found.append((response.answered_at.astimezone(zone), sum(values) / len(values)))
    return found


def _chart(survey: Survey, target: Target, points: list[tuple[datetime, float]], person: Person, name: str) -> Any:
    from flows.notify.chart import LONGEST, Chart, day_ticks  # noqa: PLC0415 - matplotlib, only when somebody asks

    last = points[-1][0].date()
    start = max(points[0][0].date(), last - timedelta(days=LONGEST - 1))
    shown = [(at, value) for at, value in points if at.date() >= start]
    by_day: dict[int, list[float]] = defaultdict(list)
    for at, value in shown:
        by_day[(at.date() - start).days].append(value)
    days = (last - start).days + 1
    scales = [survey.by_id[item].scale for item in target.items]
    return Chart(
        title=name,
        start=start,
        days=days,
        lo=min(scale.lo or 0 for scale in scales),
        hi=max(scale.hi or 1 for scale in scales),
        answers=[((at.date() - start).days + (at.hour + at.minute / 60) / 24, value) for at, value in shown],
        means=[(day + 0.5, sum(values) / len(values)) for day, values in sorted(by_day.items())],
        usual=None,
        shift=None,
        forecast=None,
        labels={key: text(f"chart_{key}", person.language) for key in ("answer", "day", "usual", "shift", "forecast")},
        ticks=day_ticks(start, days, lambda day: f"{day.day}.{day.month:02}"),
    )


def _png(chart: Any) -> bytes:
    from flows.notify.chart import Painter  # noqa: PLC0415 - matplotlib, only when somebody asks

    return Painter().png(chart)
