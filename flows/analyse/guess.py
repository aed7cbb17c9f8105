"""What published files leave unsaid: which column is what, on which scale, made of which items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flows.analyse.quality import Quality

NAMES: dict[str, tuple[str, ...]] = {
    "person": ("person", "id", "pid", "participant", "participant_id", "subject", "subject_id", "subj", "uuid",
               "user", "user_id", "respondent", "ppt", "ppnr", "subjno", "connectionid"),
    "period": ("period", "wave", "burst"),
    "day": ("day", "day_nr", "dayno", "day_number", "study_day", "date"),
    "beep": ("beep", "beep_nr", "beepno", "beep_number", "prompt", "signal", "obs", "occasion"),
    "slot_at": ("scheduled", "beep_time", "scheduled_at", "scheduled_time", "slot_at", "prompt_time", "issued", "sent"),
    "answered_at": ("timestamp", "answered_at", "answered", "response", "response_time", "completed", "start",
                    "start_time", "datetime", "time"),
}  # fmt: skip
"""Names in use for the key columns, in order of preference; compared without case."""

BOOKKEEPING = {"counter", "is_evening", "weekday", "phase", "row", "index", "duration", "survey_version", "study"}
"""Columns of numbers that are no answers."""

SCALES = ((0, 1), (1, 5), (0, 4), (1, 6), (0, 5), (1, 7), (0, 6), (1, 9), (1, 10), (0, 10), (-3, 3), (1, 100), (0, 100))
"""Scales in use; the smallest that holds all answers is taken."""


def keys(header: Sequence[str]) -> dict[str, str]:
    """Key column -> its name in this file."""
    by_name = {h.lower(): h for h in reversed(header)}
    found: dict[str, str] = {}
    for key, names in NAMES.items():
        for name in names:
            if name in by_name and by_name[name] not in found.values():
                found[key] = by_name[name]
                break
    return found


def bookkeeping(column: str) -> bool:
    """Whether a column counts or labels rows instead of holding answers."""
    return column.lower() in BOOKKEEPING or column.lower() in {n for names in NAMES.values() for n in names}


def numbers(column: pd.Series) -> np.ndarray:
    """Numbers of a column, nan where there is none, infinities included."""
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        text = column.astype("string").str.strip()
        text = text.where(~text.str.fullmatch(r"[+-]?\d+,\d+").fillna(False), text.str.replace(",", ".", regex=False))
        column = pd.to_numeric(text, errors="coerce")
    values: np.ndarray = column.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def times(column: pd.Series) -> pd.Series:
    """Times of a column, naive and local; seconds or milliseconds since 1970 are understood, plain numbers are not."""
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=float)
        size = np.nanmedian(values) if np.isfinite(values).any() else np.nan
        unit = "s" if 5e8 < size < 5e9 else "ms" if 5e11 < size < 5e12 else None
        if unit is None:
            return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]")
        return pd.Series(pd.to_datetime(values, unit=unit, errors="coerce"), index=column.index)
    text = column.astype("string").str.strip().str.replace(r"(Z|[+-]\d\d:?\d\d)$", "", regex=True)
    parsed = pd.to_datetime(text, errors="coerce", format="ISO8601")
    if parsed.notna().sum() < 0.5 * text.notna().sum():
        first = pd.to_datetime(text, errors="coerce", format="mixed")
        other = pd.to_datetime(text, errors="coerce", format="mixed", dayfirst=True)
        parsed = first if first.notna().sum() >= other.notna().sum() else other
    hours_only = text.str.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?").fillna(False)
    return parsed.mask(hours_only)


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
    fitting = [s for s in SCALES if s[0] <= lo and hi <= s[1]]
    if not fitting:
        return (lo, hi) if lo < hi else (lo - 0.5, lo + 0.5)
    best = min(fitting, key=lambda s: (s[1] - s[0], s[0] != np.floor(lo)))
    return float(best[0]), float(best[1])


def number_beeps(data: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """Fill in days and beeps that the study does not number.

    Days come from the clock. Without clock and number a row is a day of its own: then nothing is known to be one beep
    after another, and no pair is made. Beeps that do not tell the rows of a day apart are counted by time, or by
    order in the file.
    """
    lines = data["line"].to_numpy()
    no_day = data["day"].isna().to_numpy()
    if no_day.any():
        dated = data["slot_at"].notna().to_numpy()
        from_clock = (data["slot_at"].dt.tz_localize(None).dt.normalize() - pd.Timestamp(0)).dt.days.to_numpy(float)
        if dated[no_day].all():
            quality.mask("no day number", no_day, lines, "days counted from the clock", "day")
            mixed = data["person"].isin(data.loc[no_day, "person"].unique()).to_numpy() & dated
            data["day"] = np.where(mixed, from_clock, data["day"])
        else:
            quality.mask("no day number and no clock", no_day, lines, "kept in order; no pairs", "day")
            row = data.groupby("person", observed=True).cumcount().to_numpy(float)
            whole = data["person"].isin(data.loc[no_day, "person"].unique()).to_numpy()
            data["day"] = np.where(whole, row + 1, data["day"])
            data["beep"] = np.where(whole, 1.0, data["beep"])
    group = ["person", "period", "day"]
    no_beep = data["beep"].isna().to_numpy()
    again = data.duplicated([*group, "beep"]).to_numpy()
    if no_beep.any() or again.mean() > 0.2:
        quality.mask("beep does not number the answers of a day", no_beep | again, lines, "counted in order", "beep")
        order = data.sort_values([*group, "slot_at", "line"], kind="stable")
        data["beep"] = (order.groupby(group, observed=True).cumcount() + 1).reindex(data.index).astype(float)
    data["day"] = np.floor(data["day"].to_numpy()).astype(np.int64)
    data["beep"] = np.floor(data["beep"].to_numpy()).astype(np.int64)
    return data
