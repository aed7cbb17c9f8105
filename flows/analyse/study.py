"""A study's CSV file to the same typed frame the Sheet gives.

Read as published: any delimiter, decimal comma, encoding, `NA` for missing; columns by the names in use, those of
openESM (`id`, `day`, `beep`) among them. A file that cannot be a study raises; a cell that cannot be a number is
counted in the data-quality table and the rest of its row is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from flows.analyse import guess, table
from flows.analyse.errors import StudyError, TargetError
from flows.analyse.frame import Frame, Schema, TargetSpec
from flows.analyse.quality import Quality
from flows.analyse.table import Kind, Tally


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
    how = table.layout(source, name, quality)
    asked = {*(items or ()), *([target] if target else [])}
    keys = {key: [c for c in columns if c not in asked] for key, columns in guess.keys(how.named).items()}
    if not keys["person"]:
        raise StudyError(
            f"{name}, row 1: no column for the person; one of {', '.join(guess.NAMES['person'])} is needed, "
            f"there are: {', '.join(how.named[:12])}"
        )
    columns, tallies = table.read(source, name, how, _kinds(how.named, keys, asked, only), quality)
    data = _keyed(columns, keys, tallies, name, quality)
    numeric = _items(columns, tallies, len(data), quality)
    for column in numeric:
        data[f"item_{column}" if column in data else column] = columns.pop(column)
    numeric = [c for c in data if c not in KEYS]
    _missing_codes(data, numeric, quality)
    specs = () if target is None else (_target(data, numeric, target, items, scale, name, quality, columns),)
    data = _ordered(_dated(data, now, name, quality), quality, specs)
    schema = Schema(name, "", tuple(n for n in numeric if n not in {s.name for s in specs}), specs)
    return Frame(data, quality.table(), _hash(data, schema), schema)


KEYS = (
    "line", "person", "study", "period", "day", "beep", "slot_at", "answered_at", "timezone", "status", "keep",
    "response_id",
)  # fmt: skip


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


def _kinds(
    header: Sequence[str], keys: Mapping[str, Sequence[str]], asked: set[str], only: Sequence[str] | None
) -> dict[str, Kind]:
    """The columns to read and what they hold; of several that may be a key the first, of times all."""
    kinds: dict[str, Kind] = {}
    numbered: Mapping[str, Kind] = {"person": "label", "period": "label", "day": "day", "beep": "number"}
    for key, kind in numbered.items():
        kinds |= dict.fromkeys(keys[key][:1], kind)
    kinds |= {c: "time" for key in guess.TIMES for c in keys[key] if c not in kinds}
    wanted = asked | (set(only) if only is not None else {h for h in header if not guess.bookkeeping(h)})
    return kinds | {h: "number" for h in header if h in wanted and h not in kinds}


def _keyed(
    columns: dict[str, Any],
    keys: Mapping[str, Sequence[str]],
    tallies: Mapping[str, Tally],
    name: str,
    quality: Quality,
) -> pd.DataFrame:
    """Person, period, day, beep and times as columns of their types; what was read for them is taken from `columns`."""
    person = keys["person"][0]
    people = _people(columns.pop(person))
    lines = np.arange(2, len(people) + 2)
    nobody = people.codes < 0
    quality.mask("row without a person", nobody, lines, "row left out", person)
    if nobody.all():
        raise StudyError(f"{name}, column {person}: empty in every row; it must say whose answer a row is")
    data = pd.DataFrame({"line": lines, "person": people})
    data["study"] = _same(name, len(data))
    data["period"] = _people(columns.pop(keys["period"][0])).codes if keys["period"] else np.int8(0)
    for key in ("day", "beep"):
        column = next(iter(keys[key]), None)
        data[key] = np.nan if column is None else columns.pop(column)
        if column is not None:
            _told(tallies[column], "text in a numeric column", column, quality)
    for key in guess.TIMES:
        column = _clock(keys[key], columns, tallies, quality)
        times = np.full(len(data), np.datetime64("NaT", "ns")) if column is None else columns[column]
        data[key] = pd.DatetimeIndex(times).tz_localize("UTC")
    for column in {c for key in guess.TIMES for c in keys[key]}:
        columns.pop(column, None)
    data["slot_at"] = data["slot_at"].fillna(data["answered_at"])
    data["timezone"], data["status"] = _same("UTC", len(data)), _same("complete", len(data))
    data["keep"] = ~nobody
    return data


def _same(word: str, n: int) -> pd.Categorical:
    return pd.Categorical.from_codes(np.zeros(n, dtype=np.int8), categories=pd.Index([word], dtype=object))


def _people(labels: pd.Categorical) -> pd.Categorical:
    """Labels without blanks around them, numbers in the order of numbers; 7 and 7.0 are one."""
    names = [re.sub(r"^(-?\d+)\.0+$", r"\1", str(c).strip()) for c in labels.categories]
    ordered = sorted(set(names))
    if all(re.fullmatch(r"-?\d+(\.\d+)?", n) for n in ordered):
        ordered.sort(key=float)
    place = {n: k for k, n in enumerate(ordered)}
    to = np.array([*(place[n] for n in names), -1])
    return pd.Categorical.from_codes(to[labels.codes], categories=pd.Index(ordered, dtype=object))


def _told(tally: Tally, rule: str, column: str, quality: Quality) -> None:
    quality.note(rule, tally.bad, "cell read as empty", f"row {tally.first}, column {column}")


def _clock(
    candidates: Sequence[str], columns: Mapping[str, Any], tallies: Mapping[str, Tally], quality: Quality
) -> str | None:
    """The first of the columns that holds times; cells of it that are none are told, or that no column does."""
    for column in candidates:
        if column in columns and tallies[column].given and tallies[column].bad <= 0.5 * tallies[column].given:
            _told(tallies[column], "unreadable time", column, quality)
            return column
    for column in candidates[:1]:
        if column in columns and tallies[column].given:
            _told(tallies[column], "unreadable time", column, quality)
    return None


def _items(columns: Mapping[str, Any], tallies: Mapping[str, Tally], rows: int, quality: Quality) -> list[str]:
    """Names of the columns of numbers; cells of them that are none are told, and the columns that are not analysed."""
    numeric = []
    for column in columns:
        tally = tallies[column]
        if not tally.given:
            quality.note("empty column", rows, "not analysed", f"column {column}")
        elif tally.bad > 0.5 * tally.given:
            quality.note("column of text", rows, "not analysed", f"column {column}")
        else:
            _told(tally, "text in a numeric column", column, quality)
            numeric.append(column)
    return numeric


def _missing_codes(data: pd.DataFrame, numeric: Sequence[str], quality: Quality) -> None:
    """Empty the cells that hold a code for "not answered"."""
    for column in numeric:
        values = data[column].to_numpy()
        coded = guess.missing_code(values)
        quality.mask("code for a missing answer", coded, data["line"].to_numpy(), "cell read as empty", column)
        if coded.any():
            data[column] = np.where(coded, np.nan, values)


def _target(
    data: pd.DataFrame,
    numeric: list[str],
    target: str,
    items: Sequence[str] | None,
    scale: tuple[float, float] | None,
    name: str,
    quality: Quality,
    unread: Container[str],
) -> TargetSpec:
    """Make the target a column, without what its scale cannot hold; returns it with its items and its scale."""
    unknown = [i for i in items or () if i not in numeric]
    if unknown:
        raise TargetError(f"{name}: no numeric column {', '.join(unknown)}; there are: {', '.join(numeric)}")
    if target not in numeric and not items:
        empty = " (that column holds no numbers)" if target in unread else ""
        raise TargetError(
            f"{name}: no numeric column {target!r}{empty}; name one with --target, or the items it is the mean of with "
            f"--items; there are: {', '.join(numeric)}"
        )
    given = target in numeric
    made_of = tuple(items or guess.constituents(data, numeric, target))
    alike = not _mixed_scales(data, [*made_of, *([target] if given else [])], None if given else quality)
    answered = [*made_of, *([target] if given else [])] if alike or not given else [target]
    lo, hi = _scale(data, answered, scale, target, quality)
    for column in answered:
        _off_scale(data, column, (lo, hi), quality)
    if not given:
        data[target] = data[list(made_of)].mean(axis=1, skipna=False)
        quality.note("target computed", len(data), "mean of the items, all of them present", f"column {target}")
    return TargetSpec(target, made_of, "negative" if target != "pa" else "positive", lo, hi)


def _scale(
    data: pd.DataFrame, columns: Sequence[str], scale: tuple[float, float] | None, target: str, quality: Quality
) -> tuple[float, float]:
    """Ends of the scale: those given, or guessed."""
    if scale is None:
        lo, hi = guess.scale(data, columns)
        quality.note("scale guessed from the answers", len(data), f"{lo:g} to {hi:g}", f"column {target}")
        return lo, hi
    if not scale[0] < scale[1]:
        raise TargetError(f"--scale {scale[0]:g} {scale[1]:g}: the lowest value must be below the highest")
    return float(scale[0]), float(scale[1])


MIXED = 2.5
"""Ratio of the widths of two scales from which they cannot be one scale whose ends nobody chose."""


def _mixed_scales(data: pd.DataFrame, columns: Sequence[str], quality: Quality | None) -> bool:
    """Whether columns were answered on different scales, told where a mean is taken over them."""
    ends = {i: guess.scale(data, [i]) for i in columns}
    widths = [hi - lo for lo, hi in ends.values()]
    if max(widths) <= MIXED * min(widths):
        return False
    if quality is not None:
        told = ", ".join(f"{i} {lo:g} to {hi:g}" for i, (lo, hi) in ends.items())
        quality.note("items on different scales", len(data), "mean taken as they are; the widest counts most", told)
    return True


def _off_scale(data: pd.DataFrame, column: str, ends: tuple[float, float], quality: Quality) -> None:
    """Empty the cells of a column that the scale cannot hold."""
    slack = 1e-6 * (ends[1] - ends[0])
    values = data[column].to_numpy()
    off = (values < ends[0] - slack) | (values > ends[1] + slack)
    quality.mask("off the scale", off, data["line"].to_numpy(), "cell read as empty", column)
    if off.any():
        data[column] = np.where(off, np.nan, values)


def _dated(data: pd.DataFrame, now: datetime | None, name: str, quality: Quality) -> pd.DataFrame:
    """Leave out rows of nobody and of the future."""
    drop = ~data.pop("keep").to_numpy()
    if now is not None:
        future = (data[["slot_at", "answered_at"]].max(axis=1) > pd.Timestamp(now, tz="UTC")).to_numpy()
        quality.mask("answer in the future", future, data["line"].to_numpy(), "row left out", "timestamp")
        drop |= future
        if drop.all():
            raise StudyError(
                f"{name}: every row lies in the future (after {now:%Y-%m-%d %H:%M}); where dates were shifted to "
                "protect people, leave the columns of times out"
            )
    data["response_id"] = data["line"]
    return data.loc[~drop].reset_index(drop=True) if drop.any() else data


def _ordered(data: pd.DataFrame, quality: Quality, specs: Sequence[TargetSpec]) -> pd.DataFrame:
    """Sort by person, period, day and beep, numbering them where the study does not; duplicates go."""
    data = guess.number_beeps(data, quality)
    order = ["person", "period", "day", "beep"]
    if guess.ascending([data["person"].cat.codes.to_numpy(), *(data[c].to_numpy() for c in order[1:])]):
        return _told_backwards(data, quality)
    data["empty"] = data[[s.name for s in specs]].isna().any(axis=1) if specs else False
    data = data.sort_values([*order, "empty", "slot_at", "line"], kind="stable").reset_index(drop=True)
    del data["empty"]
    again = data.duplicated(order).to_numpy()
    quality.mask("duplicate beep", again, data["line"].to_numpy(), "first answered one kept", "beep")
    return _told_backwards(data.loc[~again].reset_index(drop=True) if again.any() else data, quality)


def _told_backwards(data: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """Count the rows whose time lies before that of the row before them."""
    time = data["slot_at"].to_numpy(dtype="datetime64[ns]")
    code = data["person"].cat.codes.to_numpy()
    back = np.zeros(len(data), dtype=bool)
    back[1:] = (code[1:] == code[:-1]) & (time[1:] < time[:-1])
    quality.mask("time runs against day and beep", back, data["line"].to_numpy(), "order by day and beep", "timestamp")
    return data


def _hash(data: pd.DataFrame, schema: Schema) -> str:
    """Version of the data: a hash of the sorted hashes of its rows, and of the schema."""
    content = data.drop(columns=["line", "response_id", "study"])
    rows = np.sort(pd.util.hash_pandas_object(content, index=False).to_numpy())
    digest = hashlib.sha256(json.dumps([schema.items, repr(schema.targets)]).encode())
    digest.update(rows.tobytes())
    return digest.hexdigest()[:16]
