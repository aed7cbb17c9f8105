"""Tracking with the SDK: parameters, metrics, texts, plots, samples, artifacts, and reading all of it back."""

from __future__ import annotations

import json

import pytest

from tests.contract.clearml.conftest import Scenario

pytestmark = pytest.mark.xdist_group("clearml")


def test_a_tracked_script_reads_back_as_it_was_reported(scenario: Scenario) -> None:
    """What `Task.init` and the logger report is what another process reads back."""
    scenario("""
        from clearml import Task
        task = Task.init("contract/tracking", "tracked", tags=["b", "a"], output_uri=True)
        task.connect({"lr": 0.1, "layers": [1, 2]}, name="Args")
        task.connect_configuration({"depth": 3}, name="network")
        task.set_user_properties(owner="me")
        log = task.get_logger()
        for step in range(20):
            log.report_scalar("loss", "train", 1 / (step + 1), step)
        log.report_single_value("final", 0.75)
        log.report_text("a line of text")
        log.report_histogram("hist", "h", [1, 2, 3], iteration=0)
        task.upload_artifact("object", {"a": [1, 2]}, wait_on_upload=True)
        task.upload_artifact("text", "some text", wait_on_upload=True)
        task.close()
        answer(id=task.id)
    """)
    found = scenario("""
        from clearml import Task
        task = Task.get_task(project_name="contract/tracking", task_name="tracked")
        plots = task.get_reported_plots()
        answer(
            status=task.get_status(), tags=sorted(task.get_tags()), parameters=task.get_parameters(),
            configuration=task.get_configuration_object_as_dict("network"),
            scalars=task.get_reported_scalars()["loss"]["train"], single=task.get_reported_single_values(),
            last=task.get_last_scalar_metrics()["loss"]["train"], last_iteration=task.get_last_iteration(),
            console="a line of text" in "".join(task.get_reported_console_output(100)),
            plots=[plot["metric"] for plot in plots], object=task.artifacts["object"].get(),
            text=open(task.artifacts["text"].get_local_copy()).read(), size=task.artifacts["object"].size > 0,
            owner=task.get_user_properties()["owner"]["value"],
        )
    """)
    assert found["status"] == "completed"
    assert found["tags"] == ["a", "b"]
    assert found["parameters"]["Args/lr"] == "0.1"
    assert found["parameters"]["Args/layers"] == "[1, 2]"
    assert found["configuration"] == {"depth": 3}
    assert found["scalars"]["x"] == list(range(20))
    assert found["scalars"]["y"] == pytest.approx([1 / (step + 1) for step in range(20)])
    assert found["single"] == {"final": 0.75}
    assert found["last"] == {"last": 0.05, "min": 0.05, "max": 1.0}
    assert found["last_iteration"] == 19
    assert found["console"]
    assert found["plots"] == ["hist"]
    assert (found["object"], found["text"], found["size"]) == ({"a": [1, 2]}, "some text", True)
    assert found["owner"] == "me"


def test_an_exception_makes_the_task_failed(scenario: Scenario) -> None:
    """A script that raises leaves a failed task behind, not a running one."""
    found = scenario("""
        import subprocess
        code = "from clearml import Task; t = Task.init('contract/tracking', 'raises'); raise ValueError('broken')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        from clearml import Task
        task = Task.get_task(project_name="contract/tracking", task_name="raises")
        answer(status=task.get_status(), code=done.returncode)
    """)
    assert found == {"status": "failed", "code": 1}


def test_many_tasks_of_one_process_keep_apart(scenario: Scenario) -> None:
    """`Task.create` from several threads gives each task its own metrics, parameters and status."""
    found = scenario("""
        from concurrent.futures import ThreadPoolExecutor
        from clearml import Task
        parent = Task.create("contract/many", "parent", "controller")
        def one(n):
            task = Task.create("contract/many", f"child {n:02}", "training")
            task.set_parent(parent)
            task.mark_started()
            task.set_parameters({"Args/n": n})
            for step in range(10):
                task.get_logger().report_scalar("value", "n", n * 10 + step, step)
            task.flush(wait_for_uploads=True)
            task.mark_completed() if n % 2 else task.mark_failed(status_reason="even")
            return task.id
        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(one, range(16)))
        children = Task.get_tasks(task_filter={"parent": parent.id, "order_by": ["name"]})
        answer(
            statuses=[child.get_status() for child in children], ids=[child.id for child in children] == ids,
            last=[child.get_last_scalar_metrics()["value"]["n"]["last"] for child in children],
            parameters=[child.get_parameter("Args/n") for child in children],
        )
    """)
    assert found["ids"]
    assert found["statuses"] == ["failed", "completed"] * 8
    assert found["last"] == [n * 10 + 9 for n in range(16)]
    assert found["parameters"] == [str(n) for n in range(16)]


def test_debug_samples_are_uploaded_and_listed(scenario: Scenario) -> None:
    """An image reported twice is listed with both iterations, and each file downloads."""
    found = scenario("""
        import numpy, requests
        from clearml import Task
        task = Task.init("contract/tracking", "images")
        for step in range(2):
            task.get_logger().report_image("img", "a", step, image=numpy.full((8, 8, 3), 40 * step, "uint8"))
        task.flush(wait_for_uploads=True)
        task.close()
        from clearml.backend_api import Session
        shown = call("events", "debug_images", metrics=[{"task": task.id}], iters=5)["data"]
        events = [e for m in shown["metrics"] for i in m["iterations"] for e in i["events"]]
        token = {"Authorization": f"Bearer {Session().token}"}
        sizes = [len(requests.get(e["url"], headers=token).content) for e in events]
        bare = requests.get(events[0]["url"]).status_code
        answer(iterations=sorted(e["iter"] for e in events), sizes=min(sizes), bare=bare)
    """)
    assert found["iterations"] == [0, 1]
    assert found["sizes"] > 50
    assert found["bare"] == 401


def test_continuing_a_task_appends(scenario: Scenario) -> None:
    """A completed task that is continued keeps its metrics and goes on counting."""
    scenario("""
        from clearml import Task
        task = Task.init("contract/tracking", "continued")
        for step in range(5):
            task.get_logger().report_scalar("m", "v", step, step)
        task.close()
        answer(id=task.id)
    """)
    found = scenario("""
        from clearml import Task
        old = Task.get_task(project_name="contract/tracking", task_name="continued")
        task = Task.init("contract/tracking", "continued", continue_last_task=old.id)
        for step in range(3):
            task.get_logger().report_scalar("m", "v", 100 + step, step)
        task.close()
        back = Task.get_task(old.id)
        answer(same=old.id == task.id, x=back.get_reported_scalars()["m"]["v"]["x"], status=back.get_status())
    """)
    assert found == {"same": True, "x": [0, 1, 2, 3, 4, 5, 6, 7], "status": "completed"}


def test_every_kind_of_plot_is_read_back(scenario: Scenario) -> None:
    """Each of the logger's plots, a table and a sound arrive under their titles, with their values."""
    found = scenario("""
        import io
        import numpy, pandas
        import plotly.graph_objects as draw
        from clearml import Task
        task = Task.init("contract/tracking", "plots", output_uri=True)
        log = task.get_logger()
        square = numpy.arange(4).reshape(2, 2)
        log.report_vector("vector", "v", [1, 2, 3], iteration=0)
        log.report_scatter2d("scatter", "s", [[0, 1], [1, 3]], iteration=0, mode="markers")
        log.report_scatter3d("scatter 3d", "s", [[0, 1, 2], [1, 3, 5]], iteration=0)
        log.report_confusion_matrix("confusion", "c", square, iteration=0, xlabels=["a", "b"], ylabels=["a", "b"])
        log.report_surface("surface", "s", square, iteration=0)
        log.report_table("table", "t", iteration=0, table_plot=pandas.DataFrame({"seen": [7]}))
        log.report_plotly("drawn", "d", draw.Figure(draw.Scatter(x=[1, 2], y=[5, 8])), iteration=0)
        log.report_media("sound", "m", stream=io.BytesIO(b"RIFF"), file_extension="wav", iteration=0)
        task.close()
        plots = {plot["metric"]: plot["plot_str"] for plot in Task.get_task(task.id).get_reported_plots()}
        samples = call("events", "debug_images", metrics=[{"task": task.id}], iters=1)["data"]["metrics"]
        answer(plots=plots, samples=[event["metric"] for one in samples for event in one["iterations"][0]["events"]])
    """)
    plots = found["plots"]
    assert sorted(plots) == ["confusion", "drawn", "scatter", "scatter 3d", "surface", "table", "vector"]
    assert "7" in plots["table"]
    assert json.loads(plots["drawn"])["data"][0]["y"] == [5, 8]
    assert found["samples"] == ["sound"]
