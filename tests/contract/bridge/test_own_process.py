"""ClearML's own automatic logging, in a process of its own."""

from __future__ import annotations

import io

import joblib
import pytest
import requests

from clearml_utils import flow, run_in_own_process, task
from tests.contract.bridge.reading import Reader

pytestmark = [pytest.mark.xdist_group("prefect")]


def train() -> dict[str, float]:
    """A training with no logging call in it."""
    import argparse
    import tempfile
    from pathlib import Path

    import joblib
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from sklearn.linear_model import LinearRegression

    parser = argparse.ArgumentParser()
    parser.add_argument("--slope", type=float, default=2.0)
    args = parser.parse_args()
    model = LinearRegression().fit([[0], [1], [2]], [0, args.slope, 2 * args.slope])
    plt.plot([0, 1, 2], model.predict([[0], [1], [2]]))
    plt.title("fitted line")
    plt.show()
    print("the slope is", round(float(model.coef_[0]), 3))
    joblib.dump(model, Path(tempfile.mkdtemp()) / "line.pkl")
    return {"slope": float(model.coef_[0]), "r2": float(model.score([[0], [1], [2]], [0, args.slope, 2 * args.slope]))}


def test_a_training_with_no_logging_call_is_recorded(tracked: Reader):
    """Parameters from argparse, its metrics as scalars, the plot, the model file and the console read back; the task ends as Prefect
    says, once.
    """

    @task(task_type="training")
    def training() -> dict[str, float]:
        return run_in_own_process(train, argv=["--slope", "3"], timeout=180)

    @flow(project="Bridge")
    def automatic():
        return training()

    state = automatic(return_state=True)
    assert state.result() == {"slope": pytest.approx(3.0), "r2": pytest.approx(1.0)}
    (child,) = tracked.children(state.state_details.flow_run_id)
    assert child["status"] == "completed"
    assert float(child["hyperparams"]["Args"]["slope"]["value"]) == 3
    assert "the slope is 3.0" in "\n".join(tracked.log(child))
    assert tracked.values(child) == state.result(), "scalars"
    assert "fitted line" in [p["metric"] for p in tracked.plots(child)]
    (model,) = child["models"]["output"]
    entry = tracked.connection.call("models.get_all", id=[model["model"]])["models"][0]
    stored = requests.get(entry["uri"], timeout=60, headers=tracked.connection.session.add_auth_headers({}))
    assert joblib.load(io.BytesIO(stored.content)).coef_[0] == pytest.approx(3.0)


def test_what_the_function_raises_is_raised_here(tracked: Reader):
    """An exception in the other process is the caller's."""

    def wrong() -> None:
        raise ZeroDivisionError("in there")

    with pytest.raises(ZeroDivisionError, match="in there"):
        run_in_own_process(wrong, timeout=120)
