"""One report per person, from the same numbers the indices are made of.

A report depends on its person's rows alone: it comes out the same for one person and for all, and from a snapshot
from which others were erased.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from flows.analyse.change import detect
from flows.analyse.frame import Frame, schema_of
from flows.analyse.indices import indices
from flows.analyse.panel import Panel, panel
from flows.analyse.report import ChangePoint, Estimate, PersonReport, Rhythm, Trend
from flows.survey.definition import Survey

ALPHA = 0.01
"""Level of the check a rhythm must pass, over both kinds together: rhythms are rare and small."""

EXPLAINED = 0.02
"""Least share of a person's variance a rhythm must explain to be worth telling."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Changes = Mapping[str, tuple[ChangePoint | None, Trend | None]]


def reports_of(
    data: pd.DataFrame, survey: Survey, target: str, data_hash: str, persons: Sequence[str] | None = None
) -> tuple[PersonReport, ...]:
    """Reports from rows as a snapshot keeps them, the same to the bit as those of the run that kept them.

    Parameters
    ----------
    data
        `Frame.data`, or what is left of it.
    survey, target
        As analysed.
    data_hash
        Of the run.
    persons
        Whose reports; everybody's by default.
    """
    rows = data if persons is None else data[data["person"].astype(str).isin(list(persons))]
    rows = rows.assign(person=rows["person"].astype(str).astype("category")).reset_index(drop=True)
    frame = Frame(rows, pd.DataFrame(), data_hash, schema_of(survey))
    return build_reports(frame, target)


def build_reports(
    frame: Frame, target: str, table: pd.DataFrame | None = None, prompts: Mapping[str, int] | None = None
) -> tuple[PersonReport, ...]:
    """Reports of everybody in a frame.

    Parameters
    ----------
    frame
        Typed rows.
    target
        Name of the target.
    table
        Indices of the frame where they are at hand.
    prompts
        Beeps that were due, by person, where the frame does not list unanswered ones.
    """
    spec = frame.schema.target(target)
    beeps = panel(frame, spec.name, spec.items)
    table = indices(beeps) if table is None else table
    changes = detect(frame.data, spec.name)
    zones = frame.data.groupby("person", observed=False)["timezone"].first()
    series = _series(frame.data, beeps)
    columns = table.set_index("person").to_dict("index")
    return tuple(
        _report(str(p), frame, spec.name, columns[p], changes, str(zones.get(p, "UTC")), series[k], prompts or {})
        for k, p in enumerate(beeps.persons)
    )


def _series(data: pd.DataFrame, beeps: Panel) -> list[tuple[tuple[datetime, float], ...]]:
    """Times (aware, UTC) and values of every person's answers."""
    there = np.isfinite(beeps.y)
    times = data["answered_at"].fillna(data["slot_at"])
    micros = times.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    known = times.notna().to_numpy()
    first = np.searchsorted(beeps.code, np.arange(len(beeps.persons) + 1))
    out = []
    for start, end in pairwise(first):
        rows = np.flatnonzero(there[start:end] & known[start:end]) + start
        pairs = zip(micros[rows].tolist(), beeps.y[rows].tolist(), strict=True)
        out.append(tuple((EPOCH + timedelta(microseconds=m), y) for m, y in pairs))
    return out


def _report(
    person: str,
    frame: Frame,
    target: str,
    row: Mapping[str, float],
    changes: Changes,
    timezone: str,
    series: tuple[tuple[datetime, float], ...],
    prompts: Mapping[str, int],
) -> PersonReport:
    spec = frame.schema.target(target)
    n, pairs = int(row["n"]), int(row["n_pairs"])
    due = prompts.get(person)
    change, trend = changes.get(person, (None, None))
    return PersonReport(
        person=person,
        target=target,
        polarity="positive" if spec.polarity == "positive" else "negative",
        scale=(spec.lo, spec.hi),
        timezone=timezone,
        data_hash=frame.data_hash,
        start=series[0][0] if series else None,
        end=series[-1][0] if series else None,
        n_prompts=due,
        n_answers=n,
        n_pairs=pairs,
        level=_estimate(row, "mean", n),
        sd=_estimate(row, "sd", n),
        rmssd=_estimate(row, "rmssd", pairs),
        inertia=_estimate(row, "autocorrelation", pairs),
        change=change,
        trend=trend,
        rhythm=_rhythm(row, n),
        compliance=min(1.0, n / due) if due else None,
        series=series,
    )


def _estimate(row: Mapping[str, float], name: str, n: int) -> Estimate:
    return Estimate(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]), n)


def _rhythm(row: Mapping[str, float], n: int) -> Rhythm | None:
    """The clearer of the rhythms that passed, at half the level each as two were looked at."""
    passed = [
        Rhythm(
            "daily" if kind == "daily" else "weekly",
            float(row[f"{kind}_amplitude"]),
            float(row[f"{kind}_peak"]),
            float(row[f"{kind}_explained"]),
            float(min(1.0, 2 * row[f"{kind}_p"])),
            n,
        )
        for kind in ("daily", "weekly")
        if 2 * row[f"{kind}_p"] < ALPHA and row[f"{kind}_explained"] >= EXPLAINED
    ]
    return min(passed, key=lambda r: r.p_value, default=None)
