"""Two workers of one name are refused before anything starts."""

from __future__ import annotations

import threading
import uuid

import httpx
import pytest

from flows.commands.errors import StateError
from flows.commands.prefect_api import make_pool, require_sole_worker

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture
def pool(prefect_server):
    """A work pool of its own, and how a worker is heard in it."""
    name = f"pool-{uuid.uuid4().hex[:6]}"
    env = {"PREFECT_API_URL": prefect_server}
    make_pool(env, name)

    def beat(worker: str) -> None:
        body = {"name": worker, "heartbeat_interval_seconds": 2}
        httpx.post(f"{prefect_server}/work_pools/{name}/workers/heartbeat", json=body, timeout=60)

    yield env, name, beat
    httpx.delete(f"{prefect_server}/work_pools/{name}", timeout=60)


def test_a_worker_of_the_same_name_that_lives_is_named(pool):
    """It is heard again while we look: the error names it, its pool and what to do."""
    env, name, beat = pool
    beat("local")
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(0.2):
            beat("local")

    other = threading.Thread(target=live)
    other.start()
    try:
        with pytest.raises(StateError, match=rf"worker named 'local' is alive in work pool '{name}'.*Stop it"):
            require_sole_worker(env, name, "local")
        require_sole_worker(env, name, "another")
    finally:
        stop.set()
        other.join()


def test_a_worker_that_died_lately_or_never_was_stands_in_nobodys_way(pool):
    """After a crash the same name may start again at once; in a new pool too."""
    env, name, beat = pool
    require_sole_worker(env, name, "local")
    beat("local")
    require_sole_worker(env, name, "local")
