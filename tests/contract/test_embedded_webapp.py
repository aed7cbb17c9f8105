"""What the official web app asks on its pages, asked as it asks, and the fields its pages read from the answers.

The web app is not part of this project. Its requests were recorded in a browser while every page was open; here they
are asked of a server with something to show, through the web port and with nothing but the session's cookie.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.embedded_server import Client, serving

pytestmark = pytest.mark.xdist_group("embedded-webapp")
NOT_ARCHIVED = ["__$not", "archived", "__$not", "pipeline", "__$not", "dataset", "__$not", "reports"]
GRAPH = {"one": {"parents": [], "status": "completed", "job_id": "a"}, "two": {"parents": ["one"], "status": "running"}}


@dataclass
class Browser:
    """The web app in a browser: asks below `/api` of the web port, with a cookie."""

    web: str
    ids: dict[str, Any] = field(default_factory=dict)
    http: requests.Session = field(default_factory=requests.Session)

    def ask(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """Ask as a page does."""
        answer = self.http.post(f"{self.web}/api/v999.0/{endpoint}", json=body, timeout=60)
        assert answer.status_code == 200, (endpoint, answer.text)
        found: dict[str, Any] = answer.json()["data"]
        return found

    def log_in(self) -> None:
        """Log in by name, as the page does where nobody has a password."""
        config = requests.get(f"{self.web}/configuration.json", timeout=60).json()
        assert config["apiBaseUrl"] == "/api"
        keys = requests.get(f"{self.web}/credentials.json", timeout=60).json()
        pair = (keys["userKey"], keys["userSecret"])
        modes = requests.post(f"{self.web}/api/v999.0/login.supported_modes", json={}, timeout=60).json()["data"]
        assert modes["basic"]["enabled"] is False
        assert modes["authenticated"] is False
        users = requests.post(f"{self.web}/api/v999.0/users.get_all", auth=pair, timeout=60).json()["data"]["users"]
        user = next(user for user in users if user["name"] == "Default User")
        answer = self.http.post(
            f"{self.web}/api/v999.0/auth.login", auth=pair, headers={"X-Clearml-Impersonate-As": user["id"]}, timeout=60
        )
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("clearml_token_basic=")
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


def filled(server: Client, project: str) -> dict[str, Any]:
    """Two finished tasks with all a task can show, a model each, a pipeline, a report, and a queue that is served."""
    ids: dict[str, Any] = {"project": project, "tasks": [], "models": []}
    for number in range(2):
        param = {"Args": {"lr": {"section": "Args", "name": "lr", "value": str(number)}}}
        conf = {"network": {"name": "network", "value": "depth: 3", "type": "dictionary"}}
        task = server.call("tasks.create", name=f"run {number}", type="training", project=project, tags=["a"],
                           hyperparams=param, configuration=conf)["id"]  # fmt: skip
        server.call("tasks.started", task=task)
        base = {"task": task, "iter": 1}
        plot = json.dumps({"data": [{"y": [1, 2], "type": "scatter"}], "layout": {}})
        single = {**base, "iter": -(2**31), "metric": "Summary", "variant": "final", "value": 0.5}
        points = [{**base, "iter": step, "metric": "loss", "variant": "train", "value": step / 2} for step in range(5)]
        server.events(
            *({"type": "training_stats_scalar", **event} for event in [*points, single]),
            {"type": "plot", **base, "metric": "curve", "variant": "c", "plot_str": plot},
            {"type": "training_debug_image", **base, "metric": "img", "variant": "v", "url": "http://f.invalid/a.png"},
            {"type": "log", "task": task, "msg": "hello", "level": "info"},
        )
        model = server.call("models.create", name=f"model {number}", project=project, task=task, uri="file:///m",
                            framework="ScikitLearn", labels={"cat": 1}, ready=False)["id"]  # fmt: skip
        server.call("tasks.add_or_update_model", task=task, name="out", type="output", model=model)
        server.events({"type": "training_stats_scalar", "task": model, "model_event": True, "metric": "score",
                       "variant": "v", "iter": 1, "value": 1.0})  # fmt: skip
        server.call("tasks.completed", task=task)
        ids["tasks"].append(task)
        ids["models"].append(model)
    runs = server.call("projects.create", name="Pages/.pipelines/nightly", system_tags=["hidden", "pipeline"])["id"]
    graph = {"Pipeline": {"name": "Pipeline", "type": "json", "value": json.dumps(GRAPH)}}
    ids["controller"] = server.call("tasks.create", name="nightly", type="controller", project=runs, configuration=graph,
                                    system_tags=["pipeline"])["id"]  # fmt: skip
    server.call(
        "tasks.edit_runtime", task=ids["controller"], add_or_update={"_pipeline_hash": "x:1.0", "version": "1.0"}
    )
    ids["report"] = server.call("reports.create", name="a report", project=project, report="# text", tags=["r"])["id"]
    ids["queue"] = server.call("queues.get_default")["id"]
    waiting = server.call("tasks.clone", task=ids["tasks"][0], new_task_name="waits")["id"]
    server.call("tasks.enqueue", task=waiting, queue=ids["queue"])
    server.call("workers.register", worker="host:0", queues=[ids["queue"]])
    server.call("workers.status_report", worker="host:0", timestamp=0, task=ids["tasks"][0],
                machine_stats={"cpu_usage": [10, 20], "memory_used": 5})  # fmt: skip
    return ids


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder: Path = tmp_path_factory.mktemp("webapp")
    (folder / "widgets").mkdir()
    (folder / "build" / "assets").mkdir(parents=True)
    (folder / "build" / "index.html").write_text("the app")
    (folder / "build" / "assets" / "plotly.min.js").write_text("plotly")
    (folder / "widgets" / "index.html").write_text("a plot of a report")
    with serving(folder / "data", "--webapp", str(folder / "build")) as server:
        found = Browser(server.urls["web"])
        found.log_in()
        found.ids = filled(server, server.call("projects.create", name="Pages/study")["id"])
        yield found


def test_pages_and_embedded_plots_are_served(browser: Browser) -> None:
    """Any path is the app; below widgets it is the reports' plots, with the app's libraries; a missing script is 404."""

    def page(path: str) -> tuple[int, str]:
        answer = requests.get(f"{browser.web}/{path}", timeout=60)
        return answer.status_code, answer.text

    assert page("") == page("projects/x/tasks/y/output/log") == (200, "the app")
    assert page("widgets/?type=plot&tasks=x") == (200, "a plot of a report")
    assert page("assets/plotly.min.js") == page("widgets/assets/plotly.min.js") == (200, "plotly")
    assert page("chunk-ABC.js")[0] == 404
    assert page("..%2f..%2fdata%2fclearml.db")[1] != (200, "") or page("../data/clearml.db")[0] != 200
    assert requests.post(f"{browser.web}/api/v999.0/tasks.get_all", json={}, timeout=60).status_code == 401


def test_stored_files_are_below_the_web_app_s_own_address(browser: Browser) -> None:
    """Where the app looks for a plot's images and deletes a task's files, with its cookie or not at all."""
    address = f"{browser.web}/files/study/a%20b/plot.png"
    kept = browser.http.post(f"{browser.web}/files/", files={"file": ("study/a b/plot.png", b"image")}, timeout=60)
    assert (kept.status_code, kept.json()) == (200, ["study/a b/plot.png"])
    assert browser.http.get(address, timeout=60).content == b"image"
    assert requests.get(address, timeout=60).status_code == 401
    assert requests.delete(address, timeout=60).status_code == 401
    assert browser.http.delete(address, timeout=60).status_code == 200
    assert browser.http.get(address, timeout=60).status_code == 404


def test_dashboard_and_projects(browser: Browser) -> None:
    """Recent projects with their counts, recent tasks and reports, who there is and what they prefer."""
    me = browser.ask("users.get_current_user", get_supported_features=True)
    assert {"id", "name", "company", "role"} <= set(me["user"])
    assert "preferences" in browser.ask("users.get_preferences")
    browser.ask("users.set_preferences", preferences={"views": {"autoRefresh": True}}, return_updated=False)
    assert browser.ask("users.get_preferences")["preferences"]["views"]["autoRefresh"] is True
    projects = browser.ask(
        "projects.get_all_ex", stats_for_state="active", include_stats=True, check_own_contents=True,
        order_by=["featured", "-last_update"], page=0, page_size=6, include_stats_filter={"system_tags": ["-pipeline"]},
        only_fields=["name", "basename", "company", "user", "created", "default_output_destination"],
    )["projects"]  # fmt: skip
    study = next(item for item in projects if item["name"] == "Pages/study")
    assert study["basename"] == "study"
    stats = study["stats"]["active"]
    assert (stats["status_count"]["completed"], stats["status_count"]["queued"]) == (2, 1)
    assert stats["total_tasks"] == 4  # the report is one
    assert {"total_runtime", "completed_tasks_24h", "last_task_run"} <= set(stats)
    assert set(study["user"]) == {"id"}
    tasks = browser.ask(
        "tasks.get_all_ex", page=0, page_size=5, order_by=["-last_update"], status=["failed", "completed"],
        type=["__$not", "annotation_manual", "__$not", "dataset_import"], system_tags=["-archived", "-pipeline"],
        only_fields=["type", "status", "created", "name", "id", "last_update", "started", "project.name"], user=None,
    )["tasks"]  # fmt: skip
    assert [task["name"] for task in tasks] == ["run 0", "run 1"]  # its worker was heard of last
    assert tasks[0]["project"]["name"] == "Pages/study"
    (report,) = browser.ask(
        "reports.get_all_ex", only_fields=["name", "comment", "company", "tags", "report", "project.name", "user.name",
        "status", "last_update", "system_tags"], size=6, scroll_id=None, order_by=["-last_update"],
        system_tags=["__$not", "archived"],
    )["tasks"]  # fmt: skip
    assert (report["name"], report["report"], report["tags"]) == ("a report", "# text", ["r"])
    assert report["project"]["name"] == "Pages/study/.reports"
    users = browser.ask("projects.get_user_names", projects=[browser.ids["project"]], entity="task")["users"]
    assert users == [{"id": "default", "name": "Default User"}]


def test_task_table_scrolls_to_an_end(browser: Browser) -> None:
    """Every row has tags and a user; the scroll goes on under its id and ends; filters of the header have values."""
    body = {
        "id": [], "project": [browser.ids["project"]], "refresh_scroll": True, "size": 2, "order_by": ["-last_update"],
        "type": [], "user": [], "system_tags": NOT_ARCHIVED, "include_subprojects": False, "search_hidden": False,
        "only_fields": ["name", "status", "system_tags", "project.name", "company", "last_change", "last_update",
                        "started", "last_iteration", "tags", "user.name", "runtime.progress", "type", "parent.name",
                        "parent.project.id"],
    }  # fmt: skip
    first = browser.ask("tasks.get_all_ex", **body, scroll_id=None)
    assert len(first["tasks"]) == 2
    for row in first["tasks"]:
        assert {"id", "name", "status", "tags", "system_tags", "company", "last_update", "type"} <= set(row)
        assert row["user"]["name"] == "Default User"
        assert "report" not in row["system_tags"]
    body["refresh_scroll"] = False
    second = browser.ask("tasks.get_all_ex", **body, scroll_id=first["scroll_id"])["tasks"]
    assert len(second) == 1
    assert browser.ask("tasks.get_all_ex", **body, scroll_id=first["scroll_id"])["tasks"] == []
    chosen = {"projects": [browser.ids["project"]]}
    assert "a" in browser.ask("projects.get_task_tags", **chosen)["tags"]
    assert "training" in browser.ask("tasks.get_types", **chosen)["types"]
    parents = browser.ask("projects.get_task_parents", **chosen, tasks_state="active")["parents"]
    assert [parent["name"] for parent in parents] == ["run 0"]


def test_task_pages(browser: Browser) -> None:
    """Details, parameters, configuration, console, scalars, plots and samples of one task."""
    task = browser.ids["tasks"][0]
    (found,) = browser.ask("tasks.get_by_id_ex", id=[task], only_fields=[
        "id", "name", "user.name", "company", "type", "status", "status_changed", "comment", "created", "last_update",
        "last_change", "completed", "started", "parent.name", "parent.project.name", "project.name", "output",
        "hyperparams", "execution.queue.name", "script.binary", "script.repository", "execution.artifacts", "runtime",
        "models.output.model.name", "models.output.model.uri", "configuration", "container", "tags", "system_tags",
    ])["tasks"]  # fmt: skip
    assert found["hyperparams"]["Args"]["lr"]["value"] == "0"
    assert isinstance(found["output"], dict)
    assert isinstance(found["runtime"], dict)
    assert found["models"]["output"][0]["model"]["name"] == "model 0"
    names = browser.ask("tasks.get_configuration_names", tasks=[task], skip_empty=False)["configurations"]
    assert names == [{"task": task, "names": ["network"]}]
    listed = browser.ask("tasks.get_configurations", tasks=[task], names=["network"])["configurations"]
    assert listed[0]["configuration"][0]["value"] == "depth: 3"
    log = browser.ask("events.get_task_log", task=task, batch_size=1000, navigate_earlier=True)
    assert [event["msg"] for event in log["events"]] == ["hello"]
    assert {"timestamp", "level"} <= set(log["events"][0])
    curve = browser.ask("events.scalar_metrics_iter_histogram", task=task, key="iter")["loss"]["train"]
    assert (curve["name"], curve["x"], curve["y"]) == ("train", [0, 1, 2, 3, 4], [0, 0.5, 1, 1.5, 2])
    (single,) = browser.ask("events.get_task_single_value_metrics", tasks=[task])["tasks"]
    assert [(item["variant"], item["value"]) for item in single["values"]] == [("final", 0.5)]
    (plot,) = browser.ask("events.get_task_plots", task=task, iters=1)["plots"]
    assert (plot["metric"], plot["variant"], plot["iter"], plot["task"]) == ("curve", "c", 1, task)
    assert json.loads(plot["plot_str"])["data"][0]["y"] == [1, 2]
    (metrics,) = browser.ask("events.get_task_metrics", tasks=[task], event_type="training_debug_image")["metrics"]
    assert (metrics["task"], metrics["metrics"]) == (task, ["img"])
    asked = {"metrics": [{"task": task, "metric": "img"}], "iters": 3, "navigate_earlier": True, "refresh": True}
    (shown,) = browser.ask("events.debug_images", **asked, scroll_id=None)["metrics"]
    assert shown["iterations"][0]["events"][0]["url"] == "http://f.invalid/a.png"


@pytest.mark.parametrize("models", [False, True])
def test_comparison_pages(browser: Browser, *, models: bool) -> None:
    """Details side by side, the metrics they share, their curves, single values and plots, per task or model."""
    ids = browser.ids["models" if models else "tasks"]
    metric, variant = ("score", "v") if models else ("loss", "train")
    names = ["model 0", "model 1"] if models else ["run 0", "run 1"]
    kind = "models" if models else "tasks"
    fields = ["id", "name", "last_update", "last_metrics", "tags", "project.name"]
    shown = browser.ask(f"{kind}.get_all_ex", id=ids, only_fields=fields)[kind]
    assert sorted(item["name"] for item in shown) == names
    assert all(value["metric"] for item in shown for by in item["last_metrics"].values() for value in by.values())
    asked = {"tasks": ids, "model_events": models}
    listed = browser.ask("events.get_multi_task_metrics", **asked, event_type="training_stats_scalar")["metrics"]
    assert {"metric": metric, "variants": [variant]} in listed
    wanted = [{"metric": metric, "variants": [variant]}]
    curves = browser.ask("events.multi_task_scalar_metrics_iter_histogram", **asked, metrics=wanted, key="iter")
    by_task = curves["metrics"][metric][variant]
    assert set(by_task) == set(ids)
    assert sorted(curve["name"] for curve in by_task.values()) == names
    assert all(len(curve["x"]) == len(curve["y"]) > 0 for curve in by_task.values())
    if models:
        return
    values = browser.ask("events.get_task_single_value_metrics", **asked,
                         metrics=[{"metric": "Summary", "variants": ["final"]}])["tasks"]  # fmt: skip
    assert sorted(item["task"] for item in values) == sorted(ids)
    plots = browser.ask("events.get_multi_task_plots", **asked, metrics=[{"metric": "curve", "variants": ["c"]}],
                        last_iters_per_task_metric=True, iters=1)  # fmt: skip
    assert set(plots["plots"]["curve"]["c"]) == set(ids)
    for one in ids:
        found = plots["plots"]["curve"]["c"][one]
        assert found["1"]["plots"][0]["plot_str"]
        assert found["1"]["name"] in names
    again = browser.ask("events.get_multi_task_plots", **asked, scroll_id=plots["scroll_id"], iters=1,
                        last_iters_per_task_metric=True, metrics=[{"metric": "curve", "variants": ["c"]}])  # fmt: skip
    assert again["returned"] == 0


def test_model_pages(browser: Browser) -> None:
    """The table of models with their tasks, one model whole, its frameworks, tags and metrics."""
    fields = ["company", "created", "last_change", "last_update", "framework", "id", "labels", "name", "ready", "tags",
              "system_tags", "task.name", "uri", "user.name", "parent", "comment", "project.name"]  # fmt: skip
    table = browser.ask("models.get_all_ex", id=[], project=[browser.ids["project"]], scroll_id=None, size=30,
                        refresh_scroll=False, include_subprojects=False, order_by=["-created"], ready=None,
                        system_tags=["-archived"], only_fields=fields)  # fmt: skip
    assert [(row["name"], row["task"]["name"]) for row in table["models"]] == [
        ("model 1", "run 1"),
        ("model 0", "run 0"),
    ]
    assert all({"tags", "system_tags", "ready", "framework", "uri", "company"} <= set(row) for row in table["models"])
    (model,) = browser.ask("models.get_by_id_ex", id=[browser.ids["models"][0]],
                           only_fields=[*fields, "task.project", "design", "metadata"])["models"]  # fmt: skip
    assert (model["labels"], model["metadata"], model["task"]["project"]) == ({"cat": 1}, {}, browser.ids["project"])
    assert browser.ask("models.get_frameworks", projects=[browser.ids["project"]])["frameworks"] == ["ScikitLearn"]
    assert "tags" in browser.ask("projects.get_model_tags", projects=[browser.ids["project"]])
    curve = browser.ask("events.scalar_metrics_iter_histogram", task=browser.ids["models"][0], key="iter",
                        model_events=True)["score"]["v"]  # fmt: skip
    assert curve["y"] == [1.0]


def test_pipeline_pages(browser: Browser) -> None:
    """The list of pipelines finds the hidden project; its run carries the graph, the version and the hash it needs."""
    (project,) = browser.ask(
        "projects.get_all_ex", stats_for_state="active", include_stats=True, shallow_search=False, scroll_id=None, size=16,
        order_by=["featured", "-last_update"], search_hidden=True, name="/\\.pipelines/", system_tags=["pipeline"],
        include_stats_filter={"system_tags": ["pipeline"], "type": ["controller"]},
        only_fields=["name", "company", "user", "created", "basename", "system_tags", "tags", "last_update"],
    )["projects"]  # fmt: skip
    assert (project["basename"], project["stats"]["active"]["total_tasks"]) == ("nightly", 1)
    (run,) = browser.ask("tasks.get_by_id_ex", id=[browser.ids["controller"]], only_fields=[
        "id", "name", "status", "project.id", "project.name", "configuration", "hyperparams", "runtime", "system_tags",
        "runtime._pipeline_hash", "runtime.version", "last_metrics", "models.output.model.name", "execution.artifacts",
    ])["tasks"]  # fmt: skip
    assert json.loads(run["configuration"]["Pipeline"]["value"]) == GRAPH
    assert (run["runtime"]["_pipeline_hash"], run["runtime"]["version"]) == ("x:1.0", "1.0")


def test_report_pages(browser: Browser) -> None:
    """A report with what its embedded plots ask: curves and plots of a task, by the cookie alone."""
    (report,) = browser.ask("reports.get_all_ex", id=[browser.ids["report"]], only_fields=[
        "name", "status", "company.id", "user.id", "comment", "report", "tags", "system_tags", "report_assets",
        "project.name"])["tasks"]  # fmt: skip
    assert (report["status"], report["report"], report["user"]["id"]) == ("created", "# text", "default")
    assert browser.ask("reports.get_tags")["tags"] == ["r"]
    ids = browser.ids["tasks"][:1]
    curves = browser.ask("reports.get_task_data", id=ids, model_events=False,
                         scalar_metrics_iter_histogram={"metrics": [{"metric": "loss", "variants": ["train"]}],
                                                        "key": "iter"})  # fmt: skip
    assert curves["scalar_metrics_iter_histogram"]["loss"]["train"][ids[0]]["y"][-1] == 2
    assert [task["id"] for task in curves["tasks"]] == ids
    plots = browser.ask("reports.get_task_data", id=ids, model_events=False,
                        plots={"iters": 1, "metrics": [{"metric": "curve", "variants": ["c"]}]})  # fmt: skip
    assert plots["plots"]["curve"]["c"][ids[0]]["1"]["plots"][0]["plot_str"]


def test_workers_and_queues_pages(browser: Browser) -> None:
    """Who is there and what runs, how busy it was, the queues with who waits by name."""
    (worker,) = browser.ask("workers.get_all")["workers"]
    assert (worker["id"], worker["task"]["name"], worker["queues"][0]["name"]) == ("host:0", "run 0", "default")
    now = int(time.time())
    window = {"from_date": now - 3600, "to_date": now + 60, "interval": 40}
    activity = browser.ask("workers.get_activity_report", **window)
    assert max(activity["active"]["counts"]) == max(activity["total"]["counts"]) == 1
    assert len(activity["active"]["dates"]) == len(activity["active"]["counts"])
    stats = browser.ask(
        "workers.get_stats", **window, worker_ids=["host:0"], items=[{"key": "cpu_usage", "category": "avg"}]
    )
    assert max(stats["workers"][0]["metrics"][0]["stats"][0]["values"]) == 15
    (queue,) = browser.ask("queues.get_all_ex", only_fields=["display_name", "last_update", "name", "tags", "workers",
                           "entries"], count_task_entries=True, max_task_entries=1)["queues"]  # fmt: skip
    assert (queue["name"], len(queue["entries"]), queue["workers"][0]["name"]) == ("default", 1, "host:0")
    (queue,) = browser.ask("queues.get_all_ex", id=[browser.ids["queue"]], only_fields=["*", "entries.task.name"])[
        "queues"
    ]
    assert queue["entries"][0]["task"]["name"] == "waits"
    named = {"id": browser.ids["queue"], "name": "default"}
    assert browser.ask("queues.get_by_task_id", task=queue["entries"][0]["task"]["id"]) == named
    assert browser.ask("queues.get_by_task_id", task=browser.ids["tasks"][0]) == {}
    lengths = browser.ask("queues.get_queue_metrics", **window, queue_ids=[browser.ids["queue"]])["queues"][0]
    assert max(lengths["queue_lengths"]) == 1
    assert browser.ask("serving.get_endpoints") == {"endpoints": []}
    assert "credentials" in browser.ask("auth.get_credentials")
    assert browser.ask("server.info")["version"]
