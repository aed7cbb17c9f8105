"""Listed phrases in free text, found whatever the case, punctuation, stress marks or look-alike letters."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources

_STRESS = dict.fromkeys(map(ord, "\u0300\u0301\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufe0f\ufeff"))
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼ"))
_LATIN, _CYRILLIC = "aceopxykbhmt", "асеорхукьнмт"
_TO_CYRILLIC = str.maketrans(_LATIN + "iunr" + "0346αορ", _CYRILLIC + "иипг" + "озчбаор")
_TO_LATIN = str.maketrans(_CYRILLIC + "іѕј" + "013457αορι", _LATIN + "isj" + "oieastaopi")
_GAP = "..."
_SPELT = 4
"""Single letters in a row that are taken for a word spelt out."""


def says(text: str) -> bool:
    """Whether `text` holds a listed phrase, in any of the listed languages and readings."""
    return any(_pattern(squeezed=squeezed).search(f" {words} ") for words, squeezed in _readings(text))


def normalise(text: str) -> str:
    """Lower case, е for ё, without punctuation, stress marks and invisible signs, words one space apart.

    A word that mixes Cyrillic with look-alike Latin letters becomes Cyrillic; й stays й.
    """
    return " ".join(_cyrillic(word) for word in _words(_plain(text)))


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).translate(_STRESS))
    return plain.casefold().translate(_APOSTROPHES).replace("ё", "е").replace("е\u0308", "е")


def _words(plain: str) -> list[str]:
    return re.findall(r"[^\W_]+", plain)


def _readings(text: str) -> Iterator[tuple[str, bool]]:
    """Every way to read a text, and whether letters in a row count once.

    As it stands, with signs inside words dropped, with spelt-out words put together; each in Cyrillic and in Latin.
    """
    plain = _plain(text)
    words = _words(plain)
    unbroken = ["".join(_words(part)) for part in plain.split()]
    found = set()
    for way in (words, unbroken, _put_together(words)):
        foreign = bool(re.search("[а-яіїєґ]", plain))
        found |= {" ".join(_cyrillic(word, lone=foreign) for word in way), " ".join(map(_latin, way))}
    for reading in sorted(found):
        yield reading, False
        if re.search(r"(\w)\1\1", reading):
            yield _squeezed(reading), True


def _put_together(words: list[str]) -> list[str]:
    """Join runs of single letters into a word."""
    spelt = rf"(?<!\S)\S(?: \S(?!\S)){{{_SPELT - 1},}}"
    return re.sub(spelt, lambda run: run[0].replace(" ", ""), " ".join(words)).split()


def _cyrillic(word: str, *, lone: bool = False) -> str:
    """`word` in Cyrillic where it mixes scripts, or (`lone`) could be Cyrillic as a whole."""
    mixed = re.search("[а-я]", word) is not None
    return word.translate(_TO_CYRILLIC) if mixed or (lone and not set(word) - set(_LATIN)) else word


def _latin(word: str) -> str:
    """`word` in Latin where it mixes scripts or has digits inside."""
    return word.translate(_TO_LATIN) if re.search("[a-z]", word) else word


def _squeezed(words: str) -> str:
    """`words` with letters in a row once."""
    return re.sub(r"(\w)\1+", r"\1", words)


@cache
def _pattern(*, squeezed: bool) -> re.Pattern[str]:
    listed = tomllib.loads(resources.files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8"))
    phrases = {phrase for language in listed["phrases"].values() for phrase in language}
    if squeezed:
        phrases = {_squeezed(phrase) for phrase in phrases}
    return re.compile("|".join(_expression(phrase) for phrase in sorted(phrases)))


def _expression(phrase: str) -> str:
    """Regular expression of one listed phrase, to be found in normalised text with a space at both ends."""
    parts = [r"(?:\S+ ){0,2}" if word == _GAP else f"{_word(word)} ?" for word in phrase.split()]
    return " " + "".join(parts).removesuffix("?")


def _word(word: str) -> str:
    return re.escape(word[:-1]) + r"\S*" if word.endswith("*") else re.escape(word)
