"""From a decision to what is kept and what is queued: ids, lineage, Telegram's payload. Pure."""

from __future__ import annotations

import base64
import gc
import hashlib
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from flows.analyse.report import PersonReport
from flows.notify.chart import Chart, Painter
from flows.notify.context import Context, Send, Skip, zone
from flows.notify.decide import decided, sends
from flows.notify.errors import MessageError, PersonError
from flows.notify.insights import Seen
from flows.notify.picture import picture
from flows.notify.policy import REMINDERS, Policy
from flows.notify.wording import scale_name, write


@dataclass(frozen=True)
class Draft:
    """A message ready to be kept and queued.

    The outbox key of a reminder is that of the bot's own nudge for the same prompt: whoever comes first reminds.
    """

    message_id: str
    outbox_key: str
    person: str
    language: str
    timezone: str
    send: Send
    text: str
    seen: Seen
    title: str
    created_at: datetime
    expires_at: datetime

    @cached_property
    def chart(self) -> Chart | None:
        """The picture beside the words, described when it is first asked for; None for kinds without one."""
        if self.send.kind not in self.seen.policy.charts:
            return None
        return picture(self.seen, self.send, self.title)

    @property
    def category(self) -> str:
        """What the outbox calls it: "insight" or "reminder"."""
        return "reminder" if self.send.kind in REMINDERS else "insight"


@dataclass(frozen=True)
class Outcome:
    """What became of one person in one cycle: drafts, skips and what kept a message from being written."""

    person: str
    drafts: tuple[Draft, ...]
    skips: tuple[Skip, ...]
    problems: tuple[str, ...] = ()


def draft(report: PersonReport, context: Context, policy: Policy) -> Outcome:
    """Decide and write for one person. A problem with one message or person stops nobody else's.

    Returns
    -------
    Outcome
        `problems` name what an operator has to repair: a missing translation, a template's error, a timezone.
    """
    try:
        templates = _templates(policy, context.language)
        seen = Seen(report, context, policy, zone(context.timezone, report.person))
        decisions = decided(seen)
    except PersonError as error:
        return Outcome(report.person, (), (), (str(error),))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        told = f"person {report.person}: {type(error).__name__} in {where.name}; their report or history is damaged"
        return Outcome(report.person, (), (), (told,))
    skips = tuple(d for d in decisions if isinstance(d, Skip))
    drafts, problems = [], []
    for send in sends(decisions):
        try:
            drafts.append(_draft(seen, templates, send))
        except MessageError as error:
            problems.append(str(error))
    return Outcome(report.person, tuple(drafts), skips, tuple(problems))


def draft_each(cases: Iterable[tuple[PersonReport, Context, Policy]]) -> tuple[Outcome, ...]:
    """`draft` for everybody.

    All of it is kept and none of it is garbage: the collector rests, which would look through everybody's answers over
    and over again (a quarter of the time for ten thousand people).
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return tuple([draft(report, context, policy) for report, context, policy in cases])
    finally:
        if collecting:
            gc.enable()


def payload(made: Draft, painter: Painter) -> dict[str, Any]:
    """What the bot process hands to Telegram: a photo with a caption where there is a chart."""
    if made.chart is None:
        return {"method": "sendMessage", "text": made.text, "parse_mode": "MarkdownV2"}
    picture_bytes = base64.b64encode(painter.png(made.chart)).decode()
    return {"method": "sendPhoto", "photo_base64": picture_bytes, "caption": made.text, "parse_mode": "MarkdownV2"}


def message_id(person: str, kind: str, subject: str, day: str) -> str:
    """Id of a message: the same finding told to the same person on the same day is the same message."""
    return "m" + hashlib.sha256(f"{person}|{kind}|{subject}|{day}".encode()).hexdigest()[:20]


def _templates(policy: Policy, language: str) -> Mapping[str, str]:
    if language not in policy.wording:
        known = ", ".join(sorted(policy.wording))
        raise PersonError(f"no wording in language {language!r}: there is {known}; add one to the policy")
    return policy.wording[language]


def _draft(seen: Seen, templates: Mapping[str, str], send: Send) -> Draft:
    report, context, policy, local = seen.report, seen.context, seen.policy, seen.zone
    text = write(
        templates, send.kind, language=context.language, timezone=local, facts=send.facts, evidence=send.evidence
    )
    made = message_id(report.person, send.kind, send.subject, seen.today.isoformat())
    title = scale_name(templates, send.facts)
    return Draft(
        message_id=made,
        outbox_key=f"{send.evidence['prompt']}:nudge" if send.kind == "reminder" else made,
        person=report.person,
        language=context.language,
        timezone=context.timezone,
        send=send,
        text=text,
        seen=seen,
        title=title[:1].upper() + title[1:],
        created_at=context.now,
        expires_at=_expires(send, context.now, policy.quiet[0], local),
    )


def _expires(send: Send, now: datetime, quiet_from: time, local: ZoneInfo) -> datetime:
    """Nothing arrives in the quiet hours because a queue was slow, and no reminder after its prompt closed."""
    here = now.astimezone(local)
    evening = here.replace(hour=quiet_from.hour, minute=quiet_from.minute, second=0, microsecond=0)
    if evening <= here:
        evening += timedelta(days=1)
    until = evening.astimezone(now.tzinfo)
    if send.kind in REMINDERS and "until" in send.facts:
        return min(until, datetime.fromisoformat(send.facts["until"]))
    return until
