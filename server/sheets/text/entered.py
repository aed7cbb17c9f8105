"""USER_ENTERED: what Sheets makes of a text that a person types, in the en_US locale.

Numbers (grouped, percent, currency, exponent), dates and times, booleans and formulas are recognised and get the number
format Sheets gives them; a leading apostrophe keeps anything a text.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

from server.sheets.cells import Cell, simplest
from server.sheets.text.serial import to_serial

NUMBER = re.compile(
    r"(?P<sign>[+-])?(?P<currency>\$)?(?P<sign2>-)?(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?"
    r"(?P<fraction>\.[0-9]*)?(?P<exponent>[eE][+-]?[0-9]+)?\s*(?P<percent>%)?"
)
DATE = re.compile(
    r"(?:(?P<y>[0-9]{4})[-/](?P<m>[0-9]{1,2})[-/](?P<d>[0-9]{1,2})|(?P<m2>[0-9]{1,2})[/-](?P<d2>[0-9]{1,2})[/-](?P<y2>[0-9]{4}))"
    r"(?: +(?P<time>.+))?"
)
WORDS = re.compile(
    r"(?P<month>[A-Za-z]{3,9})\.? (?P<d>[0-9]{1,2}),? (?P<y>[0-9]{4})"
    r"|(?P<d2>[0-9]{1,2})(?P<gap>[- ])(?P<month2>[A-Za-z]{3,9})(?P=gap)(?P<y2>[0-9]{4})"
)
MONTHS = [dt.date(2000, number, 1).strftime("%B").lower() for number in range(1, 13)]
TIME = re.compile(
    r"(?P<h>[0-9]{1,2}):(?P<mi>[0-9]{2})(?::(?P<s>[0-9]{2})(?P<ms>\.[0-9]{1,3})?)?\s*(?P<half>[AaPp][Mm])?"
)


def read(given: Any) -> Cell:
    """A cell from what was sent with `valueInputOption=USER_ENTERED`; numbers and booleans are taken as they are."""
    if not isinstance(given, str):
        return given
    if given == "":
        return None
    if given.startswith("'"):
        return given[1:] or None
    if given.startswith("=") and len(given) > 1:
        return {"f": given}
    text = given.strip()
    recognised = _boolean(text) or _number(text) or _moment(text)
    return simplest(recognised) if recognised else given


def read_raw(given: Any) -> Cell:
    """A cell from what was sent with `valueInputOption=RAW`: as it is, an empty text being an empty cell."""
    return None if given == "" else given


def _boolean(text: str) -> Cell:
    # wrapped, so that FALSE does not read as "not recognised"
    return {"v": text.upper() == "TRUE"} if text.upper() in {"TRUE", "FALSE"} else None


def _number(text: str) -> Cell:
    match = NUMBER.fullmatch(text)
    if not match or not (match["whole"] or (match["fraction"] and len(match["fraction"]) > 1)):
        return None
    digits = (match["whole"] or "0").replace(",", "") + (match["fraction"] or "") + (match["exponent"] or "")
    plain = not (match["fraction"] or match["exponent"])
    number: float = int(digits) if plain and len(digits) <= 15 else float(digits)
    if "-" in (match["sign"], match["sign2"]):
        number = -number
    if match["percent"]:
        number = number / 100
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return {"v": whole(number), **_pattern(match)}


def whole(number: float) -> int | float:
    """As JSON from Google has it: 2, not 2.0."""
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 1e15 else number


def _pattern(match: re.Match[str]) -> dict[str, Any]:
    decimals = (
        "." + "0" * min(2, len(match["fraction"]) - 1) if match["fraction"] and len(match["fraction"]) > 1 else ""
    )
    if match["percent"]:
        return _format("PERCENT", "0.00%" if decimals else "0%")
    if match["currency"]:
        return _format("CURRENCY", '"$"#,##0.00' if decimals else '"$"#,##0')
    if match["exponent"]:
        return _format("SCIENTIFIC", "0.00E+00")
    if match["whole"] and "," in match["whole"]:
        return _format("NUMBER", "#,##0.00" if decimals else "#,##0")
    return {}


def _format(kind: str, pattern: str) -> dict[str, Any]:
    return {"fmt": {"numberFormat": {"type": kind, "pattern": pattern}}}


def _moment(text: str) -> Cell:
    clock = TIME.fullmatch(text)
    if clock:
        fraction = _fraction(clock)
        return None if fraction is None else {"v": fraction, **_format("TIME", _time_pattern(clock))}
    match = DATE.fullmatch(text)
    if match:
        return _date(match)
    words = WORDS.fullmatch(text)
    return _worded(words) if words else None


def _worded(match: re.Match[str]) -> Cell:
    """Jan 5, 2024, January 5, 2024, 5 January 2024 or 5-Jan-2024."""
    said = (match["month"] or match["month2"]).lower()
    month = next((n for n, name in enumerate(MONTHS, 1) if said in {name, name[:3]}), None)
    if month is None:
        return None
    try:
        day = dt.datetime(int(match["y"] or match["y2"]), month, int(match["d"] or match["d2"]))  # noqa: DTZ001 - as above
    except ValueError:
        return None
    name = "mmm" if len(said) == 3 else "mmmm"
    pattern = f"{name} d, yyyy" if match["month"] else match["gap"].join(("d", name, "yyyy"))
    return {"v": to_serial(day), **_format("DATE", pattern)}


def _date(match: re.Match[str]) -> Cell:
    year, month, day = (match["y"], match["m"], match["d"]) if match["y"] else (match["y2"], match["m2"], match["d2"])
    try:
        serial = to_serial(dt.datetime(int(year), int(month), int(day)))  # noqa: DTZ001 - a sheet's date has no zone
    except ValueError:
        return None
    pattern = "yyyy-mm-dd" if match["y"] else "m/d/yyyy"
    if not match["time"]:
        return {"v": serial, **_format("DATE", pattern)}
    clock = TIME.fullmatch(match["time"].strip())
    fraction = _fraction(clock) if clock else None
    if clock is None or fraction is None:
        return None
    return {"v": serial + fraction, **_format("DATE_TIME", f"{pattern} {_time_pattern(clock)}")}


def _fraction(clock: re.Match[str]) -> float | None:
    hour, minute, second = int(clock["h"]), int(clock["mi"]), int(clock["s"] or 0)
    if clock["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if clock["half"].lower() == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return (hour * 3600 + minute * 60 + second + float(clock["ms"] or 0)) / 86_400


def _time_pattern(clock: re.Match[str]) -> str:
    hour = "h" if clock["half"] or len(clock["h"]) == 1 else "hh"
    return (
        f"{hour}:mm"
        + (":ss" if clock["s"] else "")
        + (".000" if clock["ms"] else "")
        + (" am/pm" if clock["half"] else "")
    )
