"""Rows of the Sheet to a typed frame. Every doubtful row is dealt with by a rule, and every rule that fired is counted.

The Sheet is what analysis reads, edits by hand included; so nothing is assumed about a cell that the bot wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

import numpy as np
import pandas as pd

from flows.analyse.errors import SheetError, TargetError
from flows.analyse.quality import Quality
from flows.survey.definition import Survey

KEYS = (
    "response_id", "prompt_id", "person", "study", "survey_version", "revision", "status", "day", "beep",
    "slot_at", "sent_at", "answered_at", "timezone",
)  # fmt: skip
TIMES = ("slot_at", "sent_at", "answered_at")


@dataclass(frozen=True)
class TargetSpec:
    """A scale to analyse: the mean of its items.

    `lo` and `hi` are the ends of the scale, `polarity` is "negative" where a high value is unpleasant.
    """

    name: str
    items: tuple[str, ...]
    polarity: str
    lo: float
    hi: float


@dataclass(frozen=True)
class Schema:
    """What the columns of a frame are."""

    study: str
    survey_version: str
    items: tuple[str, ...]
    targets: tuple[TargetSpec, ...]

    def target(self, name: str | None = None) -> TargetSpec:
        """A target by name; the first one without a name."""
        for target in self.targets:
            if name is None or target.name == name:
                return target
        raise TargetError(f"no target {name!r}; there are: {', '.join(t.name for t in self.targets) or 'none'}")


@dataclass(frozen=True, eq=False)
class Frame:
    """Typed rows of one study.

    Attributes
    ----------
    data
        One row per response or, where the source lists unanswered beeps, per beep: `person` (category), `study`,
        `response_id`, `period`, `day`, `beep`, `slot_at` and `answered_at` (UTC), `timezone`, `status`, `line` (row in
        the source), the items and the targets (float, nan = not answered). Sorted by person, day and beep; a target is
        nan unless all of its items are there.
    quality
        The data-quality table (see `flows.analyse.quality`).
    data_hash
        Version of the data: a hash of the sorted rows and the schema.
    schema
        What the columns are.
    """

    data: pd.DataFrame
    quality: pd.DataFrame
    data_hash: str
    schema: Schema


def schema_of(survey: Survey) -> Schema:
    """What a survey's answers look like as columns; items without numbers are left out."""
    items = tuple(item.id for item in survey.items if item.scale.numeric)
    targets = []
    for target in survey.targets:
        scales = [survey.by_id[i].scale for i in target.items]
        lo, hi = float(np.mean([s.lo for s in scales])), float(np.mean([s.hi for s in scales]))
        targets.append(TargetSpec(target.name, target.items, target.polarity, lo, hi))
    return Schema(survey.name, survey.version, items, tuple(targets))


def data_hash(rows: Sequence[Sequence[str]], schema: Schema) -> str:
    """Version of the data: equal rows in any order hash alike."""
    digest = hashlib.sha256(repr(schema).encode())
    for line in sorted("\x1f".join(map(str, row)) for row in rows):
        digest.update(line.encode())
        digest.update(b"\x1e")
    return digest.hexdigest()[:16]


def build_frame(
    rows: Sequence[Sequence[str]],
    survey: Survey,
    *,
    now: datetime | None = None,
    recorded: Mapping[str, Mapping[str, str]] | None = None,
) -> Frame:
    """Type the rows of the answers worksheet and apply the rules.

    Parameters
    ----------
    rows
        Rows with the header first, as the Sheet gives them: text, short rows allowed.
    survey
        The definition that says what the item columns are.
    now
        Time of reading (aware); answers later than it are in the future and lose their place in the analysis.
    recorded
        What the bot itself wrote: response id -> item -> cell. Cells of the Sheet that differ were edited by hand;
        they win, and are counted.

    Raises
    ------
    SheetError
        The header lacks a column that nothing can stand in for.
    """
    schema, quality = schema_of(survey), Quality()
    raw = _raw(rows, schema, quality)
    raw = _latest(raw, quality)
    data = _typed(raw, schema, quality)
    data = _plausible(data, now, quality)
    _scales(data, survey, schema, quality)
    _edited(raw, recorded, schema, quality)
    _versions(data, schema, quality)
    _clock_changes(data, quality)
    data = finish(data, schema, quality)
    return Frame(data, quality.table(), data_hash(rows, schema), schema)


def _raw(rows: Sequence[Sequence[str]], schema: Schema, quality: Quality) -> pd.DataFrame:
    """Text cells under their header, one row each, blank rows gone."""
    header = [str(name).strip() for name in rows[0]] if rows else list(KEYS)
    missing = [k for k in ("response_id", "person", "slot_at", "answered_at") if k not in header]
    if missing:
        raise SheetError(
            f"answers worksheet, row 1: no column {', '.join(missing)}; restore the header or run `moodflow doctor`"
        )
    width = len(header)
    body = [[str(c) for c in row[:width]] + [""] * (width - len(row)) for row in rows[1:]]
    cells = pd.DataFrame(body, columns=header, dtype=object)
    frame: pd.DataFrame = cells.loc[:, ~cells.columns.duplicated()]
    frame["line"] = np.arange(2, len(frame) + 2)
    lines = frame["line"].to_numpy()
    for column in [*KEYS, *schema.items]:
        if column not in frame:
            quality.note(f"column {column} missing", len(frame), "read as empty", "row 1")
            frame[column] = ""
    text = frame[list(KEYS)].apply(lambda c: c.str.strip())
    frame[list(KEYS)] = text
    blank = ((text["response_id"] == "") | (text["person"] == "")).to_numpy()
    quality.mask("row without response or person", blank, lines, "row left out", "response_id")
    kept: pd.DataFrame = frame.loc[~blank].reset_index(drop=True)
    return kept


def _latest(raw: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """The highest revision of each response; of equal ones the lower row, as a person adding a row by hand means it."""
    revision = pd.to_numeric(raw["revision"], errors="coerce").fillna(0)
    order = raw.assign(_revision=revision).sort_values(["_revision", "line"], kind="stable")
    key = order["prompt_id"].where(order["prompt_id"] != "", order["response_id"])
    old = key.duplicated(keep="last") | order["response_id"].duplicated(keep="last")
    touched = old.reindex(raw.index).to_numpy()
    quality.mask("response given twice", touched, raw["line"].to_numpy(), "latest revision kept", "response_id")
    return raw.loc[~touched].reset_index(drop=True)


def _typed(raw: pd.DataFrame, schema: Schema, quality: Quality) -> pd.DataFrame:
    """Columns with their types; a cell that is not what its column holds is read as empty."""
    lines = raw["line"].to_numpy()
    data = pd.DataFrame({"person": raw["person"], "study": raw["study"], "response_id": raw["response_id"]})
    data["survey_version"], data["status"], data["line"] = raw["survey_version"], raw["status"], lines
    data["period"] = np.zeros(len(raw), dtype=np.int64)
    for column in TIMES:
        data[column] = pd.to_datetime(raw[column], utc=True, errors="coerce", format="ISO8601")
        bad = (data[column].isna() & (raw[column] != "")).to_numpy()
        quality.mask("unreadable time", bad, lines, "cell read as empty", column)
    for column in ("day", "beep"):
        data[column] = _number(raw[column], lines, column, quality)
    for column in schema.items:
        data[column] = _number(raw[column], lines, column, quality)
    zones = raw["timezone"].to_numpy()
    unknown = ~np.isin(zones.astype(str), sorted(available_timezones()))
    quality.mask("unknown timezone", unknown, lines, "UTC assumed", "timezone")
    data["timezone"] = np.where(unknown, "UTC", zones)
    return data


def _number(cells: pd.Series, lines: np.ndarray, column: str, quality: Quality) -> np.ndarray:
    """Numbers of a text column; a decimal comma, which some locales of Sheets write, is understood and counted."""
    text = cells.str.strip()
    comma = text.str.fullmatch(r"[+-]?\d+,\d+").to_numpy(dtype=bool)
    quality.mask("decimal comma", comma, lines, "read as a decimal point", column)
    numbers = pd.to_numeric(text.where(~comma, text.str.replace(",", ".")).replace("", None), errors="coerce")
    values = np.asarray(numbers, dtype=float)
    bad = ~np.isfinite(values) & (text != "").to_numpy()
    quality.mask("text in a numeric column", bad, lines, "cell read as empty", column)
    return np.where(np.isfinite(values), values, np.nan)


def _plausible(data: pd.DataFrame, now: datetime | None, quality: Quality) -> pd.DataFrame:
    """Leave out answers without a place in time or from the future; count answers before their own prompt."""
    lines = data["line"].to_numpy()
    data["slot_at"] = data["slot_at"].fillna(data["sent_at"]).fillna(data["answered_at"])
    lost = data["slot_at"].isna().to_numpy()
    quality.mask("no time at all", lost, lines, "row left out", "slot_at")
    early = (data["answered_at"] < data["slot_at"] - pd.Timedelta(minutes=1)).to_numpy()
    quality.mask("answered before its prompt", early, lines, "kept; latency not used", "answered_at")
    drop = lost
    if now is not None:
        future = (data[["slot_at", "answered_at"]].min(axis=1) > pd.Timestamp(now)).to_numpy()
        quality.mask("answer in the future", future, lines, "row left out", "answered_at")
        drop = lost | future
    return data.loc[~drop].reset_index(drop=True)


def _scales(data: pd.DataFrame, survey: Survey, schema: Schema, quality: Quality) -> None:
    """Empty the cells that no answer of the scale can hold."""
    lines = data["line"].to_numpy()
    for name in schema.items:
        scale = survey.by_id[name].scale
        values = data[name].to_numpy()
        off = (values < scale.lo) | (values > scale.hi)
        quality.mask("off the scale", off, lines, "cell read as empty", name)
        data[name] = np.where(off, np.nan, values)


def _edited(
    raw: pd.DataFrame, recorded: Mapping[str, Mapping[str, str]] | None, schema: Schema, quality: Quality
) -> None:
    """Count what differs from what the bot wrote."""
    if recorded is None:
        return
    lines, ids = raw["line"].to_numpy(), raw["response_id"].to_numpy()
    known = np.array([i in recorded for i in ids], dtype=bool)
    quality.mask("row added by hand", ~known, lines, "kept", "response_id")
    quality.note("row removed by hand", len(set(recorded) - set(ids)), "left out")
    for name in schema.items:
        wrote = [recorded[i].get(name, "") if k else "" for i, k in zip(ids, known, strict=True)]
        changed = known & (np.array(wrote, dtype=str) != raw[name].str.strip().to_numpy(dtype=str))
        quality.mask("cell edited by hand", changed, lines, "the Sheet wins", name)


def _versions(data: pd.DataFrame, schema: Schema, quality: Quality) -> None:
    """Count answers to other versions of the survey: kept, as items keep their ids and scales are checked."""
    other = (data["survey_version"] != schema.survey_version).to_numpy() & (data["survey_version"] != "").to_numpy()
    quality.mask("another version of the survey", other, data["line"].to_numpy(), "kept: items by id", "survey_version")


def _clock_changes(data: pd.DataFrame, quality: Quality) -> None:
    """Count answers on days on which the person's clocks changed: times are UTC, so pairs and order stand."""
    touched = np.zeros(len(data), dtype=bool)
    for zone, index in data.groupby("timezone").indices.items():
        local = data["slot_at"].iloc[index].dt.tz_convert(str(zone))
        day = local.dt.normalize()
        touched[index] = ((day + pd.DateOffset(days=1)) - day != pd.Timedelta(hours=24)).to_numpy()
    quality.mask("day with a clock change", touched, data["line"].to_numpy(), "kept: order by UTC", "slot_at")


def finish(data: pd.DataFrame, schema: Schema, quality: Quality) -> pd.DataFrame:
    """Number days and beeps where the source does not, sort, and add the targets."""
    data = _numbered(data, quality)
    data["person"] = data["person"].astype("category")
    data = data.sort_values(["person", "period", "day", "beep", "slot_at"], kind="stable").reset_index(drop=True)
    again = data.duplicated(["person", "period", "day", "beep"]).to_numpy()
    quality.mask("duplicate beep", again, data["line"].to_numpy(), "first one kept", "beep")
    data = data.loc[~again].reset_index(drop=True)
    partial = (data["status"] == "partial").to_numpy()
    quality.mask("partial response", partial, data["line"].to_numpy(), "targets with all items only", "status")
    for target in schema.targets:
        data[target.name] = data[list(target.items)].mean(axis=1, skipna=False)
    return data


def _numbered(data: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """Days counted from the person's first local date and beeps within the day, where the source has none."""
    missing = (data["day"].isna() | data["beep"].isna()).to_numpy()
    quality.mask("no day or beep number", missing, data["line"].to_numpy(), "numbered by time", "day")
    if missing.any():
        people = data.loc[missing, "person"].unique()
        redo = data["person"].isin(people).to_numpy()
        part = data.loc[redo].sort_values(["person", "slot_at"], kind="stable")
        local = pd.Series(index=part.index, dtype="int64")
        for zone, index in part.groupby("timezone").groups.items():
            dates = part.loc[index, "slot_at"].dt.tz_convert(str(zone)).dt.tz_localize(None)
            local.loc[index] = (dates.dt.normalize() - pd.Timestamp(0)).dt.days
        day = local - local.groupby(part["person"]).transform("min") + 1
        beep = part.groupby([part["person"], day]).cumcount() + 1
        data.loc[part.index, "day"] = day.astype(float)
        data.loc[part.index, "beep"] = beep.astype(float)
    return data.astype({"day": "int64", "beep": "int64"})
