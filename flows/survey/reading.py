"""From TOML to `Survey`: every mistake found at once, each with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.survey.condition import Condition, parse
from flows.survey.definition import (
    KINDS,
    Item,
    Safety,
    Scale,
    Schedule,
    Survey,
    SurveyError,
    Target,
    Window,
    version_of,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED = {"day", "beep", "person", "study", "status", "timezone", "revision"}
TOP = {"title", "languages", "timezone", "items", "scales", "targets", "schedule", "ends_on", "retention_days"}
ITEM = {"id", "text", "scale", "polarity", "ask_if", "safety"}
SCALE = {"kind", "lo", "hi", "labels", "options"}
SCHEDULE = {
    "kind", "times", "windows", "min_gap", "days", "quiet", "expires_after", "finish_within", "reminder_after",
    "length_days",
}  # fmt: skip


class _Reader:
    """Collects mistakes while reading."""

    def __init__(self, source: str, where: str) -> None:
        self.lines = source.splitlines()
        self.where = where
        self.mistakes: list[tuple[int, str]] = []

    def wrong(self, table: str, number: int, key: str, text: str) -> None:
        self.mistakes.append((self.line(table, number, key), text))

    def line(self, table: str, number: int, key: str) -> int:
        """Line of `key` in the `number`-th `[table]`; of the table where it has no such key; else 1."""
        seen, found, inside = -1, 1, table == ""
        for at, line in enumerate(self.lines, start=1):
            header = re.match(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$", line)
            if header:
                inside = header[1] == table
                if inside:
                    seen += 1
                    inside = seen == number
                    found = at if inside else found
            elif inside and key and re.match(rf"\s*{re.escape(key)}\s*[.=]", line):
                return at
        return found

    def fail(self) -> None:
        if self.mistakes:
            raise SurveyError("\n".join(f"{self.where}:{line}: {text}" for line, text in sorted(set(self.mistakes))))


def read(data: Mapping[str, Any], source: str, name: str, where: str) -> Survey:
    """Build a survey from parsed TOML.

    Raises
    ------
    SurveyError
        Every mistake, one per line, as `file:line: what is wrong`.
    """
    r = _Reader(source, where)
    _unknown(r, "", 0, data, TOP)
    languages = _languages(r, data)
    scales = {
        key: _scale(r, f"scales.{key}", 0, "", value, languages) for key, value in _table(r, data, "scales").items()
    }
    items = tuple(_item(r, n, raw, scales, languages) for n, raw in enumerate(_tables(r, data, "items")))
    if not items:
        r.wrong("", 0, "items", "a survey needs at least one [[items]]")
    _item_order(r, items)
    targets = tuple(_target(r, n, raw, items) for n, raw in enumerate(_tables(r, data, "targets")))
    schedule = _schedule(r, _table(r, data, "schedule"))
    survey = Survey(
        name=name,
        version=version_of(source),
        title=_text(r, "", 0, "title", data.get("title"), languages),
        items=items,
        targets=targets,
        schedule=schedule,
        timezone=_timezone(r, data.get("timezone", "UTC")),
        languages=languages,
        ends_on=_date(r, data),
        retention_days=_whole(r, "", "retention_days", data.get("retention_days"), 1),
        source=source,
    )
    r.fail()
    return survey


def _unknown(r: _Reader, table: str, number: int, data: Mapping[str, Any], known: set[str]) -> None:
    for key in data:
        if key not in known:
            r.wrong(table, number, key, f"unknown key {key!r}; known here: {', '.join(sorted(known))}")


def _table(r: _Reader, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if isinstance(value, dict):
        return value
    r.wrong("", 0, key, f"{key} must be a table, written [{key}]")
    return {}


def _tables(r: _Reader, data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = data.get(key, [])
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    r.wrong("", 0, key, f"{key} must be tables, written [[{key}]]")
    return []


def _languages(r: _Reader, data: Mapping[str, Any]) -> tuple[str, ...]:
    value = data.get("languages", ["ru", "en"])
    if isinstance(value, list) and value and all(isinstance(v, str) and re.fullmatch("[a-z]{2}", v) for v in value):
        return tuple(value)
    r.wrong("", 0, "languages", 'languages must be a list of two-letter codes, as in ["ru", "en"]')
    return ("ru", "en")


def _text(r: _Reader, table: str, number: int, key: str, value: Any, languages: tuple[str, ...]) -> Mapping[str, str]:
    if isinstance(value, str) and len(languages) == 1:
        return {languages[0]: value}
    if not isinstance(value, dict) or not all(isinstance(one, str) and one.strip() for one in value.values()):
        example = ", ".join(f'{language} = "..."' for language in languages)
        r.wrong(table, number, key, f"{key} needs its words in every language: {key} = {{{example}}}")
        return dict.fromkeys(languages, "?")
    for language in languages:
        if language not in value:
            r.wrong(table, number, key, f"{key} has no words in {language!r}")
    return dict(value)


def _scale(r: _Reader, table: str, number: int, key: str, raw: Any, languages: tuple[str, ...]) -> Scale:
    if not isinstance(raw, dict) or raw.get("kind") not in KINDS:
        r.wrong(table, number, key or "kind", f"a scale needs a kind, one of {', '.join(KINDS)}")
        return Scale("text")
    _unknown(r, table, number, raw, SCALE)
    kind = raw["kind"]
    labels = _labels(r, table, number, raw, languages)
    if kind == "text":
        return Scale(kind)
    if kind in {"choice", "multi"}:
        options = tuple(raw.get("options", ()))
        _check_options(r, table, number, options, labels)
        return Scale(kind, labels=labels, options=options)
    lo, hi = raw.get("lo", 1 if kind == "likert" else 0), raw.get("hi", {"slider": 100, "yesno": 1}.get(kind))
    if not (_is_number(lo) and _is_number(hi) and lo < hi):
        r.wrong(table, number, key or "lo", f"lo and hi must be numbers with lo < hi, not {lo!r} and {hi!r}")
        lo, hi = 0, 1
    elif kind == "likert" and not (isinstance(lo, int) and isinstance(hi, int) and hi - lo <= 10):
        r.wrong(
            table, number, key or "hi", "a likert scale has whole numbers and at most 11 points; use kind = 'slider'"
        )
    elif kind == "likert" and any(len(words) not in {2, hi - lo + 1} for words in labels.values()):
        r.wrong(table, number, "labels", f"labels are for the two ends or for all {hi - lo + 1} points")
    return Scale(kind, lo, hi, labels)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _labels(
    r: _Reader, table: str, number: int, raw: Mapping[str, Any], languages: tuple[str, ...]
) -> Mapping[str, tuple[str, ...]]:
    value = raw.get("labels", {})
    if not isinstance(value, dict) or not all(isinstance(words, list) for words in value.values()):
        r.wrong(table, number, "labels", 'labels are lists by language: labels = {en = ["no", "yes"], ...}')
        return {}
    missing = [language for language in languages if value and language not in value]
    if missing:
        r.wrong(table, number, "labels", f"labels have no words in {', '.join(map(repr, missing))}")
    return {language: tuple(str(word) for word in words) for language, words in value.items()}


def _check_options(
    r: _Reader, table: str, number: int, options: tuple[Any, ...], labels: Mapping[str, tuple[str, ...]]
) -> None:
    fine = all(isinstance(one, str) and IDENTIFIER.fullmatch(one) and len(one) <= 30 for one in options)
    if not 2 <= len(options) <= 30 or not fine or len(set(options)) < len(options):
        r.wrong(table, number, "options", "options are 2 to 30 different words of a-z, 0-9, _, at most 30 letters each")
    if any(len(words) != len(options) for words in labels.values()):
        r.wrong(table, number, "labels", "labels need as many words as there are options")


def _item(
    r: _Reader, number: int, raw: Mapping[str, Any], scales: Mapping[str, Scale], languages: tuple[str, ...]
) -> Item:
    _unknown(r, "items", number, raw, ITEM)
    ident = raw.get("id")
    if not isinstance(ident, str) or not IDENTIFIER.fullmatch(ident) or ident in RESERVED or ident.endswith("_at"):
        r.wrong("items", number, "id", f"id {ident!r}: a-z, 0-9 and _, at most 40, not a column the Sheet has already")
        ident = f"item_{number}"
    scale = raw.get("scale")
    if isinstance(scale, str):
        if scale not in scales:
            r.wrong("items", number, "scale", f"no scale {scale!r}; defined: {', '.join(sorted(scales)) or 'none'}")
        made = scales.get(scale, Scale("text"))
    else:
        made = _scale(r, "items", number, "scale", scale, languages)
    polarity = raw.get("polarity")
    if polarity not in {None, "positive", "negative"}:
        r.wrong("items", number, "polarity", f"polarity is positive or negative, not {polarity!r}")
    ask_if = _condition(r, number, raw)
    return Item(
        ident,
        _text(r, "items", number, "text", raw.get("text"), languages),
        made,
        polarity,
        ask_if,
        _safety(r, number, raw),
    )


def _safety(r: _Reader, number: int, raw: Mapping[str, Any]) -> Safety | None:
    value = raw.get("safety")
    if value is None:
        return None
    known = {"at_or_below", "at_or_above"}
    fine = isinstance(value, dict) and value and set(value) <= known
    if not fine or not all(_is_number(v) for v in value.values()):
        r.wrong("items", number, "safety", "safety is a bound: safety = {at_or_below = 1} or {at_or_above = 7}")
        return None
    return Safety(value.get("at_or_below"), value.get("at_or_above"))


def _condition(r: _Reader, number: int, raw: Mapping[str, Any]) -> Condition | None:
    if "ask_if" not in raw:
        return None
    try:
        parse(str(raw["ask_if"]))
    except ValueError as error:
        r.wrong("items", number, "ask_if", str(error))
        return None
    return Condition(str(raw["ask_if"]))


def _item_order(r: _Reader, items: tuple[Item, ...]) -> None:
    """Ids differ, and conditions look back only."""
    before = {"day", "beep"}
    for number, item in enumerate(items):
        if item.id in before:
            r.wrong("items", number, "id", f"id {item.id!r} is used twice")
        unknown = (item.ask_if.names() if item.ask_if else set()) - before
        if unknown:
            r.wrong("items", number, "ask_if", f"ask_if looks at {sorted(unknown)}, which is not asked before it")
        before.add(item.id)


def _target(r: _Reader, number: int, raw: Mapping[str, Any], items: tuple[Item, ...]) -> Target:
    _unknown(r, "targets", number, raw, {"name", "items", "polarity"})
    name, polarity = raw.get("name"), raw.get("polarity")
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name) or name in {item.id for item in items}:
        r.wrong("targets", number, "name", f"name {name!r}: a-z, 0-9 and _, and not an item's id")
    if polarity not in {"positive", "negative"}:
        r.wrong("targets", number, "polarity", f"polarity is positive or negative, not {polarity!r}")
    numeric = {item.id for item in items if item.scale.numeric}
    chosen = raw.get("items")
    if not isinstance(chosen, list) or not chosen or not set(chosen) <= numeric:
        r.wrong("targets", number, "items", f"items of a target are ids of numeric items, not {chosen!r}")
        chosen = []
    return Target(str(name), tuple(chosen), str(polarity))


def _schedule(r: _Reader, raw: Mapping[str, Any]) -> Schedule:
    _unknown(r, "schedule", 0, raw, SCHEDULE)
    kind = raw.get("kind")
    if kind not in {"fixed", "random", "explicit"}:
        r.wrong("schedule", 0, "kind", f"kind is fixed, random or explicit, not {kind!r}")
    schedule = Schedule(
        kind=str(kind),
        times=tuple(sorted(_clock(r, "times", one) for one in _list(r, raw, "times"))),
        windows=_windows(r, raw),
        min_gap=_minutes(r, raw, "min_gap", 0) or timedelta(0),
        days=_days(r, raw),
        quiet=_quiet(r, raw),
        expires_after=_minutes(r, raw, "expires_after", 90) or timedelta(minutes=90),
        finish_within=_minutes(r, raw, "finish_within", 30) or timedelta(0),
        reminder_after=_minutes(r, raw, "reminder_after", None),
        length_days=_whole(r, "schedule", "length_days", raw.get("length_days"), 1),
    )
    _check_schedule(r, schedule)
    return schedule


def _list(r: _Reader, raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key, [])
    if isinstance(value, list):
        return value
    r.wrong("schedule", 0, key, f"{key} must be a list")
    return []


def _clock(r: _Reader, key: str, value: Any) -> time:
    try:
        return time.fromisoformat(value)
    except (TypeError, ValueError):
        r.wrong("schedule", 0, key, f'{value!r} is no time of day; write "09:30"')
        return time(12)


def _windows(r: _Reader, raw: Mapping[str, Any]) -> tuple[Window, ...]:
    made = []
    for one in _list(r, raw, "windows"):
        if not isinstance(one, list) or len(one) not in {2, 3} or (len(one) == 3 and not isinstance(one[2], int)):
            r.wrong(
                "schedule", 0, "windows", f'{one!r} is no window; write ["09:00", "12:00"] or ["09:00", "21:00", 5]'
            )
            continue
        made.append(Window(_clock(r, "windows", one[0]), _clock(r, "windows", one[1]), one[2] if len(one) == 3 else 1))
    return tuple(sorted(made, key=lambda window: window.start))


def _minutes(r: _Reader, raw: Mapping[str, Any], key: str, default: int | None) -> timedelta | None:
    value = raw.get(key, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        r.wrong("schedule", 0, key, f"{key} is a number of minutes, not {value!r}")
        return None
    return timedelta(minutes=value)


def _days(r: _Reader, raw: Mapping[str, Any]) -> tuple[int, ...]:
    value = raw.get("days", list(DAYS))
    if not isinstance(value, list) or not value or not set(value) <= set(DAYS):
        r.wrong("schedule", 0, "days", f"days are some of {', '.join(DAYS)}")
        return tuple(range(7))
    return tuple(sorted(DAYS.index(one) for one in set(value)))


def _quiet(r: _Reader, raw: Mapping[str, Any]) -> tuple[time, time] | None:
    if "quiet" not in raw:
        return None
    value = raw["quiet"]
    if not isinstance(value, list) or len(value) != 2:
        r.wrong("schedule", 0, "quiet", 'quiet is one stretch: quiet = ["22:00", "08:00"]')
        return None
    return _clock(r, "quiet", value[0]), _clock(r, "quiet", value[1])


def is_quiet(quiet: tuple[time, time] | None, at: time) -> bool:
    """Whether a time of day is within quiet hours, which may run over midnight; the end itself is not."""
    if quiet is None or quiet[0] == quiet[1]:
        return False
    start, end = quiet
    return start <= at < end if start < end else at >= start or at < end


def _check_schedule(r: _Reader, s: Schedule) -> None:
    if s.kind == "fixed":
        _check_times(r, s)
    if s.kind == "random":
        _check_windows(r, s)
    if s.reminder_after and s.reminder_after >= s.expires_after:
        r.wrong("schedule", 0, "reminder_after", "a reminder after the prompt has expired is of no use")


def _check_times(r: _Reader, s: Schedule) -> None:
    if not s.times:
        r.wrong("schedule", 0, "times", 'a fixed schedule needs times = ["09:00", ...]')
    for at in s.times:
        if is_quiet(s.quiet, at):
            r.wrong("schedule", 0, "times", f"{at:%H:%M} is within the quiet hours")


def _check_windows(r: _Reader, s: Schedule) -> None:
    if not s.windows:
        r.wrong("schedule", 0, "windows", 'a random schedule needs windows = [["09:00", "12:00"], ...]')
    gap = s.min_gap.total_seconds()
    last: Window | None = None
    for window in s.windows:
        span = f"{window.start:%H:%M}-{window.end:%H:%M}"
        room = _seconds(window.end) - _seconds(window.start)
        if room <= 0 or window.count < 1 or (window.count - 1) * gap >= room:
            r.wrong("schedule", 0, "windows", f"{window.count} prompts {s.min_gap} apart do not fit in {span}")
        if is_quiet(s.quiet, window.start) or (s.quiet and window.start < s.quiet[0] < window.end):
            r.wrong("schedule", 0, "windows", f"window {span} runs into the quiet hours")
        if last and window.start < last.end:
            r.wrong("schedule", 0, "windows", f"window {span} overlaps the one before")
        if last and _seconds(window.end) - _seconds(last.end) < gap * window.count:
            r.wrong("schedule", 0, "min_gap", f"min_gap {s.min_gap} leaves no room in the window {span}")
        last = window


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _timezone(r: _Reader, value: Any) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        r.wrong("", 0, "timezone", f'no timezone {value!r}; write for example "Europe/Moscow"')
        return "UTC"
    return str(value)


def _date(r: _Reader, data: Mapping[str, Any]) -> date | None:
    value = data.get("ends_on")
    if value is None or type(value) is date:
        return value
    r.wrong("", 0, "ends_on", f"ends_on is a date, written 2027-01-31, not {value!r}")
    return None


def _whole(r: _Reader, table: str, key: str, value: Any, least: int) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
        return value
    r.wrong(table, 0, key, f"{key} is a whole number of at least {least}, not {value!r}")
    return None
