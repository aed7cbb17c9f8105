"""What a record takes, and what becomes of values that cannot be recorded."""

from __future__ import annotations

import logging
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from clearml_utils import BadCredentials, TrackingError, current_record, flow, task
from tests.contract.bridge.reading import Reader, properties

pytestmark = [pytest.mark.xdist_group("prefect")]


def only_child(reader: Reader, body: Any, *, fails: bool = False, **options: Any) -> dict[str, Any]:
    """Run `body` as the one task of a flow; its ClearML task."""
    made = task(**options)(body) if options else task(body)

    @flow(project="Bridge")
    def one():
        made()

    state = one(return_state=True)
    assert state.is_failed() == fails, state
    (child,) = reader.children(state.state_details.flow_run_id)
    return child


def fetch(reader: Reader, url: str) -> bytes:
    """A stored file."""
    return requests.get(url, timeout=20, headers=reader.connection.session.add_auth_headers({})).content


def test_everything_a_record_takes(tracked: Reader):
    """Scalars, single values, tables, figures of both kinds, text, artifacts, a model, tags and properties read back."""

    def rich() -> None:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
        from sklearn.linear_model import LinearRegression

        record = current_record()
        for i in range(3):
            record.scalar("loss", "train", 1 / (i + 1), i)
        record.values({"mae": 0.5})
        record.table("people", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        record.figure("line", figure)
        record.figure("bars", {"data": [{"type": "bar", "x": [1], "y": [2]}], "layout": {}})
        record.text("a line of text")
        record.artifact("numbers", {"one": 1})
        record.artifact("frame", pd.DataFrame({"a": range(3)}))
        record.artifact("array", np.arange(4))
        record.model("line", LinearRegression().fit([[0], [1]], [0, 1]), metadata={"rows": 2})
        record.tag("interesting")
        record.properties(city="Tartu")

    child = only_child(tracked, rich)
    assert tracked.scalars(child)["loss"]["train"]["y"] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert tracked.values(child) == {"mae": 0.5}
    plots = {p["metric"]: p["plot_str"] for p in tracked.plots(child)}
    assert set(plots) == {"people", "line", "bars"}
    assert '"images"' in plots["line"]
    assert "a line of text" in tracked.log(child)
    artifacts = tracked.artifacts(child)
    assert set(artifacts) == {"numbers", "frame", "array"}
    assert b'"one": 1' in fetch(tracked, artifacts["numbers"]["uri"])
    (model,) = child["models"]["output"]
    entry = tracked.connection.call("models.get_all", id=[model["model"]])["models"][0]
    assert pickle.loads(fetch(tracked, entry["uri"])).coef_[0] == pytest.approx(1)  # noqa: S301 - our own file
    assert "interesting" in child["tags"]
    assert properties(child)["city"] == "Tartu"


def test_the_sdk_reads_the_artifacts(tracked: Reader):
    """`Task.get_task(...).artifacts[...].get()` gives the values back: a dict, a DataFrame, an array, a text."""
    from clearml import Task

    def give() -> None:
        record = current_record()
        record.artifact("d", {"one": 1})
        record.artifact("f", pd.DataFrame({"a": [1, 2]}))
        record.artifact("a", np.arange(3))
        record.artifact("t", "words")
        record.artifact("none", "")
        record.artifact("long", "words " * 10_000)

    child = only_child(tracked, give)
    artifacts = Task.get_task(task_id=child["id"]).artifacts
    assert artifacts["d"].get() == {"one": 1}
    assert artifacts["f"].get()["a"].tolist() == [1, 2]
    assert artifacts["a"].get().tolist() == [0, 1, 2]
    assert artifacts["t"].get() == "words"
    assert fetch(tracked, artifacts["none"].url) == b"", "stored, though the SDK itself fetches no empty file"
    assert artifacts["long"].get() == "words " * 10_000


def test_results_by_type(tracked: Reader):
    """A DataFrame returned is a table and an artifact; a fitted model an output model; a mapping's numbers are values."""

    def frame() -> pd.DataFrame:
        return pd.DataFrame({"a": [1.5, math.nan]})

    def model() -> Any:
        from sklearn.linear_model import LinearRegression

        return LinearRegression().fit([[0], [1]], [0, 1])

    def statistical() -> Any:
        from statsmodels.api import OLS

        return OLS([0.0, 1.0, 2.1], [[1.0], [2.0], [3.0]]).fit()

    def mapping() -> dict[str, Any]:
        return {"mae": 0.25, "name": "ar1"}

    child = only_child(tracked, frame)
    assert list(tracked.artifacts(child)) == ["result"]
    assert [p["metric"] for p in tracked.plots(child)] == ["result"]
    assert only_child(tracked, model)["models"]["output"][0]["name"] == "result"
    (fitted,) = only_child(tracked, statistical)["models"]["output"]
    entry = tracked.connection.call("models.get_all", id=[fitted["model"]])["models"][0]
    assert entry["framework"] == "statsmodels"
    assert tracked.values(only_child(tracked, mapping)) == {"mae": 0.25}


def test_not_a_number_is_said_in_words(tracked: Reader):
    """NaN, infinite and unreadable metrics are lines of text; the finite ones beside them are recorded."""

    def odd() -> dict[str, float]:
        current_record().scalar("loss", "train", "three", 2)  # type: ignore[arg-type]
        current_record().scalar("loss", "train", math.inf, 3)
        return {"good": 1.0, "bad": math.nan}

    child = only_child(tracked, odd)
    assert tracked.values(child) == {"good": 1.0}
    log = "\n".join(tracked.log(child))
    assert "bad is nan" in log
    assert "not recorded: loss/train at iteration 2: ValueError" in log
    assert "loss/train at iteration 3 is inf" in log


def test_names_with_slashes_and_of_a_thousand_characters(tracked: Reader):
    """A flow and a task of impossible names are recorded under names ClearML can keep, the whole name in the properties."""
    long = "x" * 1000

    @task(name="a/b/c", task_run_name=long)
    def named() -> None:
        current_record().artifact("p/q r" + "y" * 300, {"a": 1})

    @flow(name="one two " + "z" * 300, project="Bridge")
    def odd():
        named()

    run = odd(return_state=True).state_details.flow_run_id
    (child,) = tracked.children(run)
    assert len(child["name"]) == 250
    assert properties(child)["prefect_name"] == long
    assert len(tracked.artifacts(child)) == 1
    assert tracked.of(run)["status"] == "completed"


def test_what_cannot_be_stored_is_described(tracked: Reader):
    """An artifact that cannot be pickled, and one of 200 MB, do not fail the task; the record says what was not stored."""

    def big() -> None:
        record = current_record()
        record.artifact("lock", lambda: None)
        record.artifact("huge", np.zeros(25_000_000))

    child = only_child(tracked, big)
    assert child["status"] == "completed"
    log = "\n".join(tracked.log(child))
    assert "not recorded: artifact lock" in log
    assert "huge: 200 MB, over the limit" in log
    assert not tracked.artifacts(child)["huge"].get("uri")


class Nasty:
    """Raises whatever is asked of it."""

    def __len__(self) -> int:
        raise RuntimeError("no length for you")


def test_results_that_raise_while_summarised(tracked: Reader):
    """A result that raises when it is looked at is noted; the task completes. Under `strict` the task fails."""

    def returns() -> Nasty:
        return Nasty()

    child = only_child(tracked, returns)
    assert child["status"] == "completed"
    assert "not recorded: result" in "\n".join(tracked.log(child))
    strict = only_child(tracked, returns, fails=True, strict=True)
    assert strict["status_reason"] == "CaptureFailed"


def test_wrong_credentials_warn_once_and_keep_nothing(tracked: Reader, monkeypatch, caplog, tmp_path: Path):
    """With refused credentials a flow runs, says so once, loudly, and spools nothing; a strict flow does not start."""
    from clearml_utils import recorder

    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "wrong")
    monkeypatch.setenv("CLEARML_UTILS_SPOOL", str(tmp_path / "other"))
    recorder.reset()
    ran = []

    @flow(project="Bridge")
    def careless():
        ran.append(1)

    with caplog.at_level(logging.ERROR, logger="clearml_utils"):
        careless()
        careless()
    assert ran == [1, 1]
    assert sum("RECORDING TO CLEARML IS OFF" in r.message for r in caplog.records) == 1
    assert list((tmp_path / "other").glob("*.db")) == []
    recorder.reset()

    @flow(project="Bridge", strict=True)
    def careful():
        ran.append(2)

    with pytest.raises(BadCredentials):
        careful()
    assert ran == [1, 1]


def test_without_clearml_flows_run_and_the_record_is_empty(tracked: Reader, monkeypatch, caplog, tmp_path: Path):
    """No ClearML configured: one warning, the flow runs, `current_record()` takes everything, and is false."""
    from clearml_utils import recorder

    for name in ("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEARML_CONFIG_FILE", str(tmp_path / "none.conf"))
    recorder.reset()

    @task
    def lonely() -> bool:
        record = current_record()
        record.scalar("a", "b", 1.0)
        return bool(record)

    @flow(project="Bridge")
    def alone():
        return lonely()

    with caplog.at_level(logging.WARNING, logger="clearml_utils"):
        assert alone() is False
    assert sum("not configured" in r.message for r in caplog.records) == 1
    with pytest.raises(TrackingError):
        flow(strict=True, name="needs")(lambda: None)()
