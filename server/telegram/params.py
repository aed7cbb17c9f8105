"""The parameters of a call, whichever of the four ways they came: query, form, multipart or JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from server.telegram.errors import BadRequest


@dataclass(frozen=True)
class Upload:
    """A file that came with a call, already on disk.

    `path` is relative to the files folder, `size` in bytes.
    """

    name: str
    content_type: str
    path: Path
    size: int
    digest: str


@dataclass
class Params:
    """Typed access to what was sent; wrong types are refused in Telegram's words."""

    values: dict[str, Any]
    uploads: dict[str, Upload] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            return value
        return orjson.dumps(value).decode()

    def integer(self, name: str, default: int = 0, low: int | None = None, high: int | None = None) -> int:
        """A number, held between `low` and `high`; anything else counts as `default`, as it does on Telegram."""
        value = self.values.get(name)
        try:
            number = default if value is None or value == "" else int(value)
        except (TypeError, ValueError, OverflowError):
            number = default
        if abs(number) > 2**53:  # the largest number Telegram's clients can hold
            number = default
        if low is not None and number < low:
            return low
        return high if high is not None and number > high else number

    def number(self, name: str, default: float | None = None) -> float:
        """A floating-point number; `BadRequest` where it is missing and has no default."""
        try:
            return float(self.values[name])
        except (KeyError, TypeError, ValueError):
            if default is None:
                raise BadRequest(f"{name} is empty") from None
            return default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean: true, 1 or yes in any case."""
        value = self.values.get(name)
        if value is None or value == "":
            return default
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1", "yes")

    def json(self, name: str, what: str = "") -> Any:
        """A JSON value, given as such or as text; None where missing."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise BadRequest(f"can't parse {what or name.replace('_', ' ')} JSON object") from None

    def array(self, name: str, what: str) -> list[Any]:
        """A JSON array; `BadRequest` for anything else, empty where missing."""
        value = self.json(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise BadRequest(f"expected an Array of {what}")
        return value

    def identifiers(self, name: str, what: str) -> list[int]:
        """An array of positive numbers, given as numbers or as text."""
        found = self.array(name, what)
        if not all(isinstance(item, int | str) and str(item).isdecimal() and int(item) < 2**53 for item in found):
            raise BadRequest("invalid message identifier specified")
        return [int(item) for item in found]

    def chat_id(self, name: str = "chat_id") -> int | str:
        """A chat's number, or the @name of a public one."""
        value = self.text(name).strip()
        if not value:
            raise BadRequest(f"{name} is empty")
        if value.startswith("@"):
            return value
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise BadRequest("chat not found")
        return int(value)

    def message_id(self, name: str = "message_id") -> int:
        """A message's number."""
        number = self.integer(name)
        if number <= 0:
            raise BadRequest("Message identifier is not specified")
        return number

    def user_id(self, name: str = "user_id") -> int:
        """A person's number."""
        number = self.integer(name)
        if number <= 0:
            raise BadRequest("invalid user_id specified")
        return number
