"""A study gone through day by day: prompts, answers, analysis and messages, at the study's own time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from clearml_utils import flow
from flows.analyse.flow import _due
from flows.analyse.frame import build_frame, schema_of
from flows.analyse.indices import indices
from flows.analyse.panel import panel
from flows.analyse.report import Analysis
from flows.analyse.reports import build_reports
from flows.clock import SharedClock
from flows.collect.rows import answer_row, answers_header, laid_out
from flows.commands.studies import Beep, Replay
from flows.forecast import Forecast
from flows.forecast.model import MoodModel, Next, fit_model, forecast_next
from flows.notify.flow import Notified
from flows.store import Prompt, Response, Store
from flows.survey.definition import Survey, load

HOUR = time(18, 30)
"""Local time of the day's cycle."""
FIT_FROM = 60
"""Answers from which people are forecast."""


@dataclass
class Replayed:
    """One study in one private store; everything the bot and the Sheet would add is added here."""

    study: Replay
    store: Store
    clock: SharedClock
    survey: Survey = field(init=False)
    people: dict[int, str] = field(default_factory=dict)
    model: MoodModel | None = None
    _left: list[tuple[datetime, str, Beep]] = field(default_factory=list)
    _rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.survey = load(self.study.survey)
        self.store.surveys.open(self.study.survey, self.study.start)
        for number in self.study.numbers:
            self.people[number] = self.store.people.enrol(
                number, study=self.survey.name, language="ru" if number % 2 else "en", timezone=self.survey.timezone,
                consent_version="1", at=self.study.start,
            ).person  # fmt: skip
        self._rows = [list(answers_header(self.survey))]
        self._plan()

    def _plan(self) -> None:
        """Every prompt of the study, in order of time."""
        for (number, day, beep), one in self.study.beeps.items():
            assert one.scheduled is not None
            ident = f"{number:05x}{day:06x}{beep:05x}"
            ends = one.scheduled + self.survey.schedule.expires_after
            self.store.prompts.add(
                [Prompt(ident, self.people[number], self.survey.name, self.survey.version, day, beep, one.scheduled, ends, self.survey.timezone)]
            )  # fmt: skip
            self._left.append((one.scheduled, ident, one))
        self._left.sort(key=lambda entry: entry[0])

    def cycles(self) -> Iterator[datetime]:
        """One moment a day on which there was something, at the study's own clock."""
        zone = ZoneInfo(self.survey.timezone)
        days = sorted({at.astimezone(zone).date() for at, *_ in self._left})
        for day in sorted({*days, *(day + timedelta(days=1) for day in days)}):
            yield datetime.combine(day, HOUR, tzinfo=zone)

    def live_until(self, now: datetime) -> None:
        """Prompts are delivered, answered at the study's time, or expire."""
        self.clock.set(now)
        with self.store.transaction():
            later = []
            for at, ident, beep in self._left:
                if at > now or not self._over(at, ident, beep, now):
                    later.append((at, ident, beep))
            self._left = later

    def _over(self, at: datetime, ident: str, beep: Beep, now: datetime) -> bool:
        """Whether nothing more can become of a prompt that is due."""
        self.store.prompts.sent(ident, 1, at)
        answered = beep.time(at)
        prompt = self.store.prompts.get(ident)
        assert prompt is not None
        if answered is not None and answered <= now:
            self.store.prompts.close(ident, "answered")
            self._answered(prompt, beep, answered)
            return True
        if answered is None and prompt.expires_at <= now:
            return self.store.prompts.close(ident, "expired")
        return False

    def _answered(self, prompt: Prompt, beep: Beep, at: datetime) -> None:
        status = "complete" if set(beep.answers) >= set(self.survey.item_ids) else "partial"
        one = Response(
            f"{prompt.prompt_id}-1", prompt.prompt_id, prompt.person, prompt.study, prompt.survey_version, 1, status,
            prompt.day, prompt.beep, prompt.slot_at, prompt.slot_at, at, at, prompt.timezone, dict(beep.answers),
        )  # fmt: skip
        self.store.responses.add(one)
        row = answer_row(one, self.survey)
        self._rows.append([str(cell) for cell in laid_out(row, self._rows[0])])

    def analysed(self, now: datetime) -> Analysis | None:
        """What analysis makes of the rows so far, kept as a snapshot; None before the first answer."""
        if len(self._rows) < 2:
            return None
        frame = build_frame(self._rows, self.survey, now=now)
        self.store.snapshots.save(frame.data_hash, frame.data, now)
        target = schema_of(self.survey).targets[0].name
        beeps = panel(frame, target)
        table = indices(beeps)
        reports = build_reports(frame, target, table, _due(self.store, [str(p) for p in table["person"]]))
        self._beeps = beeps
        if self.model is None and sum(r.n_answers for r in reports) >= FIT_FROM * len(reports):
            self.model = fit_model(beeps, frame.data_hash, negative=True)
        return Analysis(self.survey.name, self.survey.version, target, frame.data_hash, frame.data, frame.quality, table, reports)  # fmt: skip

    def deliver(self, now: datetime) -> None:
        """Everything queued has arrived."""
        with self.store.transaction():
            for one in self.store.outbox.due(now, 10_000):
                self.store.outbox.close(one.key, "sent", now)

    def ahead(self, analysis: Analysis, now: datetime) -> list[Forecast]:
        """Everybody's next beep, once there is a model."""
        if self.model is None:
            return []
        last = {str(p): int(d) for p, d in analysis.frame.groupby("person", observed=True)["day"].max().items()}
        local = now.replace(tzinfo=None) - datetime(1970, 1, 1)
        hours = local.total_seconds() / 3600 + 18
        nexts = [Next(r.person, now + timedelta(hours=18), hours, last[r.person] + 1, 1) for r in analysis.reports]
        return forecast_next(self.model, self._beeps, nexts, last, model_id="model-1", version=1)


Cycle = Callable[[Analysis, list[Forecast], datetime], Notified]


def replay(
    study: Replay, store: Store, home: Path, *, most: int | None = None, one_run: bool = False
) -> tuple[Replayed, list[Notified]]:
    """Go through a study, or its first `most` days, with the product's notify flow once a day.

    `one_run` calls the flow's own steps, all days in one flow run: of hundreds of days, most of the time went to
    the bookkeeping of hundreds of flow runs.
    """
    world = Replayed(study, store, SharedClock(home))
    if one_run:
        days = flow(name="replayed-days", capture="none")(lambda: _days(world, _steps(store, home), most))
        return world, days()
    return world, _days(world, _notify, most)


def _days(world: Replayed, cycle: Cycle, most: int | None) -> list[Notified]:
    counts: list[Notified] = []
    for now in list(world.cycles())[:most]:
        world.live_until(now)
        analysis = world.analysed(now)
        if analysis is not None:
            counts.append(cycle(analysis, world.ahead(analysis, now), now))
            world.deliver(now)
    return counts


def _notify(analysis: Analysis, ahead: list[Forecast], now: datetime) -> Notified:
    from flows.notify.flow import notify

    return notify(analysis, ahead)


def _steps(store: Store, home: Path) -> Cycle:
    """What `notify` does, without a task run for each step."""
    from flows.notify import flow as steps
    from flows.settings import load

    settings = load()

    def cycle(analysis: Analysis, ahead: list[Forecast], now: datetime) -> Notified:
        chosen = steps.choose_policies.fn(settings.database, settings.project, now)
        policies = chosen.limited(settings.messages_per_day)
        outcomes = steps.write_messages.fn(analysis, ahead, policies, settings.database, now)
        sent = steps.deliver.fn(outcomes, analysis, ahead, policies, settings.database)
        return steps._counted(outcomes, sent)

    return cycle
