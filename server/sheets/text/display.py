"""FORMATTED_VALUE: what a person sees in a cell, by the cell's number format; en_US."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from server.sheets.text.serial import from_serial

DATE_TOKEN = re.compile(r'"[^"]*"|\\.|am/pm|AM/PM|a/p|A/P|\[h+\]|y+|m+|d+|h+|s+|\.0+|.', re.IGNORECASE)
DIGITS = re.compile(r"[#0?,]*[#0?](?:,*)(?:\.[#0?]*)?(?:[eE][+-]0+)?|\.[#0?]+")
DATE_TYPES = {"DATE", "TIME", "DATE_TIME"}
DEFAULT_PATTERNS = {
    "NUMBER": "#,##0.00",
    "PERCENT": "0.00%",
    "CURRENCY": '"$"#,##0.00',
    "DATE": "m/d/yyyy",
    "TIME": "h:mm:ss am/pm",
    "DATE_TIME": "m/d/yyyy h:mm:ss",
    "SCIENTIFIC": "0.00E+00",
}


def is_date(number_format: dict[str, str] | None) -> bool:
    """Whether numbers in this format stand for days."""
    return number_format is not None and number_format.get("type") in DATE_TYPES


def show(value: Any, number_format: dict[str, str] | None) -> str:
    """The text in the cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    kind = (number_format or {}).get("type", "NUMBER_FORMAT_TYPE_UNSPECIFIED")
    pattern = (number_format or {}).get("pattern") or DEFAULT_PATTERNS.get(kind, "")
    if not pattern or kind == "TEXT":
        return general(value)
    if kind in DATE_TYPES:
        return moment(value, pattern)
    return number(value, pattern)


def general(value: float) -> str:
    """A number as Sheets shows it without a format: whole numbers in full, others to ten significant digits."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    size = abs(value)
    if size >= 1e15 or size < 1e-9:
        mantissa, _, exponent = f"{value:.5E}".partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent[0]}{exponent[1:].lstrip('0').rjust(2, '0')}"
    before = len(str(int(size))) if size >= 1 else 0
    leading = 0 if size >= 0.1 else -int(f"{size:e}".partition("e")[2]) - 1
    places = min(max(10 - before, 0) + leading, 15)
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: float, pattern: str) -> str:
    """By a number pattern such as `#,##0.00`, `0%`, `0.00E+00`, with sections for negative and zero."""
    sections = _sections(pattern)
    section, magnitude = sections[0], value
    if len(sections) > 1 and value < 0:
        section, magnitude = sections[1], -value
    elif len(sections) > 2 and value == 0:
        section = sections[2]
    return _section(magnitude, section)


def _sections(pattern: str) -> list[str]:
    parts, quoted = [""], False
    for char in pattern:
        quoted ^= char == '"'
        if char == ";" and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _section(value: float, section: str) -> str:
    literal_free = re.sub(r'"[^"]*"|\\.', lambda m: "\0" * len(m.group()), section)
    match = DIGITS.search(literal_free)
    if not match:
        return _literals(section)
    if "%" in literal_free:
        value *= 100
    sign = "-" if value < 0 else ""
    digits = _digits(abs(value), match.group())
    if not any(char in "123456789" for char in digits):
        sign = ""
    return sign + _literals(section[: match.start()]) + digits + _literals(section[match.end() :])


def _literals(text: str) -> str:
    text = re.sub(r"\[[^\]]*\]|_.|\*.", "", text)
    return re.sub(r'"([^"]*)"|\\(.)', lambda m: m.group(1) if m.group(1) is not None else m.group(2), text)


def _digits(value: float, pattern: str) -> str:
    pattern, _, exponent = pattern.replace("e", "E").partition("E")
    if exponent:
        return _scientific(value, pattern, exponent)
    whole, _, fraction = pattern.partition(".")
    scale = len(whole) - len(whole.rstrip(","))
    value /= 1000**scale
    # half away from zero, as people round
    text = f"{_rounded(value, len(fraction)):.{len(fraction)}f}"
    before, _, after = text.partition(".")
    before = before.rjust(whole.count("0"), "0") if before != "0" or "0" in whole else ""
    if "," in whole.rstrip(","):
        before = f"{int(before or 0):,}".rjust(0)
    keep = len(fraction.rstrip("#?")) if fraction else 0
    while len(after) > keep and after.endswith("0"):
        after = after[:-1]
    return before + ("." + after if after else "")


def _rounded(value: float, places: int) -> float:
    from decimal import ROUND_HALF_UP, Decimal  # noqa: PLC0415 - only formatted numbers pay for it

    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def _scientific(value: float, pattern: str, exponent: str) -> str:
    places = len(pattern.partition(".")[2])
    mantissa, _, power = f"{value:.{places}E}".partition("E")
    size = exponent.lstrip("+-")
    sign = "-" if power.startswith("-") else ("+" if exponent.startswith("+") else "")
    return f"{mantissa}E{sign}{power[1:].lstrip('0').rjust(len(size), '0')}"


def moment(serial: float, pattern: str) -> str:
    """By a date pattern such as `yyyy-mm-dd hh:mm`."""
    try:
        when = from_serial(serial)
    except OverflowError:
        return general(serial)
    tokens = DATE_TOKEN.findall(pattern)
    half = any(token.lower() in {"am/pm", "a/p"} for token in tokens)
    return "".join(_token(tokens, place, when, half=half) for place in range(len(tokens)))


def _token(tokens: list[str], place: int, when: dt.datetime, *, half: bool) -> str:
    token = tokens[place]
    low = token.lower()
    if token.startswith('"'):
        return token[1:-1]
    if token.startswith("\\"):
        return token[1:]
    if low[0] == "m" and low == "m" * len(low):
        return f"{when.minute:0{min(len(low), 2)}d}" if _minutes(tokens, place) else _month(when, len(low))
    if low in {"am/pm", "a/p"}:
        return ("AM" if when.hour < 12 else "PM")[: 2 if low == "am/pm" else 1]
    if low.startswith(".0"):
        return f".{when.microsecond:06d}"[: len(low)]
    return _plain(low, when, half=half) or token


def _plain(low: str, when: dt.datetime, *, half: bool) -> str:
    width = min(len(low), 2)
    if low[0] == "y":
        return f"{when.year:04d}" if len(low) > 2 else f"{when.year % 100:02d}"
    if low[0] == "d" and set(low) == {"d"}:
        return when.strftime("%A" if len(low) > 3 else "%a") if len(low) > 2 else f"{when.day:0{width}d}"
    if low[0] == "h" and set(low) == {"h"}:
        hour = (when.hour % 12 or 12) if half else when.hour
        return f"{hour:0{width}d}"
    if low[0] == "s" and set(low) == {"s"}:
        return f"{when.second:0{width}d}"
    return ""


def _month(when: dt.datetime, width: int) -> str:
    if width > 2:
        return when.strftime("%B" if width > 3 else "%b")
    return f"{when.month:0{width}d}"


def _minutes(tokens: list[str], place: int) -> bool:
    """`m` means minutes right after hours or right before seconds."""
    wordy = [token.lower()[0] for token in tokens[:place] if token[0].isalpha() or token.startswith("[")]
    after = [token.lower()[0] for token in tokens[place + 1 :] if token[0].isalpha()]
    return bool(wordy and wordy[-1] in "h[") or bool(after and after[0] == "s")
