"""Analysis of a study: what the Sheet holds now, typed, checked, kept, and turned into indices and reports."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd

from clearml_utils import current_record, flow, task
from flows import settings as product
from flows.analyse.drift import item_drift
from flows.analyse.frame import Frame, build_frame
from flows.analyse.group import by_day, day_figure, group_effects, over_people
from flows.analyse.indices import indices
from flows.analyse.panel import panel
from flows.analyse.report import Analysis
from flows.analyse.reports import build_reports
from flows.clients.sheets import read_answers
from flows.clients.workers import workers
from flows.clock import SharedClock
from flows.settings import Settings
from flows.store import Store
from flows.survey.definition import Survey, load


@flow(name="analyse", flow_run_name="analyse", capture="summary")
def analyse(target: str | None = None) -> Analysis:
    """Analyse the study in use.

    Parameters
    ----------
    target
        Target of the survey; its first one by default.
    """
    settings = product.load()
    survey = load(settings.survey)
    frame: Any = read_frame(settings, survey, SharedClock(settings.home).now())
    result: Any = describe(settings, frame, survey.target(target).name)
    analysis: Analysis = result
    return analysis


@task(name="read the Sheet", retries=3, retry_delay_seconds=[2, 10, 30], capture="summary")
def read_frame(settings: Settings, survey: Survey, now: datetime) -> Frame:
    """Rows of the Sheet as a typed frame, kept in the private store under their hash."""
    with Store.open(settings.database) as store:
        rows = read_answers(settings, store)
        recorded = _recorded(store, survey.name)
        frame = build_frame(_of_study(rows, survey.name), survey, now=now, recorded=recorded)
        store.snapshots.save(frame.data_hash, frame.data, now)
    record = current_record()
    record.properties(data_hash=frame.data_hash, survey_version=survey.version)
    record.values({"rows": len(frame.data), "people": frame.data["person"].nunique()})
    record.table("data quality", frame.quality)
    record.table("schema", _schema(frame))
    return frame


@task(name="indices and reports", capture="summary")
def describe(settings: Settings, frame: Frame, target: str) -> Analysis:
    """Indices and reports of everybody, and what holds of the group."""
    spec = frame.schema.target(target)
    with workers(settings.dask) as spread:
        table = indices(panel(frame, spec.name, spec.items), spread=spread)
    drifts = item_drift(frame.data, frame.schema.items)
    with Store.open(settings.database) as store:
        prompts = _due(store, [str(p) for p in table["person"]])
        # what the monitor reads, and trains anew upon
        store.facts.set("drift", [d.item for d in drifts if d.drifts])
    if drifts:
        current_record().table("input drift", pd.DataFrame([asdict(d) for d in drifts]))
    reports = build_reports(frame, spec.name, table, prompts)
    analysis = Analysis(
        frame.schema.study, frame.schema.survey_version, spec.name, frame.data_hash, frame.data, frame.quality, table,
        reports,
    )  # fmt: skip
    _record(analysis, frame)
    return analysis


def _of_study(rows: list[list[str]], study: str) -> list[list[str]]:
    """Rows of one study; a Sheet may hold several."""
    if not rows or "study" not in rows[0]:
        return rows
    place = rows[0].index("study")
    return [rows[0], *(r for r in rows[1:] if len(r) <= place or r[place] in {"", study})]


def _recorded(store: Store, study: str) -> dict[str, dict[str, str]]:
    """What the bot wrote, by response and item, as cells."""
    return {
        r.response_id: {item: "" if v is None else str(v) for item, v in r.answers.items()}
        for r in store.responses.of(study=study)
    }


def _due(store: Store, people: list[str]) -> dict[str, int]:
    """Beeps that were sent and are over, by person; asked-for ones beyond the plan do not count."""
    over = {"answered", "expired", "skipped"}
    return {p: sum(q.state in over and q.beep < 90 for q in store.prompts.of(p)) for p in people}


def _schema(frame: Frame) -> pd.DataFrame:
    kinds = [(str(n), str(k), int(frame.data[n].notna().sum())) for n, k in frame.data.dtypes.items()]
    return pd.DataFrame(kinds, columns=["column", "type", "filled"])


def _record(analysis: Analysis, frame: Frame) -> None:
    """Aggregates only: nothing here is about one person."""
    record, table = current_record(), analysis.indices
    names = [
        n for n in ("n", "mean", "sd", "rel_sd", "rmssd", "inertia", "differentiation", "compliance") if n in table
    ]
    described = over_people(table[names])
    if len(described):
        record.table("indices over people", described)
    found = analysis.reports
    record.values(
        {
            "people": len(found),
            "changes": sum(r.change is not None for r in found),
            "trends": sum(r.trend is not None for r in found),
            "rhythms": sum(r.rhythm is not None for r in found),
        }
    )
    everybody = panel(frame, analysis.target, ())
    days = by_day(everybody)
    if len(days):
        record.figure("level by day", day_figure(days, everybody.target, everybody.scale))
    effects = group_effects(everybody)
    if effects is not None:
        record.table("group level", effects.astype(object).where(effects.notna(), ""))
