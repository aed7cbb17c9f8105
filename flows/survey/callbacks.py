"""What an inline button says when it is tapped: at most 64 bytes, read back without trust.

v.<prompt id>.<version>.<item>.<value>   an answer            w. the same, one of several (multi)
t.<prompt id>.<version>.<item>.<tens>    half an answer: the tens of a slider
s.<prompt id>.<version>.<item>           skip the item        n. next (multi, with what is ticked)
b.<prompt id>.<version>.<item>           back from the item
u.<prompt id>.<version>                  submit
c.yes | c.no                             consent              l.<language>
k.<country>                              country              z.<timezone>
x.yes | x.no                             delete everything    p.<days> pause
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LIMIT = 64
VERSION_CHARS = 4
KINDS = {
    "value": "v",
    "toggle": "w",
    "tens": "t",
    "skip": "s",
    "next": "n",
    "back": "b",
    "submit": "u",
    "consent": "c",
    "language": "l",
    "country": "k",
    "timezone": "z",
    "delete": "x",
    "pause": "p",
}
_LETTERS = {letter: kind for kind, letter in KINDS.items()}
OF_PROMPT = {"value", "toggle", "tens", "skip", "next", "back", "submit"}
_WITH_VALUE = {"value", "toggle", "tens"}
_PROMPT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Callback:
    """One button. `version` is the beginning of the survey version; `item` counts from 0."""

    kind: str
    prompt: str = ""
    version: str = ""
    item: int = -1
    value: str = ""

    @property
    def of_prompt(self) -> bool:
        """Whether it belongs to a prompt's message."""
        return self.kind in OF_PROMPT


def encode(callback: Callback) -> str:
    """Callback data of a button.

    Raises
    ------
    ValueError
        It would not fit in Telegram's 64 bytes.
    """
    parts = [KINDS[callback.kind]]
    if callback.of_prompt:
        parts += [callback.prompt, callback.version[:VERSION_CHARS]]
        if callback.kind != "submit":
            parts.append(str(callback.item))
    if callback.kind in _WITH_VALUE or not callback.of_prompt:
        parts.append(callback.value)
    data = ".".join(parts)
    if len(data.encode()) > LIMIT:
        raise ValueError(f"callback data of {len(data.encode())} bytes, at most {LIMIT}: {data!r}")
    return data


def decode(data: str) -> Callback | None:
    """Read callback data; None for what no button of ours says."""
    letter, _, rest = data.partition(".")
    kind = _LETTERS.get(letter)
    if kind is None or not rest or len(data.encode()) > LIMIT:
        return None
    if kind not in OF_PROMPT:
        return Callback(kind, value=rest)
    parts = rest.split(".", 3)
    expected = 2 if kind == "submit" else 4 if kind in _WITH_VALUE else 3
    if len(parts) != expected or not _PROMPT.fullmatch(parts[0]) or len(parts[1]) != VERSION_CHARS:
        return None
    if kind == "submit":
        return Callback(kind, parts[0], parts[1])
    if not re.fullmatch(r"[0-9]{1,3}", parts[2]):
        return None
    return Callback(kind, parts[0], parts[1], int(parts[2]), parts[3] if kind in _WITH_VALUE else "")
