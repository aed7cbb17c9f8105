"""Processes of one task that fork while others of them talk to the server."""

from __future__ import annotations

import pytest

from tests.contract.clearml.conftest import Scenario

pytestmark = pytest.mark.xdist_group("clearml")


def test_forked_workers_report_to_one_task(scenario: Scenario) -> None:
    """Workers forked from a tracked process while it reports: every answer reaches who asked, and all points are there.

    The SDK's children inherit the connections that are open at the fork. Two processes on one connection would read
    each other's answers, or wait for ever.
    """
    found = scenario("""
        import multiprocessing, threading
        from clearml import Task
        def work(n):
            task = Task.current_task()
            for step in range(5):
                task.get_logger().report_scalar("child", f"c{n}", n * 10 + step, step)
                Task.get_task(task_id=task.id).get_status()
            task.flush(wait_for_uploads=True)
            return task.id
        if __name__ == "__main__":
            task = Task.init("contract/processes", "forks")
            stop = threading.Event()
            def chatter():
                while not stop.is_set():
                    Task.get_task(task_id=task.id).get_status()
                    task.get_logger().report_scalar("parent", "p", 1, 0)
            talking = [threading.Thread(target=chatter) for _ in range(2)]
            [thread.start() for thread in talking]
            context = multiprocessing.get_context("fork")
            with context.Pool(4) as pool:
                ids = pool.map(work, range(8))
            stop.set()
            [thread.join() for thread in talking]
            task.close()
            curves = Task.get_task(task_id=task.id).get_reported_scalars()
            answer(same=set(ids) == {task.id}, status=Task.get_task(task_id=task.id).get_status(),
                   points={name: curve["y"] for name, curve in curves["child"].items()})
    """)
    assert found["same"]
    assert found["status"] == "completed"
    assert found["points"] == {f"c{n}": [n * 10 + step for step in range(5)] for n in range(8)}
