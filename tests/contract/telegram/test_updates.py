"""Receiving: the offset rules of getUpdates, one poller at a time, and webhooks."""

from __future__ import annotations

import itertools
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.telegram.conftest import TOKEN, Local, Start, local

pytestmark = pytest.mark.xdist_group("telegram-updates")
numbers = itertools.count(50_000)


def got(telegram: Local, token: str = TOKEN, **asked: Any) -> list[dict[str, Any]]:
    """The updates of one getUpdates."""
    return telegram.raw("getUpdates", token, **asked).json()["result"]


def test_an_update_stays_until_a_higher_offset_is_asked_for(telegram: Local) -> None:
    """Asking twice gives the same; asking from the next on confirms; the confirmed never come back."""
    person = telegram.person()
    for text in "абв":
        telegram.client("send", user_id=person, text=text)
    first = got(telegram)
    assert [u["message"]["text"] for u in first] == ["а", "б", "в"]
    assert got(telegram) == first
    assert got(telegram, limit=1) == first[:1]
    assert got(telegram, offset=first[1]["update_id"]) == first[1:]
    assert got(telegram) == first[1:]
    assert got(telegram, offset=-1) == first[2:]
    assert got(telegram) == first[2:], "a negative offset forgets what is before it"
    assert got(telegram, offset=first[2]["update_id"] + 1) == []


operations = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 4)),
        st.tuples(st.just("poll"), st.integers(-6, 6), st.integers(-1, 5)),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
def test_offsets_follow_the_rules_whatever_is_asked(telegram: Local, script: list[tuple[Any, ...]]) -> None:
    """Against a model: nothing is lost, doubled or out of order for any run of sends and polls."""
    token = f"{next(numbers)}:model"
    person = telegram.person(token=token)
    waiting: list[int] = []
    base: int | None = None
    for operation in script:
        if operation[0] == "send":
            sent = [{"method": "send", "user_id": person, "bot": token, "text": "x"} for _ in range(operation[1])]
            ids = [answer["update_id"] for answer in telegram.http.post("/client/batch", json=sent).json()]
            assert ids == list(range(ids[0], ids[0] + len(ids))), "numbers count up without gaps"
            base = base or ids[0]
            waiting += ids
            continue
        _, relative, limit = operation
        offset = relative if relative <= 0 else (base or 1) + relative
        if offset < 0:
            waiting = waiting[offset:]
        elif offset > 0:
            waiting = [number for number in waiting if number >= offset]
        asked: dict[str, int] = {"offset": offset} | ({"limit": limit} if limit >= 0 else {})
        expected = waiting[: min(max(limit, 1), 100)] if limit >= 0 else waiting
        assert [u["update_id"] for u in got(telegram, token, **asked)] == expected


def test_a_long_poll_wakes_at_once_and_ends_in_time(telegram: Local) -> None:
    """A waiting poll is answered by the first update, long before its time; without one it ends empty."""
    person = telegram.person()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(got, local(telegram.api), timeout=30)
        until_polling(telegram)
        began = time.monotonic()
        telegram.client("send", user_id=person, text="проснись")
        assert [u["message"]["text"] for u in waiting.result(20)] == ["проснись"]
        assert time.monotonic() - began < 15
    telegram.drain()
    assert got(telegram, timeout=1) == []


def until_polling(telegram: Local) -> None:
    """Wait until a long poll is open: the server counts a call when it ends, so ask how many have begun."""
    for _ in range(500):
        if telegram.http.get("/client/stats").json()["polling"]:
            return
        time.sleep(0.01)
    raise AssertionError("no poll was opened")


def test_the_second_poller_ends_the_first_with_a_conflict(telegram: Local) -> None:
    """Two pollers of one bot: the older gets 409 in Telegram's words, the newer goes on."""
    telegram.person()
    with ThreadPoolExecutor() as pool:
        older = pool.submit(local(telegram.api).raw, "getUpdates", timeout=30)
        until_polling(telegram)
        assert telegram.raw("getUpdates").status_code == 200
        assert older.result(20).json() == {
            "ok": False,
            "error_code": 409,
            "description": "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
        }


def test_a_poller_that_hangs_up_leaves_no_trace(telegram: Local) -> None:
    """A client that dies in a long poll frees the place, and loses nothing."""
    person = telegram.person()
    with pytest.raises(httpx.ReadTimeout):
        telegram.http.post(f"/bot{TOKEN}/getUpdates", json={"timeout": 30}, timeout=0.3)
    for _ in range(500):
        if not telegram.http.get("/client/stats").json()["polling"]:
            break
        time.sleep(0.01)
    telegram.client("send", user_id=person, text="тут")
    assert [u["message"]["text"] for u in got(telegram, timeout=5)] == ["тут"]


def test_only_what_is_allowed_is_kept(telegram: Local) -> None:
    """allowed_updates holds for later updates and for later calls that do not name it; an empty list is the default."""
    person = telegram.person()
    got(telegram, allowed_updates=["callback_query"])
    assert telegram.client("send", user_id=person, text="не нужно")["update_id"] is None
    got(telegram)
    assert telegram.client("send", user_id=person, text="не нужно")["update_id"] is None
    got(telegram, allowed_updates=[])
    telegram.client("send", user_id=person, text="нужно")
    assert [u["message"]["text"] for u in telegram.drain()] == ["нужно"]


def test_updates_are_kept_for_a_day(tmp_path: Path, start: Start) -> None:
    """What waited 24 hours is gone; what waited less is not."""
    service = start("server.telegram", tmp_path, "--port", "0")
    telegram = local(service.ready["urls"]["api"])
    person = telegram.person()
    old, new = (telegram.client("send", user_id=person, text=text)["update_id"] for text in ("старое", "новое"))
    service.stop()
    with sqlite3.connect(tmp_path / "telegram.db") as db:
        db.execute("UPDATE updates SET created = created - 24 * 3600 - 1 WHERE update_id = ?", (old,))
        db.execute("UPDATE updates SET created = created - 24 * 3600 + 600 WHERE update_id = ?", (new,))
    db.close()
    service = start("server.telegram", tmp_path, "--port", "0")
    assert [u["update_id"] for u in got(local(service.ready["urls"]["api"]))] == [new]
    service.stop()


@contextmanager
def hook(statuses: list[int], reply: dict[str, Any] | None = None) -> Iterator[tuple[str, queue.Queue[Any]]]:
    """A webhook that answers with `statuses` in turn, then 200; what it received."""
    received: queue.Queue[Any] = queue.Queue()
    answers = iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            received.put((body, self.headers.get("X-Telegram-Bot-Api-Secret-Token")))
            self.send_response(next(answers, 200))
            self.end_headers()
            if reply:
                self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_gets_each_update_until_it_takes_it(telegram: Local) -> None:
    """Posted with the secret, in order, again after a failure; the failure shows in getWebhookInfo; nothing stays."""
    person = telegram.person()
    with hook([500]) as (url, received):
        assert telegram.raw("setWebhook", url=url, secret_token="s3cret").json()["result"] is True
        for text in "абв":
            telegram.client("send", user_id=person, text=text)
        posts = [received.get(timeout=20) for _ in range(4)]
        assert [(p["message"]["text"], secret) for p, secret in posts] == [(t, "s3cret") for t in "аабв"]
        info = telegram.raw("getWebhookInfo").json()["result"]
        assert info["last_error_message"] == "Wrong response from the webhook: 500 Internal Server Error"
        assert telegram.raw("getUpdates").json()["error_code"] == 409
        telegram.raw("deleteWebhook")
    assert got(telegram) == []


def test_a_webhook_may_answer_with_a_call(telegram: Local) -> None:
    """A method in the answer to a webhook is carried out."""
    person = telegram.person()
    with hook([], {"method": "sendMessage", "chat_id": person, "text": "из ответа"}) as (url, received):
        telegram.raw("setWebhook", url=url)
        last = telegram.http.get("/client/stats").json()["last"]
        telegram.client("send", user_id=person, text="?")
        received.get(timeout=20)
        asked = {"after": last + 1, "timeout": 20, "chat_id": person}
        events = telegram.http.get("/client/events", params=asked).json()["events"]
        assert [e["message"]["text"] for e in events] == ["из ответа"]
        telegram.raw("deleteWebhook")


def test_webhooks_stay_on_this_machine(telegram: Local) -> None:
    """No update is ever posted to another host, whatever its name looks like."""
    for url in ("https://example.org/", "http://192.0.2.1/", "http://127.0.0.1.example.org/"):
        assert telegram.raw("setWebhook", url=url).status_code == 400, url
