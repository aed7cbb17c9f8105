"""How a language counts, writes numbers and names days. Two languages need no library."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from flows.notify.errors import WordingError

_EN_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_RU_MONTHS = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
]
_EN_DAYS = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"]
_RU_DAYS = [
    "по понедельникам",
    "по вторникам",
    "по средам",
    "по четвергам",
    "по пятницам",
    "по субботам",
    "по воскресеньям",
]


class Forms(Protocol):
    """The forms of one language."""

    def number(self, value: float, digits: int | None = None) -> str:
        """Short decimal: as many digits as tell something, none that only look exact."""

    def percent(self, share: float) -> str:
        """A share as per cent; never "0%" of something that is there."""

    def plural(self, n: int, *forms: str) -> str:
        """The form of a word that goes with `n`."""

    def day(self, day: date) -> str:
        """Day and month."""

    def hour(self, hour: float) -> str:
        """Hour of the day, to the half hour."""

    def weekday(self, weekday: float) -> str:
        """Words for "on that weekday"; Monday is 0."""


def of(language: str) -> Forms:
    """Forms of a language.

    Raises
    ------
    WordingError
        Nobody wrote them.
    """
    if language not in _LANGUAGES:
        raise WordingError(f"no forms for language {language!r}: one of {', '.join(_LANGUAGES)}")
    return _LANGUAGES[language]


def digits_for(value: float) -> int:
    """One decimal for small numbers, two for very small, none from 20."""
    size = abs(value)
    return 0 if size >= 20 else 2 if 0 < size < 0.2 else 1


@dataclass(frozen=True)
class _English:
    decimal: str = "."
    percent_sign: str = "%"

    def number(self, value: float, digits: int | None = None) -> str:
        places = digits_for(value) if digits is None else digits
        text = f"{float(value):.{places}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        text = "0" if text in {"-0", ""} else text
        return text.replace("-", "\u2212").replace(".", self.decimal)

    def percent(self, share: float) -> str:
        value = 100 * share
        return f"{self.number(max(value, 0.1), 1 if value < 1 else 0)}{self.percent_sign}"

    def plural(self, n: int, *forms: str) -> str:
        return forms[0 if n == 1 else 1]

    def day(self, day: date) -> str:
        return f"{day.day} {_EN_MONTHS[day.month - 1]}"

    def hour(self, hour: float) -> str:
        halves = round(hour * 2) % 48
        return f"{halves // 2:02d}:{30 * (halves % 2):02d}"

    def weekday(self, weekday: float) -> str:
        return _EN_DAYS[round(weekday) % 7]


@dataclass(frozen=True)
class _Russian(_English):
    decimal: str = ","
    percent_sign: str = "\u00a0%"

    def plural(self, n: int, *forms: str) -> str:
        """CLDR's one, few, many: 1, 21 ответ; 2-4, 22 ответа; 0, 5-20, 25 ответов."""
        tens, ones = abs(n) % 100, abs(n) % 10
        if ones == 1 and tens != 11:
            return forms[0]
        return forms[1] if 2 <= ones <= 4 and not 12 <= tens <= 14 else forms[2]

    def day(self, day: date) -> str:
        return f"{day.day} {_RU_MONTHS[day.month - 1]}"

    def weekday(self, weekday: float) -> str:
        return _RU_DAYS[round(weekday) % 7]


_LANGUAGES: dict[str, Forms] = {"en": _English(), "ru": _Russian()}
