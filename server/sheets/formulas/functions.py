"""The functions formulas may call; others are an error value that says so."""

from __future__ import annotations

import datetime as dt
import math
import re
import statistics
from collections.abc import Callable
from typing import Any

from server.sheets.formulas.values import Cells, FormulaError, Stop, fail, number, numbers, plain, rank, text, truth
from server.sheets.text import display, entered
from server.sheets.text.serial import from_serial, to_serial

Function = Callable[..., Any]


def _some(values: list[float], *, least: int = 1) -> list[float]:
    if len(values) < least:
        raise fail("#DIV/0!", "Evaluation caused a divide by zero error.")
    return values


def _round(value: Any, places: Any = 0, mode: str = "half") -> float:
    scale = 10.0 ** int(number(places))
    scaled = number(value) * scale
    # 2.675 * 100 is 267.49999999999997: a last-digit nudge, as people expect of a rounded display
    nudged = math.copysign(abs(scaled) * (1 + 1e-15), scaled)
    steps = {
        "half": lambda: math.copysign(math.floor(abs(nudged) + 0.5), scaled),
        "up": lambda: math.copysign(math.ceil(abs(scaled) * (1 - 1e-15)), scaled),
        "down": lambda: math.copysign(math.floor(abs(nudged)), scaled),
    }
    return entered.whole(steps[mode]() / scale)


def _criterion(condition: Any) -> Callable[[Any], bool]:
    """`">=5"`, `"<>x"`, `"a*"` or a plain value, as COUNTIF understands them."""
    condition = plain(condition)
    if not isinstance(condition, str):
        return lambda value: rank(value) == rank(condition) and value is not None
    match = re.match(r"(<=|>=|<>|<|>|=)?(.*)", condition, re.DOTALL)
    sign, wanted = (match[1] or "=", match[2]) if match else ("=", condition)
    read = entered.read(wanted)
    want = read.get("v") if isinstance(read, dict) and "v" in read else read
    if sign in {"=", "<>"} and isinstance(want, str | type(None)):
        pattern = re.escape(want or "").replace(r"\*", ".*").replace(r"\?", ".")
        return lambda value: bool(re.fullmatch(pattern, text_of(value), re.IGNORECASE | re.DOTALL)) == (sign == "=")
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b,
        "<>": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
        ">=": lambda a, b: a >= b,
    }
    return lambda value: (
        value is not None and rank(value)[0] == rank(want)[0] and compare[sign](rank(value), rank(want))
    )


def text_of(value: Any) -> str:
    """A value as text, error values included."""
    return display.show(value, None)


def _chosen(pairs: tuple[Any, ...]) -> list[bool]:
    """For each cell, whether it meets every (range, criterion) pair."""
    columns = [
        [_criterion(pairs[at + 1])(value) for value in _range(pairs[at]).flat()] for at in range(0, len(pairs), 2)
    ]
    return [all(flags) for flags in zip(*columns, strict=True)]


def _range(value: Any) -> Cells:
    return value if isinstance(value, Cells) else Cells([[value]])


def _sum_of(values: Any, flags: list[bool]) -> list[float]:
    picked = [value for value, flag in zip(_range(values).flat(), flags, strict=False) if flag]
    return [value for value in picked if isinstance(value, int | float) and not isinstance(value, bool)]


def _countif(values: Any, condition: Any) -> int:
    return sum(_chosen((values, condition)))


def _sumif(values: Any, condition: Any, summed: Any = None) -> float:
    return sum(_sum_of(values if summed is None else summed, _chosen((values, condition))))


def _averageif(values: Any, condition: Any, averaged: Any = None) -> float:
    picked = _sum_of(values if averaged is None else averaged, _chosen((values, condition)))
    return sum(_some(picked)) / len(picked)


def _all(values: tuple[Any, ...]) -> list[bool]:
    flat = [item for value in values for item in (_range(value).flat())]
    return [truth(item) for item in flat if item is not None and not isinstance(item, str | type(None))] or [False]


def _vlookup(key: Any, table: Any, index: Any, sort: Any = True) -> Any:  # noqa: FBT002 - a spreadsheet's own order
    rows, column, wanted = _range(table), int(number(index)) - 1, rank(plain(key))
    if rows and not 0 <= column < len(rows[0]):
        raise fail("#REF!", "VLOOKUP evaluates to an out of bounds range.")
    best = None
    for row in rows:
        if truth(sort) and row[0] is not None and rank(row[0]) <= wanted:
            best = row
        elif not truth(sort) and row[0] is not None and rank(row[0]) == wanted:
            return row[column]
    if best is None:
        raise fail("#N/A", "Did not find value in VLOOKUP evaluation.")
    return best[column]


def _match(key: Any, values: Any, kind: Any = 1) -> int:
    wanted, flat, mode = rank(plain(key)), list(_range(values).flat()), number(kind)
    if mode == 0:
        for place, value in enumerate(flat, 1):
            if value is not None and rank(value) == wanted:
                return place
    else:
        fits = [
            i for i, v in enumerate(flat, 1) if v is not None and (rank(v) <= wanted if mode > 0 else rank(v) >= wanted)
        ]
        if fits:
            return fits[-1]
    raise fail("#N/A", "Did not find value in MATCH evaluation.")


def _index(values: Any, row: Any = 0, column: Any = 0) -> Any:
    cells, r, c = _range(values), int(number(row)), int(number(column))
    if r > len(cells) or c > len(cells[0]) or r < 0 or c < 0:
        raise fail("#REF!", "INDEX evaluates to an out of bounds range.")
    rows = cells if r == 0 else [cells[r - 1]]
    return Cells([line if c == 0 else [line[c - 1]] for line in rows])


def _text(value: Any, pattern: Any) -> str:
    value, form = plain(value), text(pattern)
    if isinstance(value, str):
        return value
    kind = "DATE" if re.search(r"[ydhs]|m(?!\d)", re.sub(r'"[^"]*"', "", form), re.IGNORECASE) else "NUMBER"
    return display.show(0 if value is None else value, {"type": kind, "pattern": form})


def _date(year: Any, month: Any, day: Any) -> int | float:
    years, months = divmod(int(number(month)) - 1, 12)
    start = dt.datetime(int(number(year)) + years, months + 1, 1)  # noqa: DTZ001 - a sheet's date has no zone
    return to_serial(start + dt.timedelta(days=int(number(day)) - 1))


def _part(value: Any, name: str) -> int:
    return int(getattr(from_serial(number(value)), name))


def _now() -> float:
    return to_serial(dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0))


def _mode(arguments: tuple[Any, ...]) -> float:
    found = numbers(arguments)
    if len(set(found)) == len(found):
        raise fail("#N/A", "No values occur more than once.")
    return statistics.mode(found)


def _percentile(values: Any, share: Any) -> float:
    ordered, part = sorted(_some(numbers((values,)))), number(share)
    if not 0 <= part <= 1:
        raise fail("#NUM!", "The percentile must lie between 0 and 1.")
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _root(value: Any) -> float:
    if number(value) < 0:
        raise fail("#NUM!", "Function SQRT parameter 1 value is negative. It should be greater than or equal to zero.")
    return math.sqrt(number(value))


def _modulo(value: Any, by: Any) -> float:
    if number(by) == 0:
        raise fail("#DIV/0!", "Function MOD parameter 2 cannot be zero.")
    return number(value) % number(by)


def _logarithm(value: Any, base: Any = 10) -> float:
    if number(value) <= 0 or number(base) <= 0:
        raise fail("#NUM!", "A logarithm needs positive numbers.")
    return math.log10(number(value)) if number(base) == 10 else math.log(number(value), number(base))


def _find(wanted: Any, within: Any, start: Any = 1) -> int:
    place = text(within).find(text(wanted), int(number(start)) - 1)
    if place < 0:
        raise fail("#VALUE!", f"In FIND evaluation, cannot find '{text(wanted)}' within '{text(within)}'.")
    return place + 1


def _substitute(source: Any, old: Any, new: Any, nth: Any = None) -> str:
    if nth is None:
        return text(source).replace(text(old), text(new))
    parts, at = text(source).split(text(old)), int(number(nth))
    if at >= len(parts):
        return text(source)
    return text(old).join(parts[:at]) + text(new) + text(old).join(parts[at:])


def _joined(between: Any, *values: Any) -> str:
    return text(between).join(text_of(item) for value in values for item in _range(value).flat())


def _textjoin(between: Any, skip: Any, *values: Any) -> str:
    flat = [text_of(item) for value in values for item in _range(value).flat()]
    return text(between).join(item for item in flat if item or not truth(skip))


def _regex(value: Any, pattern: Any) -> re.Match[str] | None:
    try:
        return re.search(text(pattern), text(value))
    except re.error as error:
        raise fail("#REF!", f"Not a valid regular expression: {error}") from error


def _extract(value: Any, pattern: Any) -> str:
    found = _regex(value, pattern)
    if not found:
        raise fail("#N/A", "Function REGEXEXTRACT parameter 2 value does not match text of parameter 1.")
    return str(found.group(1) if found.re.groups else found.group())


def _value_or_error(value: Any) -> Any:
    return value[0][0] if isinstance(value, Cells) and len(value) == 1 and len(value[0]) == 1 else value


def _unique_count(*values: Any) -> int:
    return len({rank(item) for value in values for item in _range(value).flat() if item is not None})


FUNCTIONS: dict[str, Function] = {
    "SUM": lambda *a: sum(numbers(a)),
    "PRODUCT": lambda *a: math.prod(numbers(a)),
    "AVERAGE": lambda *a: sum(_some(numbers(a))) / len(numbers(a)),
    "MIN": lambda *a: min(numbers(a), default=0),
    "MAX": lambda *a: max(numbers(a), default=0),
    "MEDIAN": lambda *a: statistics.median(_some(numbers(a))),
    "MODE": lambda *a: _mode(a),
    "STDEV": lambda *a: statistics.stdev(_some(numbers(a), least=2)),
    "STDEVP": lambda *a: statistics.pstdev(_some(numbers(a))),
    "VAR": lambda *a: statistics.variance(_some(numbers(a), least=2)),
    "VARP": lambda *a: statistics.pvariance(_some(numbers(a))),
    "PERCENTILE": _percentile,
    "LARGE": lambda v, n: sorted(numbers((v,)), reverse=True)[int(number(n)) - 1],
    "SMALL": lambda v, n: sorted(numbers((v,)))[int(number(n)) - 1],
    "COUNT": lambda *a: sum(
        isinstance(i, int | float) and not isinstance(i, bool) for v in a for i in _range(v).flat()
    ),
    "COUNTA": lambda *a: sum(i is not None for v in a for i in _range(v).flat()),
    "COUNTBLANK": lambda v: sum(i is None or i == "" for i in _range(v).flat()),
    "COUNTUNIQUE": _unique_count,
    "COUNTIF": _countif,
    "COUNTIFS": lambda *a: sum(_chosen(a)),
    "SUMIF": _sumif,
    "SUMIFS": lambda v, *a: sum(_sum_of(v, _chosen(a))),
    "AVERAGEIF": _averageif,
    "AVERAGEIFS": lambda v, *a: statistics.fmean(_some(_sum_of(v, _chosen(a)))),
    "SUMPRODUCT": lambda *a: sum(math.prod(numbers(t)) for t in zip(*(_range(v).flat() for v in a), strict=True)),
    "ROUND": lambda v, n=0: _round(v, n),
    "ROUNDUP": lambda v, n=0: _round(v, n, "up"),
    "ROUNDDOWN": lambda v, n=0: _round(v, n, "down"),
    "TRUNC": lambda v, n=0: _round(v, n, "down"),
    "INT": lambda v: math.floor(number(v)),
    "CEILING": lambda v, f=1: math.ceil(number(v) / number(f)) * number(f),
    "FLOOR": lambda v, f=1: math.floor(number(v) / number(f)) * number(f),
    "ABS": lambda v: abs(number(v)),
    "SIGN": lambda v: (number(v) > 0) - (number(v) < 0),
    "SQRT": _root,
    "POWER": lambda a, b: math.pow(number(a), number(b)),
    "MOD": _modulo,
    "EXP": lambda v: math.exp(number(v)),
    "LN": lambda v: _logarithm(v, math.e),
    "LOG": _logarithm,
    "LOG10": _logarithm,
    "PI": lambda: math.pi,
    "AND": lambda *a: all(_all(a)),
    "OR": lambda *a: any(_all(a)),
    "XOR": lambda *a: sum(_all(a)) % 2 == 1,
    "NOT": lambda v: not truth(v),
    "TRUE": lambda: True,
    "FALSE": lambda: False,
    "NA": lambda: FormulaError("#N/A", "Error"),
    "ISBLANK": lambda v: _value_or_error(v) is None,
    "ISNUMBER": lambda v: isinstance(_value_or_error(v), int | float) and not isinstance(_value_or_error(v), bool),
    "ISTEXT": lambda v: isinstance(_value_or_error(v), str) and not isinstance(_value_or_error(v), FormulaError),
    "ISLOGICAL": lambda v: isinstance(_value_or_error(v), bool),
    "ISERROR": lambda v: isinstance(_value_or_error(v), FormulaError),
    "ISNA": lambda v: _value_or_error(v) == "#N/A",
    "N": lambda v: number(v) if not isinstance(plain(v), str) else 0,
    "CONCATENATE": lambda *a: _joined("", *a),
    "CONCAT": lambda a, b: text(a) + text(b),
    "JOIN": _joined,
    "TEXTJOIN": _textjoin,
    "LEN": lambda v: len(text(v)),
    "LEFT": lambda v, n=1: text(v)[: int(number(n))],
    "RIGHT": lambda v, n=1: text(v)[-int(number(n)) :] if number(n) else "",
    "MID": lambda v, s, n: text(v)[int(number(s)) - 1 : int(number(s)) - 1 + int(number(n))],
    "UPPER": lambda v: text(v).upper(),
    "LOWER": lambda v: text(v).lower(),
    "PROPER": lambda v: text(v).title(),
    "TRIM": lambda v: " ".join(text(v).split()),
    "REPT": lambda v, n: text(v) * int(number(n)),
    "EXACT": lambda a, b: text(a) == text(b),
    "FIND": _find,
    "SEARCH": lambda w, v, s=1: _find(text(w).lower(), text(v).lower(), s),
    "SUBSTITUTE": _substitute,
    "CHAR": lambda v: chr(int(number(v))),
    "CODE": lambda v: ord(text(v)[0]),
    "VALUE": number,
    "TEXT": _text,
    "REGEXMATCH": lambda v, p: bool(_regex(v, p)),
    "REGEXEXTRACT": _extract,
    "REGEXREPLACE": lambda v, p, n: re.sub(text(p), re.sub(r"\$(\d)", r"\\\1", text(n)), text(v)),
    "HYPERLINK": lambda url, label=None: text(url) if label is None else plain(label),
    "IMAGE": lambda *_: None,
    "VLOOKUP": _vlookup,
    "MATCH": _match,
    "INDEX": _index,
    "ROWS": lambda v: len(_range(v)),
    "COLUMNS": lambda v: len(_range(v)[0]),
    "TODAY": lambda: int(_now()),
    "NOW": _now,
    "DATE": _date,
    "TIME": lambda h, m, s: (number(h) * 3600 + number(m) * 60 + number(s)) % 86_400 / 86_400,
    "YEAR": lambda v: _part(v, "year"),
    "MONTH": lambda v: _part(v, "month"),
    "DAY": lambda v: _part(v, "day"),
    "HOUR": lambda v: _part(v, "hour"),
    "MINUTE": lambda v: _part(v, "minute"),
    "SECOND": lambda v: _part(v, "second"),
    "WEEKDAY": lambda v: from_serial(number(v)).isoweekday() % 7 + 1,
    "DATEVALUE": lambda v: int(number(v)),
    "DAYS": lambda end, start: int(number(end)) - int(number(start)),
}
"""By name; ranges come as `Cells`, a missing argument as None."""

DATES = {"TODAY", "DATE", "DATEVALUE"}
MOMENTS = {"NOW"}


def call(name: str, arguments: list[Any]) -> Any:
    """The function's value.

    Raises
    ------
    Stop
        `#NAME?` where it is not known here, `#N/A` where it takes another number of arguments, and its own errors.
    """
    function = FUNCTIONS.get(name)
    if function is None:
        raise fail("#NAME?", f"Unknown function: '{name}' (or one that this local endpoint does not compute).")
    try:
        return function(*arguments)
    except Stop:
        raise
    except TypeError as error:
        raise fail("#N/A", f"Wrong number of arguments to {name}.") from error
    except (ValueError, IndexError, OverflowError, ArithmeticError) as error:
        raise fail("#NUM!", f"Function {name}: {error}") from error
