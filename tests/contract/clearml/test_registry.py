"""Models with the SDK: registered, queried, published, archived, with metadata; and queries over tasks."""

from __future__ import annotations

import pytest

from tests.contract.clearml.conftest import Scenario

pytestmark = pytest.mark.xdist_group("clearml")


def test_a_model_goes_through_its_life(scenario: Scenario) -> None:
    """An output model is uploaded, found by tag and metadata, downloaded, published and archived."""
    found = scenario("""
        from clearml import InputModel, Model, OutputModel, Task
        task = Task.init("contract/registry", "trainer", output_uri=True)
        open("weights.pkl", "wb").write(b"weights")
        model = OutputModel(task=task, name="the model", framework="ScikitLearn", tags=["candidate"])
        model.update_weights("weights.pkl", auto_delete_file=False, async_enable=False)
        model.update_labels({"background": 0, "cat": 1})
        model.set_metadata("score", 0.93, v_type="float")
        model.report_scalar("mloss", "x", 0.5, 0)
        model.report_scalar("mloss", "x", 0.25, 1)
        task.flush(wait_for_uploads=True)
        by_tag = Model.query_models(project_name="contract/registry", tags=["candidate"])
        by_data = Model.query_models(project_name="contract/registry", metadata={"score": "0.93"})
        other = Model.query_models(project_name="contract/registry", metadata={"score": "0.1"})
        copy = open(Model(model.id).get_local_copy(force_download=True), "rb").read()
        used = Task.create("contract/registry", "user")
        InputModel(model.id).connect(used)
        inputs = [m.id for m in Task.get_task(used.id).models["input"]]
        users = call("tasks", "get_all_ex", only_fields=["name"], **{"models.input.model": [model.id]})["data"]["tasks"]
        outputs = [m.id for m in Task.get_task(task.id).models["output"]]
        model.tags = ["champion"]
        model.publish()
        published = Model(model.id)
        published.archive()
        archived = [m.id for m in Model.query_models(project_name="contract/registry", include_archived=True)]
        gone = [m.id for m in Model.query_models(project_name="contract/registry")]
        task.close()
        answer(
            id=model.id, by_tag=[m.id for m in by_tag], by_data=[m.id for m in by_data], other=len(other),
            copy=copy.decode(), labels=published.labels, framework=published.framework, published=published.published,
            score=published.get_metadata("score"), tags=published.tags, inputs=inputs, outputs=outputs,
            archived=archived, gone=gone, url=published.url, users=[t["name"] for t in users],
        )
    """)
    own = [found["id"]]
    assert found["by_tag"] == found["by_data"] == found["inputs"] == found["outputs"] == found["archived"] == own
    assert (found["other"], found["gone"], found["copy"]) == (0, [], "weights")
    assert found["users"] == ["user"]
    assert found["labels"] == {"background": 0, "cat": 1}
    assert (found["framework"], found["published"], found["tags"]) == ("ScikitLearn", True, ["champion"])
    assert float(found["score"]) == 0.93


def test_queries_over_tasks(scenario: Scenario) -> None:
    """Names are patterns, tags include and exclude, order and filters reach into metrics and parameters."""
    found = scenario("""
        from clearml import Task
        for n, tags in enumerate((["x"], ["x", "y"], ["y"], [])):
            task = Task.create("contract/queries/deep", f"query {n}", "training")
            task.set_tags(tags)
            task.set_parameters({"Args/n": n})
            if n != 2:
                task.mark_started()
                task.get_logger().report_scalar("score", "v", [3, 1, 0, 2][n], 0)
                task.flush(wait_for_uploads=True)
                task.mark_completed()
        def names(**filters):
            return [t.name for t in Task.get_tasks(project_name="contract/queries/deep", **filters)]
        import hashlib
        path = "last_metrics." + ".".join(hashlib.md5(s.encode()).hexdigest() for s in ("score", "v"))
        from clearml.backend_api import Session
        def raw(filters):
            asked = {"name": "^query", "only_fields": ["name"], "order_by": ["name"], **filters}
            return [t["name"] for t in Session().send_request("tasks", "get_all_ex", json=asked).json()["data"]["tasks"]]
        def ordered(how):
            return names(task_filter={"order_by": [how]})
        answer(
            pattern=names(task_name="query [01]", task_filter={"order_by": ["name"]}),
            tag=names(tags=["x"], task_filter={"order_by": ["name"]}),
            without=names(tags=["-x"], task_filter={"order_by": ["name"]}),
            all=names(tags=["__$all", "x", "y"]),
            best=ordered("-" + path + ".value"), worst=ordered(path + ".value"),
            status=names(task_filter={"status": ["created"]}),
            between=raw({path + ".value": [1, 2]}), parameter=raw({"hyperparams.Args.n.value": ["1"]}),
            any=names(task_filter={"_any_": {"fields": ["name", "comment"], "pattern": "QUERY 3"}}),
            ids=len(Task.query_tasks(project_name="contract/queries/deep")),
            extra=Task.query_tasks(project_name="contract/queries/deep", additional_return_fields=["name", "status"],
                                   task_filter={"order_by": ["-name"]})[0]["name"],
        )
    """)
    assert found["pattern"] == ["query 0", "query 1"]
    assert found["tag"] == ["query 0", "query 1"]
    assert found["without"] == ["query 2", "query 3"]
    assert found["all"] == ["query 1"]
    assert found["best"] == ["query 0", "query 3", "query 1", "query 2"]
    assert found["worst"] == ["query 2", "query 1", "query 3", "query 0"]
    assert found["status"] == ["query 2"]
    assert found["between"] == ["query 1", "query 3"]
    assert found["parameter"] == ["query 1"]
    assert found["any"] == ["query 3"]
    assert (found["ids"], found["extra"]) == (4, "query 3")


def test_a_task_is_cloned_edited_reset_and_deleted(scenario: Scenario) -> None:
    """A clone is a draft with the parameters; a reset forgets metrics; a delete removes artifacts from the file server."""
    found = scenario("""
        import requests
        from clearml import Task
        from clearml.backend_api import Session
        task = Task.init("contract/lifecycle", "original", output_uri=True)
        task.set_parameters({"Args/a": 1})
        task.get_logger().report_scalar("m", "v", 1, 0)
        task.upload_artifact("data", {"a": 1}, wait_on_upload=True)
        task.close()
        copy = Task.clone(task.id, name="copy")
        copy.set_parameter("Args/a", 2)
        back = Task.get_task(task.id)
        url = back.artifacts["data"].url
        token = {"Authorization": f"Bearer {Session().token}"}
        before = requests.get(url, headers=token).status_code
        project = Task.get_project_id("contract/lifecycle")
        deleted = back.delete(delete_artifacts_and_models=True)
        after = requests.get(url, headers=token).status_code
        second = Task.get_task(copy.id)
        second.mark_started(); second.get_logger().report_scalar("m", "v", 5, 0); second.flush(wait_for_uploads=True)
        second.mark_completed(); second.publish()
        published = second.get_status()
        second.reset(set_started_on_success=False, force=True)
        answer(
            parameters=[copy.get_parameter("Args/a"), Task.get_task(copy.id).get_parameter("Args/a")],
            parent=copy.parent == task.id, before=before, after=after, published=published, deleted=bool(deleted),
            status=Task.get_task(copy.id).get_status(), metrics=Task.get_task(copy.id).get_last_scalar_metrics(),
            gone=len(Task.get_tasks(project_name="contract/lifecycle", task_name="original")), project=bool(project),
        )
    """)
    assert found == {
        "parameters": ["2", "2"], "parent": True, "before": 200, "after": 404, "published": "published",
        "deleted": True, "status": "created", "metrics": {}, "gone": 0, "project": True,
    }  # fmt: skip
