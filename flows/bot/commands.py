"""What people can ask for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from flows import safety
from flows.bot import enrolling
from flows.bot.texts import LANGUAGES, text
from flows.bot.turn import Turn
from flows.store import Person, Prompt
from flows.survey import Survey
from flows.survey.callbacks import Callback
from flows.survey.planning import micros, prompt_id

UNSCHEDULED = 90
"""Beep of the first prompt a person asked for on a day: far from those of the schedule, so that no analysis takes it
for the next one."""
MENU = ("now", "stats", "pause", "timezone", "language", "export", "stop", "delete", "help")


def run(turn: Turn, name: str, argument: str, default_study: str) -> None:
    """Carry out a command."""
    if name == "start":
        enrolling.start(turn, argument, default_study)
    elif name == "help":
        help_(turn)
    elif name not in COMMANDS:
        turn.say("unknown_command")
    elif turn.person is None:
        turn.say("not_enrolled")
    else:
        COMMANDS[name](turn, turn.person, argument)


def help_(turn: Turn) -> None:
    """/help works for everybody, always."""
    lines = safety.listing(turn.person.country if turn.person else None, turn.language)
    turn.say("help", lines="\n".join(lines))


def stop(turn: Turn, person: Person, _argument: str) -> None:
    """/stop: no more prompts or messages; consent is withdrawn, data stays."""
    withdraw(turn, person)
    turn.change(state="stopped")
    turn.store.people.withdraw(person.person, turn.now)
    turn.store.ledger.add(person.person, "stopped", turn.now)
    turn.say("stopped")


def withdraw(turn: Turn, person: Person) -> None:
    """Take back what is planned and close what is open."""
    turn.store.cancel_planned(person.person, turn.now, "stopped")
    turn.store.outbox.cancel_all(person.person, ("nudge", "insight", "reminder"))
    for prompt in turn.store.prompts.of(person.person, turn.now - timedelta(days=2)):
        if prompt.open:
            turn.store.prompts.close(prompt.prompt_id, "cancelled")
            turn.store.ledger.add(prompt.prompt_id, "cancelled", turn.now)
            turn.effects.redraw.add(prompt.prompt_id)


def pause(turn: Turn, _person: Person, argument: str) -> None:
    """/pause [days]."""
    if argument:
        paused(turn, argument)
        return
    days = [(text("pause_days", turn.language, days=n), Callback("pause", value=str(n))) for n in (1, 3, 7)]
    turn.say("pause_ask", [days, [(text("pause_resume", turn.language), Callback("pause", value="0"))]])


def resume(turn: Turn, _person: Person, _argument: str) -> None:
    """/resume."""
    paused(turn, "0")


def paused(turn: Turn, words: str) -> None:
    """Stop asking for some days; 0 goes on at once."""
    person = turn.person
    if person is None or person.state not in {"active", "paused"} or not words.strip().isascii():
        turn.say("not_enrolled")
        return
    days = int(words) if words.strip().isdigit() else -1
    if days == 0:
        turn.change(state="active", paused_until=None)
        turn.say("resumed")
    elif 1 <= days <= 365:
        turn.store.cancel_planned(person.person, turn.now, "paused")
        turn.store.outbox.cancel_all(person.person, ("nudge", "insight", "reminder"))
        turn.change(state="paused", paused_until=turn.now + timedelta(days=days))
        turn.say("paused", days=days)
    else:
        pause(turn, person, "")


def timezone(turn: Turn, person: Person, argument: str) -> None:
    """/timezone [name]."""
    if argument:
        enrolling.timezone(turn, argument)
        return
    turn.keep(step="timezone")
    turn.say("timezone", enrolling.zone_buttons(person.country))


def language(turn: Turn, _person: Person, argument: str) -> None:
    """/language [ru|en]."""
    if argument.lower() in LANGUAGES:
        speak(turn, argument.lower())
        return
    names = {"ru": "Русский", "en": "English"}
    turn.say("language_ask", [[(names[one], Callback("language", value=one)) for one in LANGUAGES]])


def speak(turn: Turn, wanted: str) -> None:
    """Change the language; before consent the consent text is sent again in it."""
    if wanted not in LANGUAGES:
        return
    turn.keep(language=wanted)
    if turn.person is not None:
        turn.change(language=wanted)
        turn.say("language_kept")
        current = turn.store.prompts.current(turn.person.person)
        if current is not None:
            turn.store.prompts.mark_stale(current.prompt_id)
            turn.effects.redraw.add(current.prompt_id)
    elif turn.chat.study:
        survey = turn.store.surveys.of_study(turn.chat.study)
        if survey is not None:
            enrolling.ask_consent(turn, survey)


def now(turn: Turn, person: Person, _argument: str) -> None:
    """/now: the open prompt once more, or one of its own."""
    survey = turn.store.surveys.of_study(person.study)
    if person.state not in {"active", "paused"} or survey is None:
        turn.say("finish_enrolling" if person.state == "enrolling" else "not_enrolled")
        return
    current = turn.store.prompts.current(person.person)
    if current is not None and current.expires_at > turn.now:
        turn.queue({"method": "prompt", "prompt_id": current.prompt_id}, kind="again")
        return
    if survey.schedule.kind == "explicit":
        turn.say("now_explicit")
        return
    prompt = unscheduled(turn, person, survey)
    turn.store.prompts.add([prompt])
    turn.queue({"method": "prompt", "prompt_id": prompt.prompt_id}, kind="prompt", key=f"{prompt.prompt_id}:prompt")


def unscheduled(turn: Turn, person: Person, survey: Survey) -> Prompt:
    """A prompt the person asked for."""
    zone = ZoneInfo(person.timezone)
    today = turn.now.astimezone(zone).date()
    enrolled = (person.enrolled_at or turn.now).astimezone(zone).date()
    since = turn.now - timedelta(days=1)
    before = [p for p in turn.store.prompts.of(person.person, since) if p.beep >= UNSCHEDULED]
    return Prompt(
        prompt_id=prompt_id(person.person, survey.version, micros(turn.now)),
        person=person.person,
        study=person.study,
        survey_version=survey.version,
        day=(today - enrolled).days + 1,
        beep=UNSCHEDULED + sum(p.slot_at.astimezone(zone).date() == today for p in before),
        slot_at=turn.now.astimezone(UTC),
        expires_at=turn.now + survey.schedule.expires_after,
        timezone=person.timezone,
    )


def stats(turn: Turn, _person: Person, _argument: str) -> None:
    """/stats: the chart is drawn when it is sent."""
    turn.queue({"method": "stats"})


def export(turn: Turn, _person: Person, _argument: str) -> None:
    """/export: the file is made when it is sent."""
    turn.queue({"method": "export"})


def delete(turn: Turn, _person: Person, _argument: str) -> None:
    """/delete asks first."""
    yes = (text("delete_yes", turn.language), Callback("delete", value="yes"))
    no = (text("delete_no", turn.language), Callback("delete", value="no"))
    turn.say("delete_ask", [[yes], [no]])


def deleted(turn: Turn, answer: str) -> None:
    """The tap after /delete."""
    if turn.person is None:
        turn.say("not_enrolled")
        return
    if answer != "yes":
        turn.say("kept")
        return
    spoken = turn.language
    turn.store.erase(turn.person.person, turn.now)
    turn.person = None
    turn.chat = type(turn.chat)(turn.chat.chat_id, None, spoken, None, "new", {})
    turn.say("deleted")


COMMANDS: dict[str, Callable[[Turn, Person, str], None]] = {
    "stop": stop,
    "pause": pause,
    "resume": resume,
    "timezone": timezone,
    "language": language,
    "now": now,
    "stats": stats,
    "export": export,
    "delete": delete,
}
