"""Listed phrases in free text, found whatever the case, punctuation, stress marks or look-alike letters."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from importlib import resources

_LOOKALIKE = str.maketrans("aceopxykbhmt", "асеорхукьнмт")
_STRESS = dict.fromkeys(map(ord, "\u0300\u0301\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼ"))
_GAP = "..."


def says(text: str) -> bool:
    """Whether `text` holds a listed phrase, in any of the listed languages."""
    return bool(_pattern().search(f" {normalise(text)} "))


def normalise(text: str) -> str:
    """Lower case, е for ё, without punctuation, stress marks and invisible signs, words one space apart.

    A word that mixes Cyrillic with look-alike Latin letters becomes Cyrillic; й stays й.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).translate(_STRESS))
    plain = plain.casefold().translate(_APOSTROPHES).replace("ё", "е").replace("е\u0308", "е")
    words = re.findall(r"[^\W_]+", plain)
    return " ".join(_one_script(word) for word in words)


def _one_script(word: str) -> str:
    return word.translate(_LOOKALIKE) if re.search("[а-я]", word) else word


@cache
def _pattern() -> re.Pattern[str]:
    listed = tomllib.loads(resources.files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8"))
    phrases = sorted({phrase for language in listed.values() for phrase in language})
    return re.compile("|".join(_expression(phrase) for phrase in phrases))


def _expression(phrase: str) -> str:
    """Regular expression of one listed phrase, to be found in normalised text with a space at both ends."""
    parts = [r"(?:\S+ ){0,2}" if word == _GAP else f"{_word(word)} " for word in phrase.split()]
    return " " + "".join(parts)


def _word(word: str) -> str:
    return re.escape(word[:-1]) + r"\S*" if word.endswith("*") else re.escape(word)
