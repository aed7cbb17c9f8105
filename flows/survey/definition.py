"""A survey as people write it (TOML), checked, with the line of what is wrong.

The version of a survey is a hash of its file: every response knows the words it answered.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from flows.survey.condition import Condition

KINDS = ("likert", "number", "slider", "yesno", "choice", "multi", "text")
NUMERIC = ("likert", "number", "slider", "yesno")
LONGEST_TEXT = 4096


class SurveyError(ValueError):
    """A survey definition that cannot be used: file, line, what is wrong and what would be right."""


@dataclass(frozen=True)
class Scale:
    """How an item is answered.

    `kind`: likert (whole numbers lo..hi, a button each), slider (0-100 and the like: tens as buttons, any number
    typed), number (typed), yesno (1/0), choice (one of `options`), multi (any of `options`), text (free).
    `labels`: language -> one label per point (or only for the two ends).
    """

    kind: str
    lo: float | None = None
    hi: float | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether answers are numbers."""
        return self.kind in NUMERIC


@dataclass(frozen=True)
class Safety:
    """An answer at or beyond a bound sends the help text at once."""

    at_or_below: float | None = None
    at_or_above: float | None = None


@dataclass(frozen=True)
class Item:
    """One question."""

    id: str
    text: Mapping[str, str]
    scale: Scale
    polarity: str | None = None
    ask_if: Condition | None = None
    safety: Safety | None = None

    def words(self, language: str) -> str:
        """The question in a language, in the first one it has where that one is missing."""
        return self.text.get(language) or next(iter(self.text.values()))


@dataclass(frozen=True)
class Target:
    """What is analysed: the mean of some items."""

    name: str
    items: tuple[str, ...]
    polarity: str


@dataclass(frozen=True)
class Window:
    """A stretch of the day with `count` prompts at random times in it."""

    start: time
    end: time
    count: int = 1


@dataclass(frozen=True)
class Schedule:
    """When people are asked, in their own timezone.

    `kind`: fixed (at `times`), random (within `windows`, at least `min_gap` apart), explicit (times the study gives).
    A prompt may be begun until `expires_after` its time; once begun it may be finished within `finish_within`.
    """

    kind: str
    times: tuple[time, ...] = ()
    windows: tuple[Window, ...] = ()
    min_gap: timedelta = timedelta(0)
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    quiet: tuple[time, time] | None = None
    expires_after: timedelta = timedelta(minutes=90)
    finish_within: timedelta = timedelta(minutes=30)
    reminder_after: timedelta | None = None
    length_days: int | None = None

    @property
    def beeps(self) -> int:
        """Prompts on a day."""
        return len(self.times) if self.kind == "fixed" else sum(window.count for window in self.windows)


@dataclass(frozen=True)
class Survey:
    """A survey: what is asked, how, when, and what is made of it."""

    name: str
    version: str
    title: Mapping[str, str]
    items: tuple[Item, ...]
    targets: tuple[Target, ...]
    schedule: Schedule
    timezone: str
    languages: tuple[str, ...]
    ends_on: date | None = None
    retention_days: int | None = None
    source: str = field(default="", repr=False, compare=False)

    @cached_property
    def by_id(self) -> Mapping[str, Item]:
        """Items by id."""
        return {item.id: item for item in self.items}

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of the items in their order."""
        return tuple(item.id for item in self.items)

    def target(self, name: str | None = None) -> Target:
        """A target by name; the first one without a name."""
        for target in self.targets:
            if name is None or target.name == name:
                return target
        names = ", ".join(target.name for target in self.targets)
        raise SurveyError(f"survey {self.name}: no target {name!r}; there are: {names}")

    def asked(self, item: Item, answers: Mapping[str, Any], day: int, beep: int) -> bool:
        """Whether an item is asked, given the answers so far."""
        return item.ask_if is None or item.ask_if.holds({**answers, "day": day, "beep": beep})


def version_of(source: str) -> str:
    """Version of a definition: a hash of its text, line ends aside."""
    return hashlib.sha256(source.replace("\r\n", "\n").encode()).hexdigest()[:12]


def shipped() -> tuple[str, ...]:
    """Names of the definitions that come with Moodflow."""
    folder = resources.files(__package__) / "definitions"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Survey:
    """Read a definition: the name of a shipped one or a file's path.

    Raises
    ------
    SurveyError
        There is no such definition, or it has errors (all of them listed, with their lines).
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        try:
            return parse(path.read_text(encoding="utf-8"), path.stem, str(path))
        except OSError as error:
            raise SurveyError(f"{path}: {error.strerror}; name one of {', '.join(shipped())} or a .toml file") from None
    return _shipped(str(name_or_path))


@lru_cache(maxsize=32)
def _shipped(name: str) -> Survey:
    if name not in shipped():
        raise SurveyError(f"no survey {name!r}: there are {', '.join(shipped())}; or give the path of a .toml file")
    return parse(
        (resources.files(__package__) / "definitions" / f"{name}.toml").read_text("utf-8"), name, f"{name}.toml"
    )


def parse(source: str, name: str, where: str = "") -> Survey:
    """Read a definition from its text; `name` and `where` are for the survey and for messages."""
    from flows.survey.reading import read  # noqa: PLC0415 - reading builds the classes above

    where = where or name
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise SurveyError(f"{where}: {error}") from None
    return read(data, source, name, where)
