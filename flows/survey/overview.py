"""What a researcher looks at: people with their compliance, tidy data with a codebook. Pure over plain records."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from flows.survey.definition import Item, Survey

UNSCHEDULED = 90
"""Beeps from here on were asked for by the person (/now): they are no part of compliance."""


class PromptLike(Protocol):
    """What compliance reads of a prompt."""

    @property
    def person(self) -> str:
        """Pseudonym."""

    @property
    def beep(self) -> int:
        """Number on the day."""

    @property
    def state(self) -> str:
        """What became of it."""


@dataclass(frozen=True)
class Compliance:
    """How a person takes part. `rate` is answered / (answered + empty + expired), None before anything was due."""

    answered: int
    expired: int
    undelivered: int
    open: int
    rate: float | None
    last_answer: datetime | None


def compliance(prompts: Iterable[PromptLike], last: Mapping[str, datetime]) -> dict[str, Compliance]:
    """Compliance of each person, from their scheduled prompts and the times of their last answers."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for prompt in prompts:
        if prompt.beep < UNSCHEDULED:
            counts[prompt.person][prompt.state] += 1
    return {person: _one(states, last.get(person)) for person, states in counts.items()}


def _one(states: Counter[str], last: datetime | None) -> Compliance:
    missed = states["expired"] + states["empty"]
    due = states["answered"] + missed
    return Compliance(
        answered=states["answered"],
        expired=missed,
        undelivered=states["skipped"] + states["refused"],
        open=states["planned"] + states["sent"] + states["started"],
        rate=states["answered"] / due if due else None,
        last_answer=last,
    )


def tidy(rows: Iterable[Mapping[str, Any]], header: Sequence[str]) -> str:
    """CSV, one response a line, columns in a fixed order."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(header), restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


CODEBOOK = ("survey_version", "column", "type", "lo", "hi", "values", "polarity", "targets", "asked_if", "text")


def codebook(surveys: Iterable[Survey], language: str, keys: Mapping[str, str]) -> str:
    """CSV that says of every column of the data what it holds; items once for each survey version."""
    rows: list[dict[str, Any]] = [{"column": name, "type": "key", "text": words} for name, words in keys.items()]
    rows += [_entry(survey, item, language) for survey in surveys for item in survey.items]
    return tidy(rows, CODEBOOK)


def _entry(survey: Survey, item: Item, language: str) -> dict[str, Any]:
    scale = item.scale
    labels = scale.labels.get(language, ())
    points: Sequence[Any] = scale.options
    if not points and scale.kind == "likert" and scale.lo is not None and scale.hi is not None:
        ends = [int(scale.lo), int(scale.hi)]
        points = ends if len(labels) == 2 else list(range(ends[0], ends[1] + 1))
    words = [f"{point}={label}" for point, label in zip(points, labels, strict=False)] or [str(p) for p in points]
    return {
        "survey_version": survey.version,
        "column": item.id,
        "type": scale.kind,
        "lo": "" if scale.lo is None else f"{scale.lo:g}",
        "hi": "" if scale.hi is None else f"{scale.hi:g}",
        "values": "; ".join(words),
        "polarity": item.polarity or "",
        "targets": ", ".join(target.name for target in survey.targets if item.id in target.items),
        "asked_if": item.ask_if.text if item.ask_if else "",
        "text": item.words(language),
    }
