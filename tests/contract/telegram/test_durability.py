"""What was acknowledged is there after SIGKILL, and a restart goes on where it was."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.telegram.conftest import TOKEN, Local, Start, local
from tests.services import running

pytestmark = pytest.mark.xdist_group("telegram-durability")
KILLS = 100 if os.environ.get("MOODFLOW_CAMPAIGN") == "full" else 4


def writing(telegram: Local, person: int, kept: dict[str, list[Any]], stop: threading.Event) -> None:
    """Send from both sides until the server dies; note what it acknowledged."""
    with httpx.Client(base_url=telegram.api, timeout=10, trust_env=False) as http:
        while not stop.is_set():
            try:
                sent = http.post("/client/send", json={"user_id": person, "text": "x"}).json()
                kept["updates"].append(sent["update_id"])
                kept["messages"].append(sent["message_id"])
                said = http.post(f"/bot{TOKEN}/sendMessage", json={"chat_id": person, "text": "y"}).json()
                kept["messages"].append(said["result"]["message_id"])
            except httpx.HTTPError:
                return


@pytest.mark.campaign
def test_nothing_acknowledged_is_lost_when_killed(tmp_path: Path, start: Start) -> None:
    """Killed at random moments under four writers: every acknowledged update and message is there, each once."""
    dice = random.Random(5)
    kept: dict[str, list[Any]] = {"updates": [], "messages": []}
    service = start("server.telegram", tmp_path, "--port", "0")
    people = [local(service.ready["urls"]["api"]).person(str(n)) for n in range(4)]
    for _ in range(KILLS):
        telegram, stop = local(service.ready["urls"]["api"]), threading.Event()
        threads = [threading.Thread(target=writing, args=(telegram, person, kept, stop)) for person in people]
        for thread in threads:
            thread.start()
        already = len(kept["updates"])
        while len(kept["updates"]) < already + 10 and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        time.sleep(dice.uniform(0.0, 0.3))  # the moment of death is the point
        service.kill()
        stop.set()
        for thread in threads:
            thread.join()
        service = start("server.telegram", tmp_path, "--port", "0")
    telegram = local(service.ready["urls"]["api"])
    numbers: list[int] = []
    while waiting := telegram.raw("getUpdates", offset=numbers[-1] + 1 if numbers else 0).json()["result"]:
        numbers += [update["update_id"] for update in waiting]
    assert len(kept["updates"]) >= 10 * KILLS
    assert len(set(numbers)) == len(numbers)
    assert set(kept["updates"]) <= set(numbers)
    found = set()
    for person in people:
        before = 2**53
        while page := telegram.http.get(
            f"/client/chats/{person}/messages", params={"limit": 1000, "before": before}
        ).json()["messages"]:
            found |= {message["message_id"] for message in page}
            before = page[0]["message_id"]
    assert set(kept["messages"]) <= found
    assert len(set(kept["messages"])) == len(kept["messages"])
    service.stop()


def test_confirmed_updates_stay_confirmed(tmp_path: Path, start: Start) -> None:
    """An offset that was answered holds after SIGKILL, and numbers go on counting up."""
    service = start("server.telegram", tmp_path, "--port", "0")
    telegram = local(service.ready["urls"]["api"])
    person = telegram.person()
    first, second = (telegram.client("send", user_id=person, text=text)["update_id"] for text in "аб")
    telegram.raw("getUpdates", offset=second)
    service.kill()
    service = start("server.telegram", tmp_path, "--port", "0")
    telegram = local(service.ready["urls"]["api"])
    assert [u["update_id"] for u in telegram.raw("getUpdates").json()["result"]] == [second]
    assert telegram.client("send", user_id=person, text="в")["update_id"] == second + 1 == first + 2
    service.stop()


def test_it_stops_cleanly_with_a_poll_open(tmp_path: Path, start: Start) -> None:
    """SIGTERM ends it with exit code 0, soon, though a client waits in a long poll; the data can be opened again."""
    service = start("server.telegram", tmp_path, "--port", "0")
    telegram = local(service.ready["urls"]["api"])
    telegram.person()
    thread = threading.Thread(target=writing_poll, args=(telegram,))
    thread.start()
    while not telegram.http.get("/client/stats").json()["polling"]:
        time.sleep(0.01)
    telegram.http.close()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
    thread.join()
    with running("server.telegram", tmp_path, ["--port", "0"]) as again:
        assert local(again.ready["urls"]["api"]).http.get("/client/chats").json()["chats"]


def writing_poll(telegram: Local) -> None:
    """Wait in a long poll until the server ends it one way or another."""
    with httpx.Client(base_url=telegram.api, timeout=30, trust_env=False) as http:
        try:
            http.post(f"/bot{TOKEN}/getUpdates", json={"timeout": 25})
        except httpx.HTTPError:
            return


def test_one_server_per_directory(tmp_path: Path, start: Start) -> None:
    """A second server in the same directory is refused, with what to do."""
    with running("server.telegram", tmp_path, ["--port", "0"]), pytest.raises(RuntimeError, match="--data another"):
        start("server.telegram", tmp_path, "--port", "0")
