"""An analysis and its forecasts go from flow to flow whole, and into Prefect's database by their names alone."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pandas as pd
import pytest
from prefect.utilities.collections import visit_collection

from flows.analyse.report import Analysis
from flows.forecast.flow import forecast
from flows.forecast.result import Forecast, Forecasts
from flows.notify.flow import notify
from tests.golden.people import person


@pytest.fixture
def analysis() -> Analysis:
    frame = pd.DataFrame({"person": ["anna"], "sad": [5.0]})
    return Analysis("mood", "v1", "na", "hash", frame, frame, frame, (person("anna", 14).report,))


def test_prefect_is_told_no_answer(analysis):
    """What a flow run's parameters hold in Prefect's database and UI is the name of the type."""
    assert forecast.serialize_parameters({"analysis": analysis}) == {"analysis": "<Analysis>"}
    one = Forecast("anna", "na", datetime(2026, 3, 2, tzinfo=UTC), 3.0, 3.0, 2.0, 4.0, "m", 1)
    many = Forecasts([one] * 10_000)  # as a list: two megabytes, and Prefect refuses a run with more than a half
    assert notify.serialize_parameters({"analysis": analysis, "forecasts": many, "dry_run": True}) == {
        "analysis": "<Analysis>", "forecasts": "<Forecasts>", "dry_run": True,
    }  # fmt: skip
    seen = []
    assert visit_collection(many, lambda value: seen.append(value) or value, return_data=True) is many
    assert len(seen) == 1
    assert pickle.loads(pickle.dumps(many))[9_999] == one  # noqa: S301 - our own


def test_prefect_does_not_look_through_every_value_of_every_person(analysis):
    """At each call Prefect looks for futures in what it is given: the analysis is one thing to look at, and stays itself."""
    seen = []
    back = visit_collection({"analysis": analysis}, lambda value: seen.append(value) or value, return_data=True)
    assert back["analysis"] is analysis
    assert len(seen) <= 3


def test_it_survives_a_pickle(analysis):
    """A result that is kept, or a worker elsewhere, gets the same."""
    back = pickle.loads(pickle.dumps(analysis))  # noqa: S301 - our own
    assert (back.study, back.data_hash, back.reports) == ("mood", "hash", analysis.reports)
    pd.testing.assert_frame_equal(back.frame, analysis.frame)
