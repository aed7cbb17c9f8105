"""What published files leave unsaid: which column is what, on which scale, made of which items."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from flows.analyse.quality import Quality

NAMES: dict[str, tuple[str, ...]] = {
    "person": ("person", "id", "pid", "participant", "participant_id", "participantid", "subject", "subject_id",
               "subjectid", "subj", "subjno", "uuid", "user", "user_id", "userid", "respondent", "respondent_id", "ppt",
               "ppid", "ppnr", "connectionid"),
    "period": ("period", "wave", "burst"),
    "day": ("day", "day_nr", "daynr", "dayno", "day_number", "day_n", "dayvar", "study_day", "date"),
    "beep": ("beep", "beep_nr", "beepnr", "beepno", "beep_number", "beepvar", "obs_n_day", "prompt", "signal", "obs",
             "occasion"),
    "slot_at": ("scheduled", "beep_time", "scheduled_at", "scheduled_time", "slot_at", "prompt_time", "time_prompt",
                "notification_time", "timestamp_issued", "issued", "sent"),
    "answered_at": ("timestamp", "answered_at", "answered", "response", "response_time", "timestamp_answer",
                    "completed", "completion_time", "time_survey", "start", "start_time", "submitted", "recorded_date",
                    "datetime", "date_time", "time"),
}  # fmt: skip
"""Names in use for the key columns, in order of preference; compared without case, a blank, point or dash as `_`."""

TIMES = ("slot_at", "answered_at")

BOOKKEEPING = {"counter", "is_evening", "weekday", "phase", "row", "index", "duration", "survey_version", "study"}
"""Columns of numbers that are no answers."""

SCALES = ((0, 1), (1, 5), (0, 4), (1, 6), (0, 5), (1, 7), (0, 6), (1, 9), (1, 10), (0, 10), (-3, 3), (1, 100), (0, 100))
"""Scales in use; the smallest that holds all answers is taken."""


def keys(header: Sequence[str]) -> dict[str, list[str]]:
    """Key column -> the columns of this file that may be it, the likeliest first."""
    by_name = {_plain(h): h for h in reversed(header)}
    return {key: [by_name[n] for n in names if n in by_name] for key, names in NAMES.items()}


def _plain(column: str) -> str:
    return re.sub(r"[\s.\-]+", "_", column.strip().lower())


def bookkeeping(column: str) -> bool:
    """Whether a column counts or labels rows instead of holding answers."""
    return _plain(column) in BOOKKEEPING or _plain(column) in {n for names in NAMES.values() for n in names}


def numbers(column: pd.Series) -> np.ndarray:
    """Numbers of a column, nan where there is none, infinities included."""
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        text = column.astype("string").str.strip()
        text = text.where(~text.str.fullmatch(r"[+-]?\d+,\d+").fillna(False), text.str.replace(",", ".", regex=False))
        column = pd.to_numeric(text, errors="coerce")
    values: np.ndarray = column.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def days(column: pd.Series) -> np.ndarray:
    """Day numbers of a column; a column of dates becomes days since 1970."""
    values = numbers(column)
    given = int(column.notna().sum())
    if np.isfinite(values).sum() >= 0.5 * given:
        return values
    dates = times(column)
    there = ~np.isnat(dates)
    if there.sum() <= 0.5 * given:
        return values
    whole = dates.astype("datetime64[D]").astype(np.int64)
    return np.where(there, whole, np.nan)


def times(column: pd.Series) -> np.ndarray:
    """Times of a column, naive and local, NaT where there is none.

    Seconds or milliseconds since 1970 are understood, plain numbers and hours without a date are not. Of two numbers
    that may be day or month the first is the day where points part them, or where it cannot be a month anywhere.
    """
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        size = np.nanmedian(values) if np.isfinite(values).any() else np.nan
        unit = "s" if 5e8 < size < 5e9 else "ms" if 5e11 < size < 5e12 else None
        if unit is None:
            return np.full(len(values), np.datetime64("NaT", "ns"))
        return _plain_times(pd.to_datetime(pd.Series(values), unit=unit, errors="coerce"))
    text = column.astype("string").str.strip().str.replace(r"(Z|[+-]\d\d:?\d\d)$", "", regex=True)
    text = text.mask(text.str.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?").fillna(False))
    parsed = pd.to_datetime(text, errors="coerce", format="ISO8601")
    if parsed.notna().sum() < 0.5 * text.notna().sum():
        parsed = _parsed(text, day_first=_day_first(text))
    return _plain_times(parsed)


def _plain_times(column: pd.Series) -> np.ndarray:
    found: np.ndarray = column.to_numpy(dtype="datetime64[ns]")
    return found


def _parsed(text: pd.Series, *, day_first: bool) -> pd.Series:
    """Times in the format of the first, the others one by one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about formats that are not all alike
        parsed: pd.Series = pd.to_datetime(text, errors="coerce", dayfirst=day_first)
        rest = parsed.isna() & text.notna()
        if rest.any():
            parsed[rest] = pd.to_datetime(text[rest], errors="coerce", format="mixed", dayfirst=day_first)
    return parsed


def _day_first(text: pd.Series) -> bool:
    parts = text.str.extract(r"^(\d{1,2})([./-])(\d{1,2})[./-]\d{2,4}")
    first, second = (pd.to_numeric(parts[k]) for k in (0, 2))
    if (second > 12).sum() > (first > 12).sum():
        return False
    return bool((first > 12).any() or (parts[1] == ".").any())


def constituents(data: pd.DataFrame, numeric: Sequence[str], target: str) -> tuple[str, ...]:
    """The columns whose mean the target is, found by regression and checked; none where there are none."""
    others = [n for n in numeric if n != target]
    y = data[target].to_numpy()
    share = {n: np.isfinite(data[n].to_numpy()[np.isfinite(y)]).mean() if np.isfinite(y).any() else 0 for n in others}
    others = [n for n in others if share[n] > 0.9]
    if not others:
        return ()
    x = data[others].to_numpy()
    rows = np.flatnonzero(np.isfinite(y) & np.isfinite(x).all(axis=1))
    if len(rows) < 2 * len(others) + 10:
        return ()
    rows = rows[:: max(1, len(rows) // 5000)]
    weight = np.linalg.lstsq(np.column_stack([x[rows], np.ones(len(rows))]), y[rows], rcond=None)[0][:-1]
    chosen = tuple(n for n, w in zip(others, weight, strict=True) if w > 0.5 * weight.max())
    exact = np.abs(data.loc[rows, list(chosen)].mean(axis=1).to_numpy() - y[rows]) < 1e-3 * max(np.ptp(y[rows]), 1e-9)
    return chosen if weight.max() > 0 and exact.mean() > 0.99 else ()


def scale(data: pd.DataFrame, columns: Sequence[str]) -> tuple[float, float]:
    """The smallest scale in use that holds all answers, their own range where none does."""
    values = data[list(columns)].to_numpy()
    if not np.isfinite(values).any():
        return 0.0, 1.0
    lo, hi = float(np.nanmin(values)), float(np.nanmax(values))
    # a scale of two answers shows both; a lone 1 is the floor of a longer one
    fitting = [s for s in SCALES if s[0] <= lo and hi <= s[1] and (s != (0, 1) or lo < 1)]
    if not fitting:
        return (lo, hi) if lo < hi else (lo - 0.5, lo + 0.5)
    best = min(fitting, key=lambda s: (s[1] - s[0], s[0] != np.floor(lo)))
    return float(best[0]), float(best[1])


CODES = (*(-k for k in (7, 8, 9, 66, 77, 88, 97, 98, 99, 997, 998, 999, 9999)), 99, 999, 9999)
"""Numbers that stand for "not answered" in files where nothing else does."""

ENOUGH = 50
"""Answers on a scale beside which a positive number is taken for such a code."""


def missing_code(values: np.ndarray) -> np.ndarray:
    """Which values are codes for "not answered": far off a scale in use that holds all others; shape as `values`."""
    nothing = np.zeros(len(values), dtype=bool)
    if not ((values < -6) | (values > 98)).any():
        return nothing
    coded = np.isin(values, CODES)
    others = values[np.isfinite(values) & ~coded]
    if not coded.any() or not len(others):
        return nothing
    fitting = [s for s in SCALES if s[0] <= others.min() and others.max() <= s[1]]
    ends = min(fitting, key=lambda s: s[1] - s[0], default=None)
    if ends is None or (ends[1] > 10 and (values[coded] > 0).any()):
        return nothing
    away = np.maximum(ends[0] - values, values - ends[1])
    found: np.ndarray = coded & (away > (ends[1] - ends[0]) / 2) & ((values < 0) | (len(others) >= ENOUGH))
    return found


def number_beeps(data: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """Fill in days and beeps that the study does not number.

    Days come from the clock, else from where the numbers of the beeps begin again. Without either a row is a day of
    its own: then nothing is known to be one beep after another, and no pair is made. Beeps that do not tell the rows
    of a day apart are counted by time, or by order in the file. A row that lacks a number all others have is kept
    last, where it makes no pair.
    """
    _number_days(data, quality)
    _number_beeps(data, quality)
    data["day"] = np.floor(data["day"].to_numpy()).astype(np.int64)
    data["beep"] = np.floor(data["beep"].to_numpy()).astype(np.int64)
    return data


def _number_days(data: pd.DataFrame, quality: Quality) -> None:
    lines, lost = data["line"].to_numpy(), data["day"].isna().to_numpy()
    if not lost.any():
        return
    code = data["person"].cat.codes.to_numpy()
    dated = data["slot_at"].notna().to_numpy()
    rows, known, clocked = (np.bincount(code, weights=w) for w in (np.ones(len(code)), ~lost, dated))
    touched = np.bincount(code, weights=lost) > 0
    by_clock = (touched & (clocked == rows))[code]
    without = (known == 0)[code] & ~by_clock
    few = lost & ~by_clock & ~without
    quality.mask("no day number", lost & by_clock, lines, "days counted from the clock", "day")
    from_clock = data["slot_at"].to_numpy(dtype="datetime64[ns]").astype("datetime64[D]").astype(np.int64)
    day = np.where(by_clock, from_clock, data["day"].to_numpy(dtype=float))
    if without.any():
        begun = _begun(code[without], data["beep"].to_numpy(dtype=float)[without])
        again = begun is not None
        action = "days counted from where beeps begin again" if again else "kept in order; no pairs"
        quality.mask("no day number and no clock", without, lines, action, "day")
        day[without] = begun if again else np.arange(1, without.sum() + 1)
        if not again:
            data["beep"] = np.where(without, 1.0, data["beep"])
    if few.any():
        quality.mask("row without its day number", few, lines, "kept last; no pairs", "day")
        day[few] = np.nanmax(day, initial=0) + 1 + np.arange(few.sum())
    data["day"] = day


def _begun(code: np.ndarray, beep: np.ndarray) -> np.ndarray | None:
    """Days by where the beeps of a person begin again; None where they number the whole study, or nothing."""
    if not np.isfinite(beep).all() or beep.max(initial=0) > MOST_BEEPS:
        return None
    order = np.argsort(code, kind="stable")
    c, b = code[order], beep[order]
    person = np.concatenate(([True], c[1:] != c[:-1]))
    fresh = person | np.concatenate(([False], b[1:] <= b[:-1]))
    if (fresh & ~person).sum() < person.sum():
        return None
    day = np.empty(len(code))
    day[order] = np.cumsum(fresh)
    return day


MOST_BEEPS = 30
"""Beeps a day may have; higher numbers count over the study."""


def _number_beeps(data: pd.DataFrame, quality: Quality) -> None:
    lines, lost = data["line"].to_numpy(), data["beep"].isna().to_numpy()
    group = ["person", "period", "day"]
    again = _repeated(data)
    if lost.mean() > FEW or again[~lost].mean() > FEW:
        quality.mask("beep does not number the answers of a day", lost | again, lines, "counted in order", "beep")
        order = data.sort_values([*group, "slot_at", "line"], kind="stable")
        data["beep"] = (order.groupby(group, observed=True).cumcount() + 1).reindex(data.index).astype(float)
    elif lost.any():
        quality.mask("row without its beep number", lost, lines, "kept last of its day; no pairs", "beep")
        top = float(np.nanmax(data["beep"].to_numpy()))
        data.loc[lost, "beep"] = top + 2 * np.arange(1, lost.sum() + 1)


FEW = 0.2
"""Share of rows up to which missing or repeated beep numbers are faults of single rows."""


def _repeated(data: pd.DataFrame) -> np.ndarray:
    """Rows whose person, period, day and beep an earlier row has."""
    names = ("period", "day", "beep")
    columns = [data["person"].cat.codes.to_numpy(), *(data[n].to_numpy() for n in names)]
    if ascending(columns):
        return np.zeros(len(data), dtype=bool)
    repeated: np.ndarray = data.duplicated(["person", *names]).to_numpy()
    return repeated


def ascending(columns: Sequence[np.ndarray]) -> bool:
    """Whether rows are strictly in order of the columns, the first counting most."""
    tied = np.ones(max(len(columns[0]) - 1, 0), dtype=bool)
    for values in columns:
        before, after = values[:-1], values[1:]
        if np.any(tied & ~(after >= before)):
            return False
        tied &= after == before
    return not tied.any()
