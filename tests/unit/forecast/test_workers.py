"""Work spread over Dask workers gives what one process gives."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.analyse.indices import indices
from flows.clients.workers import NoWorkers, workers
from flows.forecast.backtest import backtest

_spec = importlib.util.spec_from_file_location("forecast_data", Path(__file__).with_name("data.py"))
data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(data)
study = data.study

pytestmark = pytest.mark.xdist_group("forecast")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A Dask scheduler with two worker processes."""
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    import dask

    folder = str(tmp_path_factory.mktemp("dask"))
    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=folder,
            host="127.0.0.1",
        ) as cluster,
    ):  # fmt: skip
        yield cluster.scheduler_address


def test_indices_are_the_same_to_the_bit(scheduler, monkeypatch):
    """Indices of a study in several parts equal those of one process exactly, column by column, gaps included."""
    monkeypatch.setattr("flows.analyse.indices.BLOCK", 5)
    panel = study(people=23, days=20)
    with workers(scheduler) as spread:
        pd.testing.assert_frame_equal(indices(panel, spread=spread), indices(panel), check_exact=True)


def test_backtests_are_the_same(scheduler):
    """Forecasts, weights and choices of a backtest whose candidates were fitted on two workers equal those of one
    process; the only room is the last bits, for a library may sum in other order with other threads.
    """
    panel = study(people=6, days=8)
    with workers(scheduler) as spread:
        there = backtest(panel, spread=spread)
    here = backtest(panel)
    assert there.chosen == here.chosen
    assert there.forecasts.keys() == here.forecasts.keys()
    for name, values in here.forecasts.items():
        np.testing.assert_allclose(there.forecasts[name], values, rtol=0, atol=1e-9, err_msg=name)


def test_a_scheduler_that_is_not_there_is_named():
    """Where no scheduler answers the error says so, and what to do."""
    with (
        pytest.raises(NoWorkers, match=r"no Dask scheduler answers at tcp://127.0.0.1:9.*unset"),
        workers("tcp://127.0.0.1:9", timeout=1),
    ):
        pass
