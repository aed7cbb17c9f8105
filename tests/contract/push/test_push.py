"""History moves from one server to another whole, once, however often the move is interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import requests

from clearml_utils.endpoint import Address, Endpoint
from clearml_utils.errors import BadCredentials
from clearml_utils.push import Push
from clearml_utils.push_content import EVENT_TYPES, Digest, swap_ids
from tests.services import running

FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
STEPS, KILLS = 20 if FULL else 5, 10
PORTS = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.xdist_group("push")


def address(service) -> Address:
    keys = json.loads(Path(service.ready["credentials"]).read_text())
    urls = service.ready["urls"]
    return Address(urls["api"], urls["files"], keys["access_key"], keys["secret_key"])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A server with a history that the SDK made."""
    folder = tmp_path_factory.mktemp("source")
    with running("server.embedded", folder / "data", PORTS) as service:
        at = address(service)
        config = folder / "clearml.conf"
        config.write_text("sdk { development { report_use_subprocess: false } }")
        env = {
            **os.environ,
            "CLEARML_CONFIG_FILE": str(config),
            "CLEARML_API_HOST": at.api,
            "CLEARML_FILES_HOST": at.files,
            "CLEARML_WEB_HOST": service.ready["urls"]["web"],
            "CLEARML_API_ACCESS_KEY": at.access_key,
            "CLEARML_API_SECRET_KEY": at.secret_key,
        }
        made = subprocess.run(
            [sys.executable, "-m", "tests.contract.push.source", str(folder), str(STEPS)],
            env=env, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-3000:]
        yield at


def told(at: Address) -> dict:
    """What a server says of everything but ids, addresses and times of copying: read with no help of the push."""
    server = Endpoint(at)
    tasks = {t["id"]: t for t in server.pages("tasks.get_all", "tasks", search_hidden=True)}
    models = {m["id"]: m for m in server.pages("models.get_all", "models")}
    projects = {p["id"]: p["name"] for p in server.pages("projects.get_all", "projects", search_hidden=True)}
    names = {
        **{i: f"task {t['name']}" for i, t in tasks.items()},
        **{i: f"model {m['name']}" for i, m in models.items()},
    }

    def content(url: str) -> str:
        assert url.startswith(at.files), url
        got = requests.get(url, headers=server.session.add_auth_headers({}), timeout=30)
        assert got.status_code == 200, url
        return hashlib.sha256(got.content).hexdigest()

    def neutral(value):
        text = json.dumps(value, sort_keys=True)
        for number, name in names.items():
            text = text.replace(number, name)
        return json.loads(text.replace(at.files, "FILES"))

    out = {}
    for task in tasks.values():
        if task["status"] == "in_progress":
            continue
        number = task["id"]
        scalars = server.call("events.scalar_metrics_iter_histogram", task=number, samples=10_000)
        events = {kind: sum(map(len, server.events(number, kind))) for kind in EVENT_TYPES}
        log = server.call("events.get_task_log", task=number, batch_size=1000)["events"]
        last = {
            (v["metric"], v["variant"]): (v["value"], v.get("min_value"), v.get("max_value"), v.get("count"))
            for variants in (task.get("last_metrics") or {}).values()
            for v in variants.values()
        }
        out[task["name"]] = {
            # a draft that was filled anew says "reset"
            "status": (task["status"], task["status"] != "created" and task.get("status_reason"), task["type"]),
            "parent": names.get(task.get("parent") or ""),
            "project": projects[task["project"]],
            "tags": (task.get("tags"), sorted(t for t in task["system_tags"] if t != "moved" and ":" not in t)),
            "born": (task.get("runtime") or {}).get("origin_created") or task["created"],
            "parameters": neutral([task.get("hyperparams"), task.get("configuration")]),
            "events": events,
            "scalars": neutral(scalars),
            "log": [neutral(line["msg"]) for line in log],
            "last": last,
            "artifacts": {
                a["key"]: (a["hash"], content(a["uri"])) for a in (task.get("execution") or {}).get("artifacts") or []
            },
            "models": neutral({s: [m["model"] for m in rows] for s, rows in (task.get("models") or {}).items()}),
        }
    for model in models.values():
        out[f"model {model['name']}"] = {
            "task": names.get(model.get("task")),
            "project": projects[model["project"]],
            "file": content(model["uri"]) if model.get("uri") else "",
            "metadata": neutral(model.get("metadata")),
            "ready": model.get("ready"),
            "framework": model.get("framework"),
        }
    return out


@pytest.mark.campaign
def test_killed_again_and_again_it_ends_equal_and_a_repeat_copies_nothing(source, tmp_path):
    """SIGKILL in the middle, several times: in the end counts, hashes, lineage and status are equal, with no double."""
    chance = random.Random(20261123)
    with running("server.embedded", tmp_path / "target", PORTS) as service:
        target = address(service)
        command = [
            sys.executable,
            "-m",
            "tests.contract.push.process",
            *(json.dumps(vars(a)) for a in (source, target)),
        ]
        kills, shares = 0, [0.02 + 0.9 * (n + chance.random()) / KILLS for n in range(KILLS)]
        for share in shares:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert process.stdout is not None
            for line in process.stdout:  # killed when a share of the objects is there, a moment later
                word = line.split()
                if word[0].isdigit() and int(word[0]) >= share * int(word[1]):
                    time.sleep(chance.random() / 10)
                    process.kill()
                    kills += 1
                    break
            assert process.stderr is not None
            said = process.stderr.read()
            assert process.wait() == -9, said[-3000:]
            process.stdout.close()
            process.stderr.close()
        assert kills == KILLS
        here, there = Endpoint(source), Endpoint(target)
        moved = Push(here, there).run()
        assert [*moved.skipped.values()] == ["it is in_progress: push again when it has ended"]
        assert moved.missing == []
        before, after = told(source), told(target)
        assert sorted(before) == sorted(after)
        for name, wanted in before.items():
            assert after[name] == wanted, name
        assert sum(sum(v.get("events", {}).values()) for v in after.values()) > 80 * STEPS
        tags = Counter(
            t for task in there.pages("tasks.get_all", "tasks", search_hidden=True)
            for t in task["system_tags"] if t.startswith("origin:")
        )  # fmt: skip
        assert set(tags.values()) == {1}
        assert len(tags) == STEPS + 2
        again = Push(here, there).run()
        assert +again.copied == {}
        assert again.present["tasks"] == STEPS + 2
        assert again.digests == moved.digests


def test_only_one_project_may_be_moved(source, tmp_path):
    """`project` limits the move to that project and those below it."""
    with running("server.embedded", tmp_path / "target", PORTS) as service:
        target = address(service)
        moved = Push(Endpoint(source), Endpoint(target), project="Study/mood").run()
        assert moved.copied["tasks"] == STEPS // 2
        names = {p["name"] for p in Endpoint(target).pages("projects.get_all", "projects", search_hidden=True)}
        assert "Study/mood" in names
        assert not {n for n in names if ".pipelines" in n}


def test_wrong_keys_are_named_before_anything_is_written(source):
    """The target refuses the keys: the error names the server, nothing was tried."""
    wrong = Address(source.api, source.files, "NOBODY", "nothing")
    with pytest.raises(BadCredentials, match="refused the keys"):
        _ = Endpoint(wrong).session


def test_the_digest_ignores_order_and_nothing_else():
    """Two sides agree whatever the order; one changed value, or one event twice, does not pass."""
    rows = [{"type": "log", "msg": str(n), "timestamp": n} for n in range(20)]
    straight, mixed, other = Digest(), Digest(), Digest()
    for row in rows:
        straight.add(row)
    for row in reversed(rows):
        mixed.add(row)
    assert straight == mixed
    assert straight.hex == mixed.hex
    for row in [*rows[:-1], rows[0]]:
        other.add(row)
    assert other != straight
    assert swap_ids({"a": ["x" + "1" * 32 + "y", "z"]}, {"1" * 32: "new"}) == {"a": ["xnewy", "z"]}
