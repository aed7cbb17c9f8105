"""The embedded ClearML server beside an MLflow tracking server on SQLite: start, memory, ingest, pages, histogram, files.

Both peers run in the same minutes on the same disk, one worker each, through their own clients, and a point counts only
when it is read back. A page carries the same status, tag and metric filter and the same order on both sides.

What is what in `build/bench/server.json`: `events_per_s_N` is what the server accepts from N processes that send batches
their client encoded before the clock started, on both sides, for the figure is the server's; `client_events_per_s_N`
counts the client's encoding too, which with the ClearML SDK takes longer than the server does.
`MOODFLOW_BENCH=short` runs the parts of ours at a small size, without the peer.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from server.embedded import auth, database
from server.embedded.services.events import blocks
from server.embedded.services.events.store import name_id
from tests.benchmarks import mlflow_peer
from tests.benchmarks.figures import BUILD, SHORT, spread, write
from tests.benchmarks.processes import resident_mb, together
from tests.services import Service, start

RUNS = 1 if SHORT else 5
PEER_STARTS = PEER_RUNS = 3  # each takes many seconds
SIZES = {"1k": 1_000} if SHORT else {"1k": 1_000, "10k": 10_000, "100k": 100_000}
TASKS = 100 if SHORT else 10_000
POINTS = 20_000 if SHORT else 1_000_000
BATCHES = 2 if SHORT else 20  # thousands of points per client process
FILE_MB = 4 if SHORT else 128
PORTS = ("--api-port", "0", "--files-port", "0", "--web-port", "0")
CLIENT = Path(__file__).with_name("sdk_client.py")
DURABILITY = "write-ahead log, synchronous=FULL: an answer leaves after the commit is on the disk"
METRICS = 10
FIELDS = ["id", "name", "type", "status", "tags", "created", "started", "last_update", "last_iteration", "user.name",
          "project.name", "hyperparams", "last_metrics"]  # fmt: skip


def digest(name: str) -> str:
    """Hash of a metric's name, by which clients address last metrics."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


LOSS = f"last_metrics.{digest('loss')}.{digest('train')}.value"


class Server:
    """A running embedded server and an HTTP client of it."""

    def __init__(self, data: Path) -> None:
        began = time.perf_counter()
        self.service: Service = start("server.embedded", data, *PORTS)
        urls = self.service.ready["urls"]
        keys = json.loads(Path(self.service.ready["credentials"]).read_text())
        login = httpx.post(f"{urls['api']}/auth.login", auth=(keys["access_key"], keys["secret_key"]))
        self.start_s = time.perf_counter() - began
        self.token = login.json()["data"]["token"]
        self.http = httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=120)
        self.api, self.files = urls["api"], urls["files"]
        self.env = {**os.environ, "CLEARML_API_HOST": urls["api"], "CLEARML_WEB_HOST": urls["web"],
                    "CLEARML_FILES_HOST": urls["files"], "CLEARML_API_ACCESS_KEY": keys["access_key"],
                    "CLEARML_API_SECRET_KEY": keys["secret_key"]}  # fmt: skip

    @property
    def rss_mb(self) -> float:
        """Resident memory of the process tree."""
        return resident_mb(self.service.process.pid)

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """Call an endpoint that must work."""
        answer = self.http.post(f"{self.api}/{endpoint}", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """An embedded server, stopped at the end."""
    server = Server(data)
    try:
        yield server
    finally:
        server.http.close()
        server.service.stop()


def starts(folder: Path) -> dict[str, float]:
    """Start both on an installation that exists, to the first answered call; memory right after it."""
    figures: dict[str, float] = {}
    with serving(folder / "ours"):
        pass
    ours, theirs, idle, their_memory = [], [], [], []
    for _ in range(RUNS):
        with serving(folder / "ours") as server:
            ours.append(server.start_s)
            idle.append(server.rss_mb)
    figures |= spread("start_s", ours) | spread("rss_idle_mb", idle)
    if SHORT:
        return figures
    with mlflow_peer.serving(folder / "theirs"):
        pass
    for _ in range(PEER_STARTS):
        with mlflow_peer.serving(folder / "theirs") as peer:
            theirs.append(peer.start_s)
            their_memory.append(resident_mb(peer.pid))
    return figures | spread("mlflow_start_s", theirs) | spread("mlflow_rss_mb", their_memory)


def restarts(folder: Path) -> dict[str, float]:
    """Start again after `kill -9` in the middle of a load of events, to the first answered call."""
    found = []
    server = Server(folder)
    for _ in range(RUNS):
        load = subprocess.Popen(
            [sys.executable, str(CLIENT), "200", "wire"], env=server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdout.readline()
        load.stdin.write("go\n")
        load.stdin.flush()
        time.sleep(0.5)
        server.service.kill()
        load.kill()
        load.wait()
        server.http.close()
        server = Server(folder)
        found.append(server.start_s)
    server.http.close()
    server.service.stop()
    return spread("restart_s", found)


def ingest(folder: Path) -> dict[str, float]:
    """Points per second that both accept from 1 and 4 client processes."""
    figures: dict[str, float] = {}
    ours = [sys.executable, str(CLIENT), str(BATCHES)]
    with ExitStack() as held:
        server = held.enter_context(serving(folder / "ours"))
        peer = None if SHORT else held.enter_context(mlflow_peer.serving(folder / "theirs"))
        for clients in (1, 4):
            for name, how in (("events_per_s", "wire"), ("client_events_per_s", "client")):
                figures |= spread(
                    f"{name}_{clients}", [together([[*ours, how]] * clients, server.env) for _ in range(RUNS)]
                )
                if peer is None:
                    continue
                theirs = [mlflow_peer.python(), str(mlflow_peer.CLIENT), "ingest", peer.url, str(BATCHES // 2), how]
                other = [together([theirs] * clients, mlflow_peer.environment()) for _ in range(PEER_RUNS)]
                figures |= spread(f"mlflow_{name}_{clients}", other)
    return figures


def ten_thousand(folder: Path) -> dict[str, float]:
    """Memory after ten thousand tasks that ran: made, reported for and completed through the API."""
    with serving(folder) as server:

        def one(number: int) -> None:
            task = server.call("tasks.create", name=f"task {number}", type="training", tags=["a"],
                               hyperparams={"Args": {"lr": {"section": "Args", "name": "lr", "value": str(number)}}})["id"]  # fmt: skip
            server.call("tasks.started", task=task)
            lines = [
                json.dumps({"type": "training_stats_scalar", "task": task, "metric": f"metric {metric}", "variant": "train",
                            "iter": 1, "value": number / (metric + 1)})
                for metric in range(METRICS)
            ]  # fmt: skip
            answer = server.http.post(f"{server.api}/events.add_batch", content="\n".join(lines))
            assert answer.status_code == 200, answer.text
            server.call("tasks.completed", task=task)

        began = time.perf_counter()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(TASKS)))
        elapsed = time.perf_counter() - began
        server.call("tasks.get_all_ex", page=0, page_size=500, order_by=["-last_update"], only_fields=FIELDS)
        return {"rss_10k_mb": server.rss_mb, "tasks_per_s": TASKS / elapsed}


def fill(path: Path, count: int) -> None:
    """Write finished tasks into a stopped server's database, as the API leaves them."""
    db = database.connect(path)
    now = time.time_ns() // 1000
    empty = '{"input":[],"output":[]}'
    tasks, series, points = [], [], []
    names = {
        name: name_id(db, name, "train") for name in ("loss", *(f"metric {number}" for number in range(1, METRICS)))
    }
    identifier = 0
    for number in range(count):
        task = f"{number:032x}"
        status = "completed" if number % 4 else "in_progress"
        tag = '["a"]' if number // 4 % 6 else '["b"]'
        params = json.dumps({"Args": {"lr": {"section": "Args", "name": "lr", "value": str(number)}}})
        tasks.append((task, auth.COMPANY, auth.DEFAULT_USER, f"run {number}", "training", status, now + number, now + number,
                      now + number, now + number, now + number, "{}", "{}", tag, "[]", "{}", 1, params, "{}", "{}", empty, "{}"))  # fmt: skip
        for metric in range(METRICS):
            identifier += 1
            name = "loss" if metric == 0 else f"metric {metric}"
            value = (number * 7919 % count) / count if metric == 0 else number / (metric + 1)
            series.append((identifier, task, name, "train", names[name], value, value, 1, value, 1, value, 1, 1, value))  # fmt: skip
            points.append((identifier, 1, blocks.pack([(1, now // 1000, value)])))
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO task (id, company, user, name, type, status, created, started, status_changed, last_update, last_change,"  # noqa: S608 - placeholders only
        " output, execution, tags, system_tags, script, last_iteration, hyperparams, configuration, runtime, models, container)"
        f" VALUES ({', '.join('?' * 22)})",
        tasks,
    )
    db.executemany(
        "INSERT INTO series (id, object, metric, variant, name, value, min_value, min_value_iteration,"  # noqa: S608 - placeholders only
        f" max_value, max_value_iteration, first_value, first_value_iteration, count, mean_value) VALUES ({', '.join('?' * 14)})",
        series,
    )
    db.executemany("INSERT INTO scalar_block (series, n, data) VALUES (?, ?, ?)", points)
    db.execute("COMMIT")
    db.close()


def page_ms(server: Server) -> list[float]:
    """Time a page of 500 with a status, a tag and a metric filter, in the order of the metric."""
    body = {"page": 0, "page_size": 500, "status": ["completed"], "tags": ["a"], LOSS: [None, 0.9], "order_by": [LOSS],
            "only_fields": FIELDS}  # fmt: skip
    times = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        found = server.call("tasks.get_all_ex", **body)["tasks"]
        times.append(1000 * (time.perf_counter() - began))
        assert len(found) == 500, len(found)
        assert all(task["status"] == "completed" and task["tags"] == ["a"] for task in found)
    return times[1:]


def pages(folder: Path) -> dict[str, float]:
    """A page at three sizes here, and at ten thousand runs there."""
    figures: dict[str, float] = {}
    for name, count in SIZES.items():
        data = folder / name
        with serving(data):
            pass
        fill(data / "clearml.db", count)
        with serving(data) as server:
            figures |= spread(f"page_ms_{name}", page_ms(server))
            figures[f"rss_after_page_{name}_mb"] = server.rss_mb
        shutil.rmtree(data)
    if SHORT:
        return figures
    theirs = folder / "theirs"
    with mlflow_peer.serving(theirs):
        pass
    python, client = mlflow_peer.python(), str(mlflow_peer.CLIENT)
    subprocess.run(
        [python, client, "fill", str(theirs / "mlflow.db"), "10000"], check=True, env=mlflow_peer.environment()
    )
    with mlflow_peer.serving(theirs) as peer:
        done = subprocess.run(
            [python, client, "page", peer.url, "0"],
            check=True,
            env=mlflow_peer.environment(),
            capture_output=True,
            text=True,
        )
        figures |= spread("mlflow_page_ms_10k", json.loads(done.stdout.splitlines()[-1]))
        figures["mlflow_rss_10k_mb"] = resident_mb(peer.pid)
    return figures


def histogram(folder: Path) -> dict[str, float]:
    """A curve of a million points, thinned to what a page draws."""
    with serving(folder) as server:
        task = server.call("tasks.create", name="long", type="training")["id"]
        for thousand in range(0, POINTS, 5_000):
            lines = [
                json.dumps(
                    {
                        "type": "training_stats_scalar",
                        "task": task,
                        "metric": "loss",
                        "variant": "train",
                        "iter": thousand + step,
                        "value": step / 7,
                    }
                )
                for step in range(5_000)
            ]
            answer = server.http.post(f"{server.api}/events.add_batch", content="\n".join(lines))
            assert answer.json()["data"]["added"] == 5_000, answer.text
        times = []
        for _ in range(RUNS + 1):
            began = time.perf_counter()
            curve = server.call("events.scalar_metrics_iter_histogram", task=task)["loss"]["train"]
            times.append(1000 * (time.perf_counter() - began))
        assert 5_000 <= len(curve["x"]) <= 6_000, len(curve["x"])
        return spread("histogram_1m_ms", times[1:])


def transfer(folder: Path) -> dict[str, float]:
    """An artifact up and down."""
    content = folder / "artifact.bin"
    content.write_bytes(os.urandom(2**20) * FILE_MB)
    up, down = [], []
    with serving(folder / "data") as server:
        for number in range(RUNS):
            name = f"bench/task.{number}/artifacts/a/artifact.bin"
            began = time.perf_counter()
            with content.open("rb") as file:
                answer = server.http.post(f"{server.files}/", files={name: (name, file, "application/octet-stream")})
            up.append(FILE_MB / (time.perf_counter() - began))
            assert answer.status_code == 200, answer.text
            began = time.perf_counter()
            size = 0
            with server.http.stream("GET", f"{server.files}/{name}") as stream:
                for chunk in stream.iter_bytes(2**20):
                    size += len(chunk)
            down.append(FILE_MB / (time.perf_counter() - began))
            assert size == FILE_MB * 2**20
    return spread("upload_mb_s", up) | spread("download_mb_s", down)


PARTS = {"starts": starts, "restarts": restarts, "ingest": ingest, "ten_thousand": ten_thousand, "pages": pages, "histogram": histogram,
         "transfer": transfer}  # fmt: skip


def main(names: list[str]) -> None:
    """Run all parts, or those named, and write what they found beside what is there."""
    figures: dict[str, float | int | str] = {"durability": DURABILITY, "mlflow_durability": mlflow_peer.DURABILITY}
    path = BUILD / "server.json"
    if names and path.exists():
        figures = json.loads(path.read_text()) | figures
    if not SHORT:
        mlflow_peer.python()
    for name in names or PARTS:
        with tempfile.TemporaryDirectory(prefix="bench-server-") as folder:
            print(f"{name} ...", flush=True)
            began = time.perf_counter()
            figures |= PARTS[name](Path(folder))
            print(f"    {time.perf_counter() - began:.0f} s", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures))  # a part that fails later costs no other part
    write("server", figures)


if __name__ == "__main__":
    main(sys.argv[1:])
