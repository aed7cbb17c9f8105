"""Getting to know each other: consent, country, timezone. Nobody is asked anything before consenting."""

from __future__ import annotations

from flows.bot import places
from flows.bot.texts import LANGUAGES, consent_version, table, text
from flows.bot.turn import Buttons, Turn
from flows.survey import Survey
from flows.survey.callbacks import Callback
from flows.survey.screen import title

ENROLLED = ("active", "paused")


def start(turn: Turn, payload: str, default: str) -> None:
    """/start, with the study a deep link names."""
    person = turn.person
    study = payload.strip().lower() or (person.study if person else turn.chat.study) or default
    survey = turn.store.surveys.enrollable(study, turn.now)
    if survey is None:
        turn.say("unknown_study")
        return
    if person and person.state in ENROLLED:
        own = turn.store.surveys.of_study(person.study) or survey
        turn.say("already" if person.study == survey.name else "already_other", title=title(own, turn.language))
        return
    if person and person.state == "blocked":
        turn.change(state="active")
        turn.say("resumed")
        return
    if person and person.state == "enrolling" and person.study == survey.name:
        ask_next(turn)
        return
    turn.keep(study=survey.name, step="consent")
    ask_consent(turn, survey)


def ask_consent(turn: Turn, survey: Survey) -> None:
    """Send the text people agree to."""
    language = turn.language
    other = next(one for one in LANGUAGES if one != language)
    turn.send(
        text("consent", language, title=title(survey, language)),
        [
            [
                (text("agree", language), Callback("consent", value="yes")),
                (text("decline", language), Callback("consent", value="no")),
            ],
            [(text("other_language", language), Callback("language", value=other))],
        ],
    )


def consent(turn: Turn, answer: str, default: str) -> None:
    """The tap on "agree" or on "no"."""
    if turn.person and turn.person.state in {*ENROLLED, "enrolling"}:
        ask_next(turn)
        return
    study = turn.chat.study or default
    survey = turn.store.surveys.enrollable(study, turn.now)
    if answer != "yes" or survey is None:
        turn.say("declined" if survey else "unknown_study")
        return
    version = consent_version()
    for language, words in table()["consent"].items():
        turn.store.people.keep_consent_text(version, language, words)
    turn.person = turn.store.people.enrol(
        turn.chat.chat_id,
        study=survey.name,
        language=turn.language,
        timezone=turn.person.timezone if turn.person else survey.timezone,
        consent_version=version,
        at=turn.now,
        country=turn.person.country if turn.person else None,
        state="enrolling",
    )
    turn.store.ledger.add(turn.person.person, "consented", turn.now, version)
    turn.keep(person=turn.person.person, study=survey.name, step="country")
    ask_next(turn)


def ask_next(turn: Turn) -> None:
    """Ask what is still to be known: the country, then the timezone."""
    if turn.chat.step == "timezone":
        ask_timezone(turn)
    else:
        ask_country(turn)


def ask_country(turn: Turn) -> None:
    """Ask for the country."""
    buttons = [(code, Callback("country", value=code)) for code in places.COMMON]
    turn.say("country", [buttons[:4], buttons[4:]])


def country(turn: Turn, words: str) -> None:
    """The country, tapped or typed."""
    code = places.country(words)
    if code is None:
        turn.say("country_unknown")
        return
    turn.change(country=code)
    turn.keep(step="timezone")
    ask_timezone(turn)


def ask_timezone(turn: Turn) -> None:
    """Ask for the timezone."""
    turn.say("timezone", zone_buttons(turn.person.country if turn.person else None))


def zone_buttons(code: str | None) -> Buttons:
    """Timezones of a country, two in a row."""
    zones = [(zone, Callback("timezone", value=zone)) for zone in places.zones(code)]
    return [zones[n : n + 2] for n in range(0, len(zones), 2)]


def timezone(turn: Turn, words: str) -> None:
    """The timezone, tapped or typed, while enrolling or later."""
    zone, person = places.timezone(words), turn.person
    if zone is None or person is None:
        turn.say("timezone_unknown")
        return
    if person.state != "enrolling":
        turn.keep(step="done")
        turn.change(timezone=zone)
        turn.store.cancel_planned(person.person, turn.now, "timezone changed")
        turn.say("timezone_kept", timezone=zone)
        return
    turn.keep(step="done")
    turn.change(timezone=zone, state="active", enrolled_at=person.enrolled_at or turn.now)
    turn.say("welcome", timezone=zone)
