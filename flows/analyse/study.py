"""A study's CSV file to the same typed frame the Sheet gives.

Read as published: any delimiter, decimal comma, encoding, `NA` for missing; columns by the names in use, those of
openESM (`id`, `day`, `beep`) among them. A file that cannot be a study raises; a cell that cannot be a number is
counted in the data-quality table and the rest of its row is kept.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from flows.analyse import guess
from flows.analyse.errors import StudyError, TargetError
from flows.analyse.frame import Frame, Schema, TargetSpec
from flows.analyse.quality import Quality

CHUNK = 1_000_000
MISSING = ("", "NA", "NaN", "nan", "N/A", "n/a", "null", "NULL", "None", "none", "-", ".", "#N/A", "#NULL!", "missing")


def read_frame(
    source: BinaryIO,
    name: str,
    *,
    target: str | None = "na",
    items: Sequence[str] | None = None,
    scale: tuple[float, float] | None = None,
    only: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Frame:
    """Read a study for analysis.

    Parameters
    ----------
    source
        The file, opened in binary and seekable.
    name
        What to call it in errors, usually its path.
    target
        Column to analyse. Where there is none of this name, the mean of `items` is taken. None: no target at all.
    items
        Items the target is made of; guessed where the target is the mean of some columns.
    scale
        Ends of the scale; guessed from the answers without it.
    only
        Read these item columns only, besides the keys and the target: for files of many millions of rows.
    now
        Answers later than this (naive, local) are in the future and are left out.

    Raises
    ------
    StudyError
        Not a table, no person column, or no number in it: file, row and column, and what would be right.
    TargetError
        Neither the target nor the items it could be made of are there.
    """
    quality = Quality()
    encoding = _encoding(source, name, quality)
    header, delimiter = _header(source, name, encoding)
    keys = guess.keys(header)
    if "person" not in keys:
        raise StudyError(
            f"{name}, row 1: no column for the person; one of {', '.join(guess.NAMES['person'])} is needed, "
            f"there are: {', '.join(header[:12])}"
        )
    wanted = _wanted(header, keys, target, items, only)
    raw = _read(source, name, encoding, delimiter, wanted, quality)
    data = _keyed(raw, keys, name, quality)
    answers = _items(raw, data, keys, quality)
    del raw
    data, numeric = pd.concat([data, pd.DataFrame(answers)], axis=1), list(answers)
    specs = () if target is None else (_target(data, numeric, target, items, scale, name, quality),)
    data = _ordered(_dated(data, now, quality), quality)
    schema = Schema(name, "", tuple(n for n in numeric if n not in {s.name for s in specs}), specs)
    for spec in specs:
        _off_scale(data, spec, quality)
    return Frame(data, quality.table(), _hash(data, schema), schema)


@dataclass(frozen=True, eq=False)
class Study:
    """A study to replay.

    Attributes
    ----------
    data
        One row per beep, `person`, `day`, `beep` (unique together: a second period's days follow the first's),
        `scheduled` and `answered_at` (naive, local, NaT where the source has none) and the items. The index is the
        row in the file, the header being row 1.
    items
        Columns of answers: neither scores made of others nor bookkeeping.
    complaints
        What was wrong in the file and what was done about it, a line each.
    """

    data: pd.DataFrame
    items: tuple[str, ...]
    complaints: list[str]


def read_study(path: Path) -> Study:
    """Read a study for a replay.

    Raises
    ------
    StudyError
        The file cannot be used: file, row and column, and what would be right.
    """
    with path.open("rb") as source:
        frame = read_frame(source, str(path), target=None)
    data = frame.data
    week = 7 * (int(np.ceil(data["day"].max() / 7)) + 1)
    table = pd.DataFrame(
        {
            "person": data["person"].astype(str),
            "day": data["day"] + week * data["period"],
            "beep": data["beep"],
            "scheduled": data["slot_at"].dt.tz_localize(None),
            "answered_at": data["answered_at"].dt.tz_localize(None),
        }
    )
    items = tuple(i for i in frame.schema.items if i not in {"na", "pa"})
    table[list(items)] = data[list(items)]
    table.index = pd.Index(data["line"], name="row")
    complaints = [
        f"{path}, {example or 'whole file'}: {rule} ({rows} rows); {action}"
        for rule, rows, action, example in frame.quality.itertuples(index=False)
    ]
    return Study(table, items, complaints)


def _encoding(source: BinaryIO, name: str, quality: Quality) -> str:
    """UTF-8 where it decodes, UTF-16 by its mark, Windows-1252 otherwise."""
    source.seek(0)
    start = source.read(1 << 16)
    if not start.strip():
        raise StudyError(f"{name}: the file is empty; expected a header row and rows of answers")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in start:
        raise StudyError(f"{name}: not a text table (it holds zero bytes); export it as CSV first")
    decoder = codecs.getincrementaldecoder("utf-8")()
    source.seek(0)
    try:
        while block := source.read(1 << 22):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        quality.note("encoding is not UTF-8", 1, "read as Windows-1252")
        return "cp1252"
    return "utf-8-sig"


def _header(source: BinaryIO, name: str, encoding: str) -> tuple[list[str], str]:
    """Column names and the delimiter that makes most of them."""
    source.seek(0)
    text = io.TextIOWrapper(source, encoding=encoding, errors="replace", newline="")
    line = ""
    while not line.strip():
        line = text.readline()
    text.detach()
    delimiter = max(",;\t|", key=line.count)
    header = next(iter(pd.read_csv(io.StringIO(line), sep=delimiter, header=None, dtype=str).values.tolist()))
    names = [str(h).strip() for h in header]
    if len(names) < 2:
        raise StudyError(f"{name}, row 1: one column only; expected columns parted by comma, semicolon or tab")
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise StudyError(f"{name}, row 1: column {', '.join(twice)} stands there twice; rename one")
    return names, delimiter


def _wanted(
    header: list[str], keys: dict[str, str], target: str | None, items: Sequence[str] | None, only: Sequence[str] | None
) -> list[str] | None:
    if only is None:
        return None
    wanted = {*keys.values(), target, *only, *(items or ())}
    return [h for h in header if h in wanted]


def _read(
    source: BinaryIO, name: str, encoding: str, delimiter: str, wanted: list[str] | None, quality: Quality
) -> pd.DataFrame:
    """All rows as text or numbers; lines with too many fields are left out and counted."""
    decimal = _decimal(source, encoding, delimiter)
    source.seek(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            # the text wrapper must not close a file that belongs to the caller
            text = io.TextIOWrapper(source, encoding=encoding, errors="replace", newline="")
            chunks = pd.read_csv(
                text, sep=delimiter, decimal=decimal, na_values=list(MISSING), keep_default_na=False,
                skipinitialspace=True, on_bad_lines="warn", chunksize=CHUNK, index_col=False,
                usecols=None if wanted is None else lambda c: str(c).strip() in wanted,
            )  # fmt: skip
            parts = [_small(chunk) for chunk in chunks]
            text.detach()
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise StudyError(f"{name}: {str(error).strip()}; expected rows of one table") from None
    lines = [int(n) for w in caught for n in re.findall(r"[Ss]kipping line (\d+)", str(w.message))]
    quality.note("row with too many fields", len(lines), "row left out", f"row {lines[0]}" if lines else "")
    if not parts or not sum(map(len, parts)):
        raise StudyError(f"{name}: a header and no rows; expected one row per beep")
    return pd.concat(parts, ignore_index=True)


def _small(chunk: pd.DataFrame) -> pd.DataFrame:
    """The same chunk with less memory: whole numbers as short as they go."""
    chunk.columns = [str(c).strip() for c in chunk.columns]
    for column in chunk.columns:
        if chunk[column].dtype == np.int64:
            chunk[column] = pd.to_numeric(chunk[column], downcast="integer")
    return chunk


def _decimal(source: BinaryIO, encoding: str, delimiter: str) -> str:
    """A comma, where it stands between digits and not between fields."""
    if delimiter == ",":
        return "."
    source.seek(0)
    sample = source.read(1 << 16).decode(encoding, errors="replace")
    comma = len(re.findall(r"(?<![\d,])\d+,\d+(?![\d,])", sample))
    point = len(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", sample))
    return "," if comma > point else "."


def _keyed(raw: pd.DataFrame, keys: dict[str, str], name: str, quality: Quality) -> pd.DataFrame:
    """Person, period, day, beep and times as columns of their types."""
    lines = np.arange(2, len(raw) + 2)
    person = raw[keys["person"]]
    nobody = person.isna().to_numpy()
    quality.mask("row without a person", nobody, lines, "row left out", keys["person"])
    if nobody.all():
        raise StudyError(f"{name}, column {keys['person']}: empty in every row; it must say whose answer a row is")
    codes, people = pd.factorize(person, sort=True)
    text = [str(int(p)) if isinstance(p, float) and p.is_integer() else str(p) for p in people]
    data = pd.DataFrame({"line": lines})
    data["person"] = pd.Categorical.from_codes(codes, categories=pd.Index(text, dtype=object))
    data["study"] = name
    data["period"] = 0
    if "period" in keys:
        data["period"] = pd.factorize(raw[keys["period"]], sort=True)[0]
    for column in ("day", "beep"):
        data[column] = _days(raw[keys[column]], lines, keys[column], quality) if column in keys else np.nan
    for column in ("slot_at", "answered_at"):
        data[column] = _times(raw[keys[column]], lines, keys[column], quality) if column in keys else pd.NaT
        data[column] = pd.to_datetime(data[column], utc=True)
    data["slot_at"] = data["slot_at"].fillna(data["answered_at"])
    data["timezone"], data["status"] = "UTC", "complete"
    data["keep"] = ~nobody
    return data


def _days(column: pd.Series, lines: np.ndarray, name: str, quality: Quality) -> np.ndarray:
    """A day or beep number; a column of dates becomes days since 1970."""
    values = guess.numbers(column)
    text = ~np.isfinite(values) & column.notna().to_numpy()
    if text.any() and text.sum() > 0.5 * column.notna().sum():
        dates = pd.to_datetime(column, errors="coerce", format="mixed")
        if dates.notna().sum() > 0.5 * column.notna().sum():
            days: np.ndarray = (dates - pd.Timestamp(0)).dt.days.to_numpy(dtype=float)
            return days
    quality.mask("text in a numeric column", text, lines, "cell read as empty", name)
    return values


def _times(column: pd.Series, lines: np.ndarray, name: str, quality: Quality) -> pd.Series:
    """Naive local times; what is no time is empty."""
    times = guess.times(column)
    bad = (times.isna() & column.notna()).to_numpy()
    quality.mask("unreadable time", bad, lines, "cell read as empty", name)
    return times


def _items(raw: pd.DataFrame, data: pd.DataFrame, keys: dict[str, str], quality: Quality) -> dict[str, np.ndarray]:
    """Every column of numbers by its name; one that is named like a key of the frame gets a mark."""
    lines, columns = data["line"].to_numpy(), {}
    for column in raw.columns:
        if column in keys.values() or guess.bookkeeping(column):
            continue
        values = guess.numbers(raw[column])
        given = raw[column].notna().to_numpy()
        text = given & ~np.isfinite(values)
        if not np.isfinite(values).any() or text.sum() > 0.5 * given.sum():
            quality.note("column of text", len(raw), "not analysed", f"column {column}")
            continue
        quality.mask("text in a numeric column", text, lines, "cell read as empty", column)
        columns[f"item_{column}" if column in data else column] = values
    return columns


def _target(
    data: pd.DataFrame,
    numeric: list[str],
    target: str,
    items: Sequence[str] | None,
    scale: tuple[float, float] | None,
    name: str,
    quality: Quality,
) -> TargetSpec:
    """Make the target a column; returns it with the items it is made of, and its scale."""
    unknown = [i for i in items or () if i not in numeric]
    if unknown:
        raise TargetError(f"{name}: no numeric column {', '.join(unknown)}; there are: {', '.join(numeric)}")
    if target not in numeric:
        if not items:
            raise TargetError(
                f"{name}: no numeric column {target!r}; name one with --target, or the items it is the mean of with "
                f"--items; there are: {', '.join(numeric)}"
            )
        data[target] = data[list(items)].mean(axis=1, skipna=False)
        quality.note("target computed", len(data), "mean of the items, all of them present", f"column {target}")
    made_of = tuple(items) if items else guess.constituents(data, numeric, target)
    if scale is None:
        lo, hi = guess.scale(data, [*made_of, target] if made_of else [target])
        quality.note("scale guessed from the answers", len(data), f"{lo:g} to {hi:g}", f"column {target}")
    else:
        lo, hi = scale
        if not lo < hi:
            raise TargetError(f"--scale {lo:g} {hi:g}: the lowest value must be below the highest")
    return TargetSpec(target, made_of, "negative" if target != "pa" else "positive", float(lo), float(hi))


def _dated(data: pd.DataFrame, now: datetime | None, quality: Quality) -> pd.DataFrame:
    """Leave out rows of nobody and of the future."""
    drop = ~data.pop("keep").to_numpy()
    if now is not None:
        future = (data[["slot_at", "answered_at"]].max(axis=1) > pd.Timestamp(now, tz="UTC")).to_numpy()
        quality.mask("answer in the future", future, data["line"].to_numpy(), "row left out", "timestamp")
        drop |= future
    data["response_id"] = data["line"]
    return data.loc[~drop].reset_index(drop=True) if drop.any() else data


def _ordered(data: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """Sort by person, period, day and beep, numbering them where the study does not; duplicates go."""
    data = guess.number_beeps(data, quality)
    order = ["person", "period", "day", "beep"]
    data = data.sort_values([*order, "slot_at", "line"], kind="stable").reset_index(drop=True)
    time = data["slot_at"].astype("int64").to_numpy()
    known = data["slot_at"].notna().to_numpy()
    code = data["person"].cat.codes.to_numpy()
    back = np.zeros(len(data), dtype=bool)
    back[1:] = known[1:] & known[:-1] & (code[1:] == code[:-1]) & (time[1:] < time[:-1])
    quality.mask("time runs against day and beep", back, data["line"].to_numpy(), "order by day and beep", "timestamp")
    again = data.duplicated(order).to_numpy()
    quality.mask("duplicate beep", again, data["line"].to_numpy(), "first one kept", "beep")
    return data.loc[~again].reset_index(drop=True) if again.any() else data


def _off_scale(data: pd.DataFrame, spec: TargetSpec, quality: Quality) -> None:
    """Empty targets and constituents that the scale cannot hold."""
    slack = 1e-6 * (spec.hi - spec.lo)
    for column in dict.fromkeys([spec.name, *spec.items]):
        values = data[column].to_numpy()
        off = (values < spec.lo - slack) | (values > spec.hi + slack)
        quality.mask("off the scale", off, data["line"].to_numpy(), "cell read as empty", column)
        if off.any():
            data[column] = np.where(off, np.nan, values)


def _hash(data: pd.DataFrame, schema: Schema) -> str:
    """Version of the data: a hash of the sorted hashes of its rows, and of the schema."""
    content = data.drop(columns=["line", "response_id", "study"])
    rows = np.sort(pd.util.hash_pandas_object(content, index=False).to_numpy())
    digest = hashlib.sha256(json.dumps([schema.items, repr(schema.targets)]).encode())
    digest.update(rows.tobytes())
    return digest.hexdigest()[:16]
