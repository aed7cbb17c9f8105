"""The embedded server's events: what goes in comes back as a client asks for it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.embedded_server import Client, serving

pytestmark = pytest.mark.xdist_group("embedded-events")
SINGLE = -(2**31)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("events") / "data") as client:
        yield client


def task(server: Client, **fields: Any) -> str:
    return str(server.call("tasks.create", **({"name": "events", "type": "training"} | fields))["id"])


def scalar(
    owner: str, iteration: int, value: float, metric: str = "loss", variant: str = "train", **more: Any
) -> dict[str, Any]:
    return {"type": "training_stats_scalar", "task": owner, "metric": metric, "variant": variant, "iter": iteration,
            "value": value, **more}  # fmt: skip


def test_good_events_of_a_batch_are_kept_and_bad_ones_counted_by_reason(server: Client) -> None:
    """One bad event does not cost the others; a batch of bad ones is refused and keeps nothing."""
    owner = task(server)
    answer = server.events(
        scalar(owner, 1, 0.5), scalar("f" * 32, 1, 1), {"type": "zz", "task": owner}, {"task": owner}
    )
    assert (answer["added"], answer["errors"]) == (1, 3)
    assert answer["errors_info"] == {
        f"Invalid task id {'f' * 32}": 1,
        "Invalid event type zz": 1,
        "Event must have a 'type' field": 1,
    }
    code = server.error("events.add_batch", json.dumps(scalar("f" * 32, 1, 1)))
    assert code == (400, 131, f"Events not added: Invalid task id {'f' * 32}=1")
    assert server.error("events.add_batch", "")[:2] == (400, 17)


def test_a_published_task_takes_events_only_from_who_insists(server: Client) -> None:
    """`allow_locked` is needed for events of a published task."""
    owner = task(server)
    for step in ("started", "stopped", "publish"):
        server.call(f"tasks.{step}", task=owner)
    assert server.error("events.add", scalar(owner, 1, 1))[:2] == (400, 131)
    assert server.call("events.add", **scalar(owner, 1, 1, allow_locked=True))["added"] == 1


POINTS = st.lists(st.tuples(st.integers(-5, 40), st.floats(-1e6, 1e6, allow_nan=False)), min_size=1, max_size=60)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(points=POINTS, cut=st.integers(1, 20))
def test_a_curve_is_the_last_point_of_each_iteration(server: Client, points: list[tuple[int, float]], cut: int) -> None:
    """However points are batched: a later one replaces an earlier one of its iteration; last metrics count them all."""
    owner = task(server)
    for start in range(0, len(points), cut):
        server.events(*(scalar(owner, iteration, value) for iteration, value in points[start : start + cut]))
    expected = dict(points)
    curve = server.call("events.scalar_metrics_iter_histogram", task=owner)["loss"]["train"]
    assert curve["x"] == sorted(expected)
    assert curve["y"] == [expected[x] for x in curve["x"]]
    values = [value for _, value in points]
    last = next(iter(next(iter(server.call("tasks.get_by_id", task=owner)["task"]["last_metrics"].values())).values()))
    assert (last["count"], last["min_value"], last["max_value"]) == (len(points), min(values), max(values))
    assert last["first_value"] == values[0]
    assert last["mean_value"] == pytest.approx(statistics.fmean(values), abs=0.006)


def test_a_long_curve_is_thinned_to_what_was_asked_for(server: Client) -> None:
    """At most `samples` points, from the first iteration on, each the mean of its equal step; 0 gives all."""
    owner = task(server)
    for start in range(0, 20_000, 5_000):
        server.events(*(scalar(owner, number, float(number)) for number in range(start, start + 5_000)))
    for samples in (1, 10, 777, 6_000):
        curve = server.call("events.scalar_metrics_iter_histogram", task=owner, samples=samples)["loss"]["train"]
        step = -(-20_000 // samples)
        assert len(curve["x"]) <= samples
        assert curve["x"] == list(range(0, 20_000, step))
        assert curve["y"] == pytest.approx([(x + min(x + step, 20_000) - 1) / 2 for x in curve["x"]])
    assert len(server.call("events.scalar_metrics_iter_histogram", task=owner)["loss"]["train"]["x"]) <= 6_000
    whole = server.call("events.scalar_metrics_iter_histogram", task=owner, samples=0)["loss"]["train"]
    assert whole["x"] == list(range(20_000))


def test_raw_points_come_in_batches_that_end(server: Client) -> None:
    """A scroll through raw points gives each once and then nothing."""
    owner = task(server)
    server.events(*(scalar(owner, number, number / 2, variant=variant) for variant in "ab" for number in range(500)))
    got: dict[str, list[int]] = {}
    scroll = None
    for _ in range(20):
        page = server.call("events.scalar_metrics_iter_raw", task=owner, metric={"metric": "loss"}, batch_size=130,
                           count_total=True, **({"scroll_id": scroll} if scroll else {}))  # fmt: skip
        assert page["total"] == 1000
        if not page["returned"]:
            break
        for variant, points in page["variants"].items():
            got.setdefault(variant, []).extend(points["iter"])
        scroll = page["scroll_id"]
    assert got == {"a": list(range(500)), "b": list(range(500))}
    assert (
        server.error(
            "events.scalar_metrics_iter_raw", {"task": owner, "metric": {"metric": "loss"}, "scroll_id": "zz"}
        )[1]
        == 1104
    )


def test_single_values_are_no_curve(server: Client) -> None:
    """A value without an iteration is read as a single value and left out of curves."""
    owner, other = task(server), task(server, name="without")
    server.events(scalar(owner, SINGLE, 0.93, "Summary", "accuracy"), scalar(owner, 3, 1.0))
    assert list(server.call("events.scalar_metrics_iter_histogram", task=owner)) == ["loss"]
    values = server.call("events.get_task_single_value_metrics", tasks=[owner, other])["tasks"]
    assert [(item["task"], item["values"][0]["variant"], item["values"][0]["value"]) for item in values] == [
        (owner, "accuracy", 0.93)
    ]


def test_tasks_are_compared_by_metric_variant_and_task(server: Client) -> None:
    """Curves of several tasks share a tree; metrics can be picked; one unknown task and nothing is told."""
    first, second = task(server, name="first"), task(server, name="second")
    server.events(scalar(first, 1, 1.0), scalar(second, 1, 2.0), scalar(second, 1, 3.0, "acc"))
    tree = server.call("events.multi_task_scalar_metrics_iter_histogram", tasks=[first, second])["metrics"]
    assert {task: curve["name"] for task, curve in tree["loss"]["train"].items()} == {first: "first", second: "second"}
    picked = server.call(
        "events.multi_task_scalar_metrics_iter_histogram", tasks=[first, second], metrics=[{"metric": "acc"}]
    )
    assert list(picked["metrics"]) == ["acc"]
    unknown = {"tasks": [first, "f" * 32]}
    assert server.error("events.multi_task_scalar_metrics_iter_histogram", unknown)[:2] == (400, 101)


def test_the_log_pages_both_ways_and_can_be_cleared(server: Client) -> None:
    """Newest first by default, from a time on in either direction, whole as a file, cleared by age."""
    owner = task(server)
    server.events(
        *({"type": "log", "task": owner, "msg": f"line {n}", "timestamp": 1_700_000_000_000 + n} for n in range(10))
    )

    def lines(**body: Any) -> list[str]:
        return [event["msg"] for event in server.call("events.get_task_log", task=owner, **body)["events"]]

    assert lines(batch_size=3) == ["line 9", "line 8", "line 7"]
    assert lines(batch_size=3, from_timestamp=1_700_000_000_007) == ["line 6", "line 5", "line 4"]
    assert lines(batch_size=2, navigate_earlier=False) == ["line 0", "line 1"]
    assert lines(batch_size=2, navigate_earlier=False, from_timestamp=1_700_000_000_001) == ["line 2", "line 3"]
    assert lines(batch_size=2, order="asc") == ["line 8", "line 9"]
    text = server.send("events.download_task_log", {"task": owner, "line_format": "{asctime} {msg}"}).text
    assert text.splitlines()[0] == "1700000000000 line 0"
    assert server.call("events.clear_task_log", task=owner, threshold_sec=10**9)["deleted"] == 0
    assert server.call("events.clear_task_log", task=owner)["deleted"] == 10
    assert lines() == []


def test_debug_samples_are_walked_by_iteration_and_variant(server: Client) -> None:
    """Windows of iterations go backwards until nothing is left; single samples step by variant and by iteration."""
    owner = task(server)
    server.events(
        *(
            {"type": "training_debug_image", "task": owner, "metric": "img", "variant": variant, "iter": number,
             "url": f"http://files/{variant}{number}"}
            for number in range(5) for variant in "ab"
        )
    )  # fmt: skip
    seen, scroll = [], None
    for _ in range(3):
        page = server.call("events.debug_images", metrics=[{"task": owner, "metric": "img"}], iters=2, scroll_id=scroll)
        scroll = page["scroll_id"]
        seen.append([(found["iter"], len(found["events"])) for found in page["metrics"][0]["iterations"]])
    assert seen == [[(4, 2), (3, 2)], [(2, 2), (1, 2)], [(0, 2)]]
    newer = server.call(
        "events.debug_images", metrics=[{"task": owner}], iters=2, scroll_id=scroll, navigate_earlier=False
    )
    assert [found["iter"] for found in newer["metrics"][0]["iterations"]] == [2, 1]
    sample = server.call("events.get_debug_image_sample", task=owner, metric="img", variant="b")
    assert (sample["event"]["iter"], sample["min_iteration"], sample["max_iteration"]) == (4, 0, 4)
    steps = []
    for body in ({}, {}, {"navigate_earlier": False}, {"next_iteration": True}):
        sample = server.call("events.next_debug_image_sample", task=owner, scroll_id=sample["scroll_id"], **body)
        steps.append((sample["event"]["iter"], sample["event"]["variant"]))
    assert steps == [(4, "a"), (3, "b"), (4, "a"), (3, "a")]


def test_a_reused_file_shows_only_its_last_sample(server: Client) -> None:
    """Clients write samples to a fixed number of files in turn: what a file showed before is gone."""
    owner = task(server)
    for number in range(4):
        server.call("events.add", type="training_debug_image", task=owner, metric="img", variant="v", iter=number,
                    url=f"http://files/{number % 2}")  # fmt: skip
    page = server.call("events.debug_images", metrics=[{"task": owner}], iters=10)
    assert [found["iter"] for found in page["metrics"][0]["iterations"]] == [3, 2]


def test_plots_are_the_latest_of_each_metric(server: Client) -> None:
    """`iters` latest plots of every metric and variant; several tasks nested under metric, variant, task, iteration."""
    owner, other = task(server), task(server, name="other")
    for number in range(3):
        for metric in ("one", "two"):
            server.call("events.add", type="plot", task=owner, metric=metric, variant="v", iter=number, plot_str="{}")
    server.call("events.add", type="plot", task=other, metric="one", variant="v", iter=9, plot_str="{}")
    latest = server.call("events.get_task_plots", task=owner)
    assert [(plot["metric"], plot["iter"], plot["plot_len"]) for plot in latest["plots"]] == [
        ("one", 2, 2),
        ("two", 2, 2),
    ]
    assert server.call("events.get_task_plots", task=owner, iters=2)["total"] == 4
    tree = server.call("events.get_multi_task_plots", tasks=[owner, other], metrics=[{"metric": "one"}])["plots"]
    assert {task: list(found) for task, found in tree["one"]["v"].items()} == {owner: ["2"], other: ["9"]}
    names = server.call("events.get_multi_task_metrics", tasks=[owner, other], event_type="plot")["metrics"]
    assert names == [{"metric": "one", "variants": ["v"]}, {"metric": "two", "variants": ["v"]}]


def test_all_events_of_a_task_can_be_listed_and_deleted(server: Client) -> None:
    """A scroll over every type ends; deletion takes events and last metrics along."""
    owner = task(server)
    server.events(*(scalar(owner, number, 1.0) for number in range(7)), {"type": "log", "task": owner, "msg": "x"},
                  {"type": "plot", "task": owner, "metric": "p", "variant": "v", "iter": 1, "plot_str": "{}"},
                  {"type": "training_stats_vector", "task": owner, "metric": "q", "variant": "v", "iter": 1, "values": [1, 2]})  # fmt: skip
    kinds: list[str] = []
    scroll = None
    while True:
        page = server.call("events.get_task_events", task=owner, batch_size=3, scroll_id=scroll)
        assert page["total"] == 10
        if not page["returned"]:
            break
        kinds += [event["type"] for event in page["events"]]
        scroll = page["scroll_id"]
    assert sorted(set(kinds)) == ["log", "plot", "training_stats_scalar", "training_stats_vector"]
    assert len(kinds) == 10
    vector = server.call("events.vector_metrics_iter_histogram", task=owner, metric="q", variant="v")["images"]
    assert [item["values"] for item in vector] == [[1, 2]]
    assert server.call("events.delete_for_task", task=owner)["deleted"] == 10
    assert server.call("events.get_task_events", task=owner)["total"] == 0
    assert server.call("tasks.get_by_id", task=owner)["task"]["last_metrics"] == {}


def test_models_have_events_of_their_own(server: Client) -> None:
    """Events marked as a model's belong to the model, its last metrics included; logs of models are refused."""
    model = str(server.call("models.create", name="model", uri="http://x/m", ready=False)["id"])
    server.events(scalar(model, 1, 0.25, model_event=True))
    curve = server.call("events.scalar_metrics_iter_histogram", task=model, model_events=True)
    assert curve["loss"]["train"]["y"] == [0.25]
    assert server.call("models.get_by_id", model=model)["model"]["last_iteration"] == 1
    log = {"type": "log", "task": model, "model_event": True, "msg": "x"}
    assert server.error("events.add", log)[2] == "Events not added: Task log events are not supported for models=1"
