"""Queues, the unmodified agent, pipelines, schedulers, optimisation and data sets, as the SDK and the agent do them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.clearml.conftest import Scenario

pytestmark = pytest.mark.xdist_group("clearml-agent")
AGENT_CONFIG = """
agent.worker_name: contract
agent.package_manager.system_site_packages: true
agent.package_manager.type: pip
sdk.development.report_use_subprocess: false
"""


@pytest.fixture(scope="module")
def agent(clearml_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """An unmodified `clearml-agent daemon` on the queue `contract`, running tasks in this environment."""
    folder = tmp_path_factory.mktemp("agent")
    (folder / "clearml.conf").write_text(AGENT_CONFIG)
    environment = {
        **os.environ, **clearml_env, "CLEARML_CONFIG_FILE": str(folder / "clearml.conf"), "HOME": str(folder),
        "CLEARML_AGENT_SKIP_PIP_VENV_INSTALL": sys.executable, "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1", "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "1",
        "PYTHONPATH": "",
    }  # fmt: skip
    log = (folder / "agent.log").open("wb")
    command = [
        str(Path(sys.executable).with_name("clearml-agent")), "daemon", "--queue", "contract", "--create-queue",
        "--foreground", "--services-mode", "4",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    yield process
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    log.close()


def test_tasks_leave_a_queue_in_order_and_once(scenario: Scenario) -> None:
    """Of many workers that ask at once, each waiting task goes to exactly one, first come first served."""
    found = scenario("""
        from concurrent.futures import ThreadPoolExecutor
        from clearml import Task
        queue = call("queues", "create", name=f"race {time.time()}")["data"]["id"]
        tasks = [Task.create("contract/queue", f"waiting {n}") for n in range(12)]
        for task in tasks:
            Task.enqueue(task, queue_id=queue)
        again = call("tasks", "enqueue", task=tasks[0].id, queue=queue)["meta"]["result_subcode"]
        waiting = [e["task"] for e in call("queues", "get_by_id", queue=queue)["data"]["queue"]["entries"]]
        Task.dequeue(tasks[5])
        def take(_):
            return call("queues", "get_next_task", queue=queue)["data"].get("entry", {}).get("task")
        with ThreadPoolExecutor(6) as pool:
            taken = [task for task in pool.map(take, range(20)) if task]
        answer(
            order=waiting == [task.id for task in tasks], again=again,
            taken=sorted(taken) == sorted(task.id for n, task in enumerate(tasks) if n != 5),
            dequeued=Task.get_task(tasks[5].id).get_status(), first=take(0),
        )
    """)
    assert found == {"order": True, "again": 706, "taken": True, "dequeued": "created", "first": None}


def test_an_agent_pulls_a_task_and_runs_it(scenario: Scenario, agent: subprocess.Popen[bytes]) -> None:
    """A script that sends itself to a queue is run there by the agent, with the edited parameters of its clone too."""
    found = scenario(
        """
        run("remote.py", '''
            from clearml import Task
            task = Task.init("contract/agent", "remote")
            params = task.connect({"n": 3})
            task.execute_remotely("contract", exit_process=True)
            task.get_logger().report_scalar("result", "n", int(params["n"]) * 2, 0)
            print("ran remotely")
        ''')
        from clearml import Task
        first = Task.get_task(project_name="contract/agent", task_name="remote")
        first.wait_for_status(check_interval_sec=1)
        second = Task.clone(first, name="remote copy")
        second.set_parameter("General/n", 21)
        Task.enqueue(second, queue_name="contract")
        second.wait_for_status(check_interval_sec=1)
        values = [t.get_last_scalar_metrics()["result"]["n"]["last"] for t in (first, second)]
        time.sleep(1)
        log = "".join(Task.get_task(first.id).get_reported_console_output(100))
        answer(values=values, statuses=[first.get_status(), second.get_status()], log="ran remotely" in log,
               worker=Task.get_task(first.id).data.last_worker)
    """,
        timeout=400,
    )
    assert found["values"] == [6, 42]
    assert found["statuses"] == ["completed", "completed"]
    assert found["log"]
    assert found["worker"].startswith("contract")


def test_a_pipeline_runs_through_a_queue(scenario: Scenario, agent: subprocess.Popen[bytes]) -> None:
    """A `PipelineController` whose steps go through the queue ends completed, values passed from step to step."""
    found = scenario(
        """
        from clearml import PipelineController, Task
        def one(x):
            return int(x) + 1
        def two(y):
            return y * 10
        pipe = PipelineController(name="queued pipe", project="contract/pipes", version="1.0.0", add_pipeline_tags=True)
        pipe.set_default_execution_queue("contract")
        pipe.add_parameter("start", 1)
        pipe.add_function_step("first", one, function_kwargs={"x": "${pipeline.start}"}, function_return=["y"])
        pipe.add_function_step("second", two, function_kwargs={"y": "${first.y}"}, function_return=["z"], parents=["first"])
        pipe.start_locally(run_pipeline_steps_locally=False)
        nodes = pipe.get_processed_nodes()
        statuses = {name: Task.get_task(node.executed).get_status() for name, node in nodes.items()}
        result = Task.get_task(nodes["second"].executed).get_parameter("return/z")
        task = Task.get_task(pipe.id)
        project = task.get_project_name()
        pipe.stop()
        answer(statuses=statuses, result=int(result), project=project, graph="first" in task.get_configuration_object("Pipeline"),
               status=Task.get_task(pipe.id).get_status(), tags=task.get_system_tags())
    """,
        timeout=400,
    )
    assert found["statuses"] == {"first": "completed", "second": "completed"}
    assert found["result"] == 20
    assert found["project"] == "contract/pipes/.pipelines/queued pipe"
    assert found["graph"]
    assert "pipeline" in found["tags"]


def test_an_optimizer_finds_the_best_of_its_trials(scenario: Scenario, agent: subprocess.Popen[bytes]) -> None:
    """`HyperParameterOptimizer` clones, queues and compares trials by a metric."""
    found = scenario(
        """
        from clearml import Task
        from clearml.automation import DiscreteParameterRange, HyperParameterOptimizer, GridSearch
        run("trial.py", '''
            from clearml import Task
            task = Task.init("contract/hpo", "trial")
            params = task.connect({"x": 1})
            task.get_logger().report_scalar("score", "v", -abs(float(params["x"]) - 2), 0)
        ''')
        base = Task.get_task(project_name="contract/hpo", task_name="trial")
        Task.init("contract/hpo", "optimizer", task_type=Task.TaskTypes.optimizer)
        search = HyperParameterOptimizer(
            base_task_id=base.id, hyper_parameters=[DiscreteParameterRange("General/x", [1, 2, 4])],
            objective_metric_title="score", objective_metric_series="v", objective_metric_sign="max",
            max_number_of_concurrent_tasks=3, optimizer_class=GridSearch, execution_queue="contract",
            total_max_jobs=3, pool_period_min=0.05, compute_time_limit=None, max_iteration_per_job=None,
        )
        search.set_report_period(0.05)
        search.start()
        search.wait(timeout=2.5)
        best = search.get_top_experiments(1)[0]
        count = len(search.get_top_experiments(10))
        search.stop()
        answer(best=best.get_parameter("General/x"), count=count)
    """,
        timeout=400,
    )
    assert found == {"best": "2", "count": 3}


WAITING = """
        import threading
        from clearml import Task
        from clearml.automation import TaskScheduler, TriggerScheduler
        queue = call("queues", "create", name=f"scheduled {time.time()}")["data"]["id"]
        base = Task.create("contract/schedule", "base")
        often = {"sync_frequency_minutes": 0.02, "force_create_task_project": "contract/schedule"}
        def until(n):
            end = time.time() + 120
            while time.time() < end and call("queues", "get_num_entries", queue=queue)["data"]["num"] < n:
                time.sleep(0.3)
            return call("queues", "get_num_entries", queue=queue)["data"]["num"]
"""


def test_a_scheduler_launches_on_time(scenario: Scenario) -> None:
    """`TaskScheduler` clones a task and puts it into its queue when it is due."""
    found = scenario(
        WAITING
        + """
        scheduler = TaskScheduler(force_create_task_name="scheduler", **often)
        scheduler.add_task(name="soon", schedule_task_id=base.id, queue=queue, execute_immediately=True, minute=30)
        threading.Thread(target=scheduler.start, daemon=True).start()
        answer(launched=until(1))
        os._exit(0)
    """
    )
    assert found == {"launched": 1}


def test_a_trigger_launches_on_an_event(scenario: Scenario) -> None:
    """`TriggerScheduler` puts a task into its queue when another one of the project completes."""
    found = scenario(
        WAITING
        + """
        trigger = TriggerScheduler(pooling_frequency_minutes=0.02, force_create_task_name="trigger", **often)
        trigger.add_task_trigger(
            name="done", schedule_task_id=base.id, schedule_queue=queue, trigger_project="contract/schedule",
            trigger_on_status=["completed"],
        )
        threading.Thread(target=trigger.start, daemon=True).start()
        time.sleep(3)
        before = call("queues", "get_num_entries", queue=queue)["data"]["num"]
        done = Task.create("contract/schedule", "finishing")
        done.mark_started()
        done.mark_completed()
        answer(before=before, after=until(1))
        os._exit(0)
    """
    )
    assert found == {"before": 0, "after": 1}


def test_a_data_set_has_versions(scenario: Scenario) -> None:
    """`Dataset` uploads files, a child version adds and removes, and both download as they were."""
    found = scenario("""
        from pathlib import Path
        from clearml import Dataset
        Path("in").mkdir(); Path("in/a.txt").write_text("a"); Path("in/b.txt").write_text("b")
        first = Dataset.create(dataset_project="contract/data", dataset_name="numbers", dataset_version="1.0.0")
        first.add_files("in"); first.upload(); first.finalize()
        second = Dataset.create(dataset_project="contract/data", dataset_name="numbers", parent_datasets=[first.id])
        Path("in/c.txt").write_text("c")
        second.add_files("in/c.txt"); second.remove_files("a.txt"); second.upload(); second.finalize()
        names = {}
        for version in (first.id, second.id):
            copy = Dataset.get(dataset_id=version).get_local_copy()
            names[version] = sorted(p.name for p in Path(copy).iterdir() if p.suffix == ".txt")
        newest = Dataset.get(dataset_project="contract/data", dataset_name="numbers")
        listed = Dataset.list_datasets(dataset_project="contract/data", only_completed=True)
        answer(first=names[first.id], second=names[second.id], newest=newest.id == second.id, version=newest.version,
               listed=len(listed))
    """)
    assert found["first"] == ["a.txt", "b.txt"]
    assert found["second"] == ["b.txt", "c.txt"]
    assert found["newest"]
    assert found["version"] == "1.0.1"
    assert found["listed"] == 2


def test_events_wait_for_nobody(scenario: Scenario) -> None:
    """A stop asked for from elsewhere reaches the running script."""
    found = scenario("""
        import subprocess
        code = (
            "from clearml import Task; import time; t = Task.init('contract/stop', 'long');"
            "print('up', flush=True); time.sleep(60)"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "CLEARML_DEV_STOP": "1"})
        for line in process.stdout:
            if line.strip() == "up":
                break
        from clearml import Task
        task = Task.get_task(project_name="contract/stop", task_name="long")
        before = task.get_status()
        task.mark_stop_request()
        end = time.time() + 60
        while Task.get_task(task.id).get_status() == "in_progress" and time.time() < end:
            time.sleep(0.3)
        process.kill()
        answer(before=before, after=Task.get_task(task.id).get_status())
    """)
    assert found["before"] == "in_progress"
    assert found["after"] in {"stopped", "failed"}
