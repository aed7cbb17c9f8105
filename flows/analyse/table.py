"""A text table as published, in any encoding, delimiter and decimal mark, to columns of numbers, times and labels.

It is read piece by piece, and of a piece only what its cells mean is kept: a file of many millions of rows takes the
memory of its numbers, not of its text.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd

from flows.analyse import guess
from flows.analyse.errors import StudyError
from flows.analyse.quality import Quality

CHUNK = 1_000_000
SAMPLE = 1 << 16
MISSING = ("", "NA", "NaN", "nan", "N/A", "n/a", "null", "NULL", "None", "none", "-", ".", "#N/A", "#NULL!", "missing")

Kind = Literal["label", "day", "time", "number"]
"""What the cells of a column are."""


@dataclass(frozen=True)
class Layout:
    """How a table is written; `names` are its columns as the rows have them, those without a name numbered."""

    encoding: str
    delimiter: str
    decimal: str
    skip: int
    names: tuple[str, ...]

    @property
    def named(self) -> list[str]:
        """Columns the file gives a name."""
        return [n for n in self.names if not n.startswith(NAMELESS)]


NAMELESS = "\x00column "


@dataclass
class Tally:
    """Cells of a column: those not empty, those of them that are not what the column holds, and the first such row."""

    given: int = 0
    bad: int = 0
    first: int = 0

    def add(self, given: np.ndarray, good: np.ndarray, lines: np.ndarray) -> None:
        """Count the cells of a piece."""
        bad = given & ~good
        if not self.bad and bad.any():
            self.first = int(lines[int(np.argmax(bad))])
        self.given += int(np.count_nonzero(given))
        self.bad += int(np.count_nonzero(bad))


def layout(source: BinaryIO, name: str, quality: Quality) -> Layout:
    """Find out how a table is written.

    Raises
    ------
    StudyError
        Not a table: what it is instead, and what would be right.
    """
    encoding = _encoding(source, name, quality)
    source.seek(0)
    sample = codecs.getincrementaldecoder(encoding)("replace").decode(source.read(SAMPLE))
    lines = [line for line in re.split(r"\r\n|\r|\n", sample) if line.strip()]
    mark = re.fullmatch(r'"?sep=(.)"?', lines[0].strip()) if lines else None
    body = "\n".join(lines[1 if mark else 0 :])
    delimiter = mark[1] if mark else max(",;\t|", key=lambda d: len(_first(body, d)))
    header, rows = _first(body, delimiter), _rows(body, delimiter)
    if len(header) < 2:
        delimiter = " "
        header, rows = _first(body, delimiter), _rows(body, delimiter)
        if len(header) < 2 or not rows or not all(0 <= len(r) - len(header) <= 1 for r in rows):
            raise StudyError(f"{name}, row 1: one column only; expected columns parted by comma, semicolon or tab")
    names = _named(header, rows)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise StudyError(f"{name}, row 1: column {', '.join(twice)} stands there twice; rename one")
    return Layout(encoding, delimiter, _decimal(sample, delimiter), int(bool(mark)), tuple(names))


def _encoding(source: BinaryIO, name: str, quality: Quality) -> str:
    """UTF-8 where it decodes, UTF-16 by its mark or its zero bytes, else the likeliest code page."""
    source.seek(0)
    start = source.read(SAMPLE)
    if not start.strip():
        raise StudyError(f"{name}: the file is empty; expected a header row and rows of answers")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in start:
        low, high = start[::2], start[1::2]
        for encoding, zeros, others in (("utf-16-le", high, low), ("utf-16-be", low, high)):
            if zeros.count(0) > 0.2 * len(zeros) and not others.count(0):
                return encoding
        raise StudyError(f"{name}: not a text table (it holds zero bytes); export it as CSV first")
    decoder = codecs.getincrementaldecoder("utf-8")()
    source.seek(0)
    try:
        while block := source.read(1 << 22):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        encoding = _code_page(block)
        quality.note("encoding is not UTF-8", 1, f"read as {encoding}")
        return encoding
    return "utf-8-sig"


def _code_page(block: bytes) -> str:
    """Cyrillic where most letters beyond ASCII stand three or more in a row; Western European otherwise."""
    words = b"".join(re.findall(rb"[\xa8\xb8\xc0-\xff]{3,}", block))
    if 2 * len(words) < sum(b >= 0xC0 for b in block):
        return "cp1252"
    # most letters are small: KOI8-R has those where Windows-1251 has the capitals
    return "cp1251" if 2 * sum(b >= 0xE0 for b in words) >= len(words) else "koi8-r"


def _rows(body: str, delimiter: str) -> list[list[str]]:
    """Fields of the first whole rows after the header."""
    found = list(csv.reader(io.StringIO(body), delimiter=delimiter, skipinitialspace=True))
    return found[1 : max(2, min(len(found) - 1, 50))]


def _first(body: str, delimiter: str) -> list[str]:
    row = next(csv.reader(io.StringIO(body), delimiter=delimiter, skipinitialspace=True), [])
    return [field.strip() for field in row]


def _named(header: list[str], rows: list[list[str]]) -> list[str]:
    """Names of the columns as the rows have them: R writes row names without a header, others end rows with a mark."""
    if rows and all(len(r) == len(header) + 1 for r in rows):
        header = [*header, ""] if all(not r[-1].strip() for r in rows) else ["", *header]
    return [field or f"{NAMELESS}{k}" for k, field in enumerate(header)]


def _decimal(sample: str, delimiter: str) -> str:
    """A comma, where it stands between digits and not between fields."""
    if delimiter == ",":
        return "."
    comma = len(re.findall(r"(?<![\d,])\d+,\d+(?![\d,])", sample))
    point = len(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", sample))
    return "," if comma > point else "."


def read(
    source: BinaryIO, name: str, how: Layout, kinds: Mapping[str, Kind], quality: Quality
) -> tuple[dict[str, Any], dict[str, Tally]]:
    """Columns of a table by name, labels as `pandas.Categorical` and all others as arrays, with a tally of each.

    Parameters
    ----------
    kinds
        The columns to read and what they hold. A cell that is not what its column holds is empty and counted.

    Raises
    ------
    StudyError
        The file stops being a table, or has a header and no rows.
    """
    tallies = {c: Tally() for c in kinds}
    parts: dict[str, list[Any]] = {c: [] for c in kinds}
    done = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for chunk in _chunks(source, how, kinds):
                lines = np.arange(done + 2, done + 2 + len(chunk))
                done += len(chunk)
                for column, kind in kinds.items():
                    parts[column].append(_typed(chunk.pop(column), kind, tallies[column], lines))
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise StudyError(f"{name}: {str(error).strip()}; expected rows of one table") from None
    if any("Length of header" in str(w.message) for w in caught):
        quality.note("rows with more fields than the header", 1, "fields beyond the header left out", "row 2")
    left_out = [int(n) for w in caught for n in re.findall(r"[Ss]kipping line (\d+)", str(w.message))]
    quality.note(
        "row with too many fields", len(left_out), "row left out", f"row {left_out[0]}" if left_out else ""
    )  # fmt: skip
    if not done:
        raise StudyError(f"{name}: a header and no rows; expected one row per beep")
    return {c: _joined(parts.pop(c)) for c in kinds}, tallies


def _chunks(source: BinaryIO, how: Layout, kinds: Mapping[str, Kind]) -> Iterator[pd.DataFrame]:
    source.seek(0)
    # the text wrapper must not close a file that belongs to the caller
    text = io.TextIOWrapper(source, encoding=how.encoding, errors="replace", newline="")
    yield from pd.read_csv(
        text, sep=r"\s+" if how.delimiter == " " else how.delimiter, decimal=how.decimal, na_values=list(MISSING),
        keep_default_na=False, skipinitialspace=True, on_bad_lines="warn", chunksize=CHUNK, index_col=False,
        names=list(how.names), header=0, skiprows=how.skip, low_memory=False,
        dtype={c: str for c in how.names if kinds.get(c, "label") == "label"},
    )  # fmt: skip
    text.detach()


def _typed(cells: pd.Series, kind: Kind, tally: Tally, lines: np.ndarray) -> Any:
    """Cells of a piece as what they are."""
    given = cells.notna().to_numpy()
    if kind == "label":
        tally.add(given, given, lines)
        return cells.astype("category").array
    if kind == "time":
        times = guess.times(cells)
        tally.add(given, ~np.isnat(times), lines)
        return times
    values = guess.days(cells) if kind == "day" else guess.numbers(cells)
    tally.add(given, np.isfinite(values), lines)
    return values


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], pd.Categorical):
        return pd.api.types.union_categoricals(parts)
    return np.concatenate(parts)
