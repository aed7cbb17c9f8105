"""The embedded server's queues, workers, models, reports and pipelines over HTTP."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from server.embedded import schemas
from tests.contract.embedded_server import Client, serving

pytestmark = pytest.mark.xdist_group("embedded-registry")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("registry") / "data") as client:
        yield client


def tasks(server: Client, count: int, **fields: Any) -> list[str]:
    return [str(server.call("tasks.create", name=f"task {n}", type="training", **fields)["id"]) for n in range(count)]


def order(server: Client, queue: str) -> list[str]:
    return [entry["task"] for entry in server.call("queues.get_by_id", queue=queue)["queue"]["entries"]]


def test_every_waiting_task_is_handed_out_once_and_in_order(server: Client) -> None:
    """Eight workers that pull at once get every task exactly once."""
    queue = server.call("queues.create", name="pulled")["id"]
    waiting = tasks(server, 60)
    for task in waiting:
        server.call("tasks.enqueue", task=task, queue=queue)
    assert order(server, queue) == waiting
    got: list[list[str]] = [[] for _ in range(8)]

    def pull(number: int) -> None:
        while entry := server.call("queues.get_next_task", queue=queue).get("entry"):
            got[number].append(entry["task"])

    threads = [threading.Thread(target=pull, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(task for found in got for task in found) == sorted(waiting)
    for found in got:
        assert [waiting.index(task) for task in found] == sorted(waiting.index(task) for task in found)


def test_waiting_tasks_can_be_moved(server: Client) -> None:
    """Forward, backward, to the front and to the back; the answer says where the task is now."""
    queue = server.call("queues.create", name="moved")["id"]
    a, b, c, d = tasks(server, 4)
    for task in (a, b, c, d):
        server.call("queues.add_task", queue=queue, task=task)
    steps = [
        ("forward", c, {}, 1, [a, c, b, d]), ("forward", d, {"count": 9}, 0, [d, a, c, b]),
        ("backward", d, {"count": 2}, 2, [a, c, d, b]), ("to_front", b, {}, 0, [b, a, c, d]), ("to_back", b, {}, 3, [a, c, d, b]),
    ]  # fmt: skip
    for way, task, body, position, expected in steps:
        assert server.call(f"queues.move_task_{way}", queue=queue, task=task, **body) == {"position": position}
        assert order(server, queue) == expected
    for _ in range(70):  # positions are halved again and again
        server.call("queues.move_task_forward", queue=queue, task=d)
        server.call("queues.move_task_backward", queue=queue, task=d)
    assert sorted(order(server, queue)) == sorted([a, b, c, d])
    assert server.error("queues.move_task_to_front", {"queue": queue, "task": "f" * 32})[1] == 703


def test_a_cleared_or_deleted_queue_lets_its_tasks_go(server: Client) -> None:
    """Tasks that no longer wait have the status from before; a queue with tasks is deleted only with force."""
    queue = server.call("queues.create", name="cleared", tags=["x"])["id"]
    first, second = tasks(server, 2)
    for task in (first, second):
        server.call("tasks.enqueue", task=task, queue=queue)
    assert server.call("queues.peek_task", queue=queue) == {"task": first}
    assert server.call("queues.clear_queue", queue=queue) == {"removed_tasks": [first, second]}
    assert server.call("tasks.get_by_id", task=first)["task"]["status"] == "created"
    server.call("tasks.enqueue", task=first, queue=queue)
    assert server.error("queues.delete", {"queue": queue})[1] == 702
    assert server.call("queues.delete", queue=queue, force=True) == {"deleted": 1}
    assert server.call("tasks.get_by_id", task=first)["task"]["status"] == "created"
    server.call("tasks.enqueue", task=first, queue=server.call("queues.create", name="kept")["id"])
    metrics = server.call(
        "queues.get_queue_metrics", from_date=time.time() - 600, to_date=time.time() + 60, interval=60
    )
    assert metrics["queues"][0]["queue"] == "total"


def test_queues_are_edited_and_carry_metadata(server: Client) -> None:
    """Name, tags and metadata change; a name is one queue's only."""
    queue = server.call("queues.create", name="edited")["id"]
    assert server.call("queues.update", queue=queue, name="renamed", tags=["b", "a"])["fields"]["tags"] == ["a", "b"]
    assert server.error("queues.create", {"name": "renamed"})[1] == 801
    server.call(
        "queues.add_or_update_metadata", queue=queue, metadata=[{"key": "k", "type": "str", "value": "v"}, {"key": "l"}]
    )
    server.call("queues.delete_metadata", queue=queue, keys=["l"])
    found = server.call("queues.get_all_ex", name="^renamed$", only_fields=["*"])["queues"][0]
    assert found["metadata"] == {"k": {"key": "k", "type": "str", "value": "v"}}
    assert (found["company"].keys(), found["workers"]) == ({"id": None}.keys(), [])


def test_workers_are_shown_with_what_they_run_and_how_their_machine_does(server: Client) -> None:
    """A report keeps a worker alive, its statistics add up by interval, and it can be unregistered."""
    queue = server.call("queues.create", name="worked")["id"]
    (task,) = tasks(server, 1)
    server.call("workers.register", worker="host:0", queues=[queue], tags=["gpu"])
    server.call("tasks.started", task=task)
    server.call("workers.status_report", worker="host:0", timestamp=int(time.time()), task=task, queue=queue, queues=[queue],
                machine_stats={"cpu_usage": [10, 30], "memory_used": 5})  # fmt: skip
    (shown,) = server.call("workers.get_all", last_seen=60)["workers"]
    assert (shown["id"], shown["task"]["id"], shown["queue"]["name"], shown["tags"]) == (
        "host:0",
        task,
        "worked",
        ["gpu"],
    )
    assert server.call("workers.get_count", tags=["-gpu"]) == {"count": 0}
    keys = server.call("workers.get_metric_keys")["categories"]
    assert {item["name"]: item["metric_keys"] for item in keys} == {"cpu": ["cpu_usage"], "memory": ["memory_used"]}
    span = {"from_date": time.time() - 120, "to_date": time.time() + 120, "interval": 30}
    stats = server.call("workers.get_stats", items=[{"key": "cpu_usage", "category": "max"}], **span)["workers"]
    assert max(stats[0]["metrics"][0]["stats"][0]["values"]) == 30
    activity = server.call("workers.get_activity_report", **span)
    assert (sum(activity["total"]["counts"]), sum(activity["active"]["counts"])) == (1, 1)
    server.call("workers.unregister", worker="host:0")
    assert server.call("workers.get_all")["workers"] == []


def test_a_model_in_use_or_published_with_its_task_is_kept_without_force(server: Client) -> None:
    """Deleting needs force while tasks use the model; they are left with a mark, and the events go too."""
    model = server.call("models.create", name="model", uri="http://x/m", ready=False)["id"]
    (user,) = tasks(server, 1, models={"input": [{"name": "in", "model": model}], "output": []})
    assert server.error("models.delete", {"model": model})[:2] == (400, 205)
    assert server.call("models.delete", model=model, force=True) == {"deleted": True, "url": "http://x/m"}
    used = server.call("tasks.get_by_id", task=user)["task"]["models"]["input"]
    assert used[0]["model"] == f"__DELETED__{model}"
    assert server.error("models.get_by_id", {"model": model})[:2] == (400, 201)


def test_publishing_a_model_publishes_its_task_unless_told_not_to(server: Client) -> None:
    """The task that made the model goes along; a task that may not be published keeps the model back too."""
    stopped, running = tasks(server, 2)
    server.call("tasks.started", task=stopped)
    server.call("tasks.stopped", task=stopped)
    server.call("tasks.started", task=running)
    first, second = (
        server.call("models.create", name="model", uri="http://x", ready=False, task=task)["id"]
        for task in (stopped, running)
    )
    answer = server.call("models.set_ready", model=first)
    assert answer["published_task"]["id"] == stopped
    assert server.call("tasks.get_by_id", task=stopped)["task"]["status"] == "published"
    assert server.error("models.set_ready", {"model": first})[1] == 203
    assert server.error("models.set_ready", {"model": second})[1] == 110
    assert server.call("models.get_by_id", model=second)["model"]["ready"] is False
    assert server.call("models.set_ready", model=second, publish_task=False)["updated"] == 1


def test_models_are_tagged_moved_archived_and_found_by_metadata(server: Client) -> None:
    """Lists filter by tags, project, archive and metadata values; several models change in one call."""
    ids = [
        server.call("models.create", name=f"found {n}", uri=f"http://x/{n}", framework="PyTorch")["id"]
        for n in range(3)
    ]
    server.call("models.update_tags", ids=ids, add_tags=["prod", "new"])
    server.call("models.update_tags", ids=ids[:1], remove_tags=["prod"])
    project = server.call("models.move", ids=ids[1:], project_name="models of test/inner")["project_id"]
    server.call("models.add_or_update_metadata", model=ids[2], metadata=[{"key": "k", "type": "str", "value": "v"}])
    answer = server.call("models.archive_many", ids=[ids[1], "f" * 32])
    assert ([item["id"] for item in answer["succeeded"]], answer["failed"][0]["error"]["codes"]) == (
        [ids[1]],
        [400, 201],
    )

    def found(**filters: Any) -> list[str]:
        return [model["id"] for model in server.call("models.get_all_ex", order_by=["name"], **filters)["models"]]

    assert found(tags=["prod"]) == ids[1:]
    assert found(tags=["new", "-prod"]) == ids[:1]
    assert found(project=[project], system_tags=["-archived"]) == [ids[2]]
    assert found(**{"metadata.k.value": "v"}) == [ids[2]]
    assert "PyTorch" in server.call("models.get_frameworks", projects=[project])["frameworks"]


def test_a_report_lives_in_the_hidden_project_of_its_project(server: Client) -> None:
    """Reports are listed by their project, edited until published, archived and deleted."""
    project = server.call("projects.create", name="with reports", description="d")["id"]
    made = server.call("reports.create", name="report", report="# text", tags=["r"], project=project)
    assert server.call("projects.get_by_id", project=made["project_id"])["project"]["name"] == "with reports/.reports"
    listed = server.call("reports.get_all_ex", project=[project], only_fields=["name", "project.name", "report"])[
        "tasks"
    ]
    assert [(item["name"], item["project"]["name"]) for item in listed] == [("report", "with reports/.reports")]
    assert server.call("reports.get_tags")["tags"] == ["r"]
    server.call("reports.update", task=made["id"], report="# other")
    server.call("reports.publish", task=made["id"])
    assert server.error("reports.update", {"task": made["id"], "report": "x"})[1] == 110
    moved = server.call("reports.move", task=made["id"], project_name="elsewhere of reports")["project_id"]
    assert moved != made["project_id"]
    assert server.call("reports.archive", task=made["id"]) == {"archived": 1}
    assert server.call("reports.delete", task=made["id"]) == {"deleted": 1}
    (plain,) = tasks(server, 1)
    assert server.error("reports.update", {"task": plain, "report": "x"})[1] == 101


def test_report_data_is_the_tasks_and_what_they_reported(server: Client) -> None:
    """One call gives tasks with curves, plots, samples and single values, each only when asked for."""
    (task,) = tasks(server, 1, tags=["charted"])
    server.events(
        {"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "iter": 1, "value": 2.0},
        {"type": "plot", "task": task, "metric": "p", "variant": "v", "iter": 1, "plot_str": "{}"},
        {"type": "training_debug_image", "task": task, "metric": "i", "variant": "v", "iter": 1, "url": "http://x"},
    )
    data = server.call("reports.get_task_data", tags=["charted"], plots={"iters": 1}, debug_images={"iters": 1},
                       scalar_metrics_iter_histogram={}, only_fields=["name"])  # fmt: skip
    assert [item["id"] for item in data["tasks"]] == [task]
    assert data["scalar_metrics_iter_histogram"]["m"]["v"][task]["y"] == [2.0]
    assert list(data["plots"]["p"]["v"][task]) == ["1"]
    assert data["debug_images"][0]["iterations"][0]["iter"] == 1
    assert "single_value_metrics" not in data


def test_a_pipeline_runs_again_with_other_arguments(server: Client) -> None:
    """A start is a queued copy of the controller; runs are deleted with their steps, the last one stays."""
    project = server.call("projects.create", name="pipelines/.pipelines/ppp", description="d")["id"]
    params = {"Args": {"n": {"section": "Args", "name": "n", "value": "1"}}}
    first = server.call(
        "tasks.create",
        name="pipeline",
        type="controller",
        project=project,
        system_tags=["pipeline"],
        hyperparams=params,
    )["id"]
    started = server.call(
        "pipelines.start_pipeline", task=first, args=[{"name": "n", "value": "2"}], verify_watched_queue=True
    )
    assert (started["enqueued"], started["queue_watched"]) == (True, False)
    copy = server.call("tasks.get_by_id", task=started["pipeline"])["task"]
    assert (copy["status"], copy["hyperparams"]["Args"]["n"]["value"]) == ("queued", "2")
    step = server.call("tasks.create", name="step", type="training", parent=first)["id"]
    assert server.error("pipelines.delete_runs", {"ids": [first, copy["id"]], "project": project})[1] == 12
    assert [item["id"] for item in server.call("pipelines.delete_runs", ids=[first], project=project)["succeeded"]] == [
        first
    ]
    assert server.error("tasks.get_by_id", {"task": step})[1] == 101


def test_request_schemas_know_what_the_clients_schemas_require() -> None:
    """What the SDK's own request schemas require, ours require too or say why not."""
    lenient = {
        "events.debug_images": "older versions of it take a task instead",
        "projects.get_hyper_parameters": "recorded to answer without a project",
        "projects.get_model_metadata_keys": "as get_hyper_parameters",
    }  # fmt: skip
    checked = 0
    for service in ("tasks", "events", "models", "projects", "queues", "workers"):
        module = importlib.import_module(f"clearml.backend_api.services.v2_23.{service}")
        for name in dir(module):
            request = getattr(module, name)
            schema = getattr(request, "_schema", None)
            action = getattr(request, "_action", None)
            if not name.endswith("Request") or not isinstance(schema, dict) or action not in schemas.lines(service):
                continue
            if f"{service}.{action}" in lenient:
                continue
            rules = schemas._rules(f"{service}.{action}")
            required = set(schema.get("required", ()))
            assert required <= {field for field, rule in rules.items() if rule.required}, f"{service}.{action}"
            checked += 1
    assert checked > 80
