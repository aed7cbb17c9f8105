"""The survey: updates handled end to end, beside stock python-telegram-bot; calls to the Sheet; tap to row; planning.

An update is one tap by one of many people: read from Telegram, kept on disk (ours only), applied, the tap answered and
the message edited. It counts once the edit has arrived. Both bots draw with the same code and talk to the same local
Telegram, and both start on a queue that waits, so that neither gains by idling. One tap a message: edits cannot be
merged. Ours commits with synchronous=FULL; the peer keeps nothing.
"""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from pydantic import SecretStr

from flows.clients.sheets import count_answers
from flows.clock import SharedClock
from flows.collect.flow import Writer
from flows.settings import Settings
from flows.store import Prompt, Response, Store
from flows.survey import form as forms
from flows.survey import load
from flows.survey.callbacks import Callback, decode, encode
from flows.survey.form import Form
from flows.survey.planning import People, micros, plan, prompt_id
from flows.survey.screen import draw
from tests.benchmarks.figures import spread, write
from tests.services import Service, running

TOKEN = "4242424242:" + "B" * 35
PEOPLE = 1000
RUNS = 5
FOLLOW_S = 60
PER_S = 50
FIRST = 10_000
SURVEY = load("mood")


def batch(client: httpx.Client, root: str, calls: list[dict[str, object]]) -> None:
    """Do what many people do, in calls of 200."""
    for n in range(0, len(calls), 200):
        client.post(f"{root}/client/batch", json=calls[n : n + 200]).raise_for_status()


def settled(client: httpx.Client, root: str, method: str) -> int:
    """Calls of a method that were answered with 200 so far."""
    calls = client.get(f"{root}/client/stats").json()["calls"]
    return int(next((v.get("200", 0) for k, v in calls.items() if k.lower() == method.lower()), 0))


def edits(client: httpx.Client, root: str, before: int, count: int) -> float:
    """Wait for so many more edits; seconds from now."""
    begun = time.perf_counter()
    while settled(client, root, "editMessageText") < before + count:
        if time.perf_counter() - begun > 300:
            raise RuntimeError(f"{settled(client, root, 'editMessageText') - before} of {count} edits after 300 s")
        time.sleep(0.02)
    return time.perf_counter() - begun


def messages(client: httpx.Client, root: str, prompts: list[str]) -> list[int]:
    """Put a prompt's message on every person's screen, as the bot would have; the message ids."""
    ids = []
    for n, prompt in enumerate(prompts):
        screen = draw(forms.opened(SURVEY, 1, 1), prompt, "ru")
        body = {"chat_id": FIRST + n, "text": screen.text, "reply_markup": json.dumps(screen.markup())}
        ids.append(client.post(f"{root}/bot{TOKEN}/sendMessage", json=body).json()["result"]["message_id"])
    return ids


def everybody(client: httpx.Client, root: str, people: int) -> None:
    """Have people start the bot, and forget that they did."""
    client.post(f"{root}/bot{TOKEN}/getMe")
    some = {"bot": TOKEN, "language_code": "ru"}
    starts = [{"method": "start", "user_id": FIRST + n, "first_name": "N", **some} for n in range(people)]
    batch(client, root, starts)
    while got := client.post(f"{root}/bot{TOKEN}/getUpdates", json={"limit": 100}).json()["result"]:
        client.post(f"{root}/bot{TOKEN}/getUpdates", json={"offset": got[-1]["update_id"] + 1, "limit": 1})


def enrol(store: Store, people: int) -> list[str]:
    """People and an open prompt for each; the prompts' ids."""
    now = datetime.now(UTC)
    store.surveys.open("mood", now)
    made = []
    with store.transaction():
        for n in range(people):
            person = store.people.enrol(
                FIRST + n, study="mood", language="ru", timezone="Europe/Moscow", consent_version="1", at=now
            ).person
            ident = prompt_id(person, SURVEY.version, micros(now))
            ends = now + timedelta(hours=12)
            made.append(Prompt(ident, person, "mood", SURVEY.version, 1, 1, now, ends, "Europe/Moscow"))
        store.prompts.add(made)
    return [prompt.prompt_id for prompt in made]


def taps(prompts: list[str], ids: list[int], kind: str, item: int) -> list[dict[str, object]]:
    """One tap by everybody."""
    return [
        {
            "method": "tap",
            "user_id": FIRST + n,
            "message_id": ids[n],
            "force": True,
            "data": encode(Callback(kind, prompt, SURVEY.version, item, "3")),
        }
        for n, prompt in enumerate(prompts)
    ]


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A bot, ready to poll, stopped at the end."""
    with log.open("a") as errors:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | environment
        )
    assert child.stdout is not None
    if not child.stdout.readline():
        raise RuntimeError(log.read_text()[-3000:])
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


def rates(root: str, client: httpx.Client, command: list[str], environment: dict[str, str], prompts: list[str],
          log: Path) -> list[float]:  # fmt: skip
    """Updates a second of a bot, run by run: it is stopped while taps queue, and timed from when it goes on."""
    ids = messages(client, root, prompts)
    found = []
    with process(command, environment, log) as bot:
        for run in range(RUNS + 1):
            bot.send_signal(signal.SIGSTOP)
            batch(client, root, taps(prompts, ids, "value", run))
            before = settled(client, root, "editMessageText")
            bot.send_signal(signal.SIGCONT)
            found.append(len(prompts) / edits(client, root, before, len(prompts)))
    return found[1:]  # the first one warms connections up


def updates(folder: Path) -> dict[str, float]:
    """`updates_per_s` and `over_stock_ptb`."""
    with running("server.telegram", folder / "telegram", ["--port", "0"]) as telegram, httpx.Client(timeout=60) as http:
        root = telegram.ready["urls"]["api"]
        everybody(http, root, PEOPLE)
        home = folder / "home"
        with Store.open(home / "private.db") as store:
            prompts = enrol(store, PEOPLE)
        ours = rates(
            root, http, [sys.executable, "-m", "flows.bot"], environment_of(home, root), prompts, folder / "b.log"
        )
        with Store.open(home / "private.db") as store:
            kept = store.inbox.counts()
        if kept["done"] != PEOPLE * (RUNS + 1):
            raise RuntimeError(f"the bot applied {kept}, not {PEOPLE * (RUNS + 1)}")
        stock_command = [sys.executable, "-m", "tests.benchmarks.stock_bot", root, TOKEN]
        stock = rates(root, http, stock_command, {}, prompts, folder / "s.log")
    ratio = [a / b for a, b in zip(sorted(ours), sorted(stock), strict=True)]
    return spread("updates_per_s", ours) | spread("stock_ptb_updates_per_s", stock) | spread("over_stock_ptb", ratio)


def environment_of(home: Path, root: str, **more: str) -> dict[str, str]:
    """Settings of the bot: no limits, no Prefect."""
    return {
        "MOODFLOW_HOME": str(home),
        "MOODFLOW_TELEGRAM_TOKEN": TOKEN,
        "MOODFLOW_TELEGRAM_URL": root,
        "MOODFLOW_OUTBOX_PER_SECOND": "100000",
        "MOODFLOW_OUTBOX_CHAT_INTERVAL": "0",
        "PREFECT_API_URL": "",
        **more,
    }


def sheet_settings(home: Path, sheets: Service) -> Settings:
    """Settings of a collector against the local Sheets."""
    return Settings(
        home=home,
        sheets_credentials=SecretStr(sheets.ready["credentials"]),
        sheets_url=sheets.ready["urls"]["api"],
        sheets_per_minute=100_000,
    )


def calls(folder: Path) -> dict[str, float]:
    """`sheet_calls_per_1000`: a thousand new responses, their prompts and ten changed people, in one collection."""
    found = []
    with running("server.sheets", folder / "sheets", ["--port", "0"]) as sheets:
        settings = sheet_settings(folder / "calls", sheets)
        with Store.open(settings.database) as store:
            store.surveys.open("mood", datetime.now(UTC))
            for run in range(RUNS + 1):
                thousand(store, run)
                writer = Writer(settings, store, SharedClock(settings.home))
                writer.everything()
                found.append(float(writer.done().calls))
        if count_answers(settings) != 1000 * (RUNS + 1):
            raise RuntimeError(f"{count_answers(settings)} rows in the Sheet, not {1000 * (RUNS + 1)}")
    return spread("sheet_calls_per_1000", found[1:])


def thousand(store: Store, run: int) -> None:
    """A thousand responses of ten people."""
    now = datetime.now(UTC)
    answers: dict[str, object] = dict.fromkeys(SURVEY.item_ids, 3)
    with store.transaction():
        for n in range(10):
            place = {"timezone": "Europe/Moscow", "consent_version": "1", "at": now}
            store.people.enrol(run * 10 + n + 1, study="mood", language="ru", **place)
        for n in range(1000):
            ident, person = f"{run:06d}{n:010d}", f"p{n % 10}"
            store.prompts.add(
                [Prompt(ident, person, "mood", SURVEY.version, 1, 1, now, now, "Europe/Moscow", "answered")]
            )
            store.responses.add(
                Response(f"{ident}-1", ident, person, "mood", SURVEY.version, 1, "complete", 1, 1, now, now, now, now,
                         "Europe/Moscow", answers)
            )  # fmt: skip


def follow(folder: Path) -> dict[str, float]:
    """`tap_to_row_p99_s`: 50 people a second submit; a collector that follows writes their rows."""
    count = FOLLOW_S * PER_S
    with (
        running("server.telegram", folder / "telegram2", ["--port", "0"]) as telegram,
        running("server.sheets", folder / "sheets2", ["--port", "0"]) as sheets,
        httpx.Client(timeout=60) as http,
    ):
        root, home = telegram.ready["urls"]["api"], folder / "follow"
        everybody(http, root, count)
        with Store.open(home / "private.db") as store:
            prompts = enrol(store, count)
            filled(store)
        ids = messages(http, root, prompts)
        settings, stop, used = sheet_settings(home, sheets), threading.Event(), []
        collector = threading.Thread(target=_collector, args=(settings, stop, used))
        with process([sys.executable, "-m", "flows.bot"], environment_of(home, root), folder / "f.log"):
            collector.start()
            time.sleep(2)
            tapped = submissions(http, root, prompts, ids)
            with Store.open(home / "private.db") as store:
                end = time.monotonic() + 60
                while time.monotonic() < end and rows_written(store) < count:
                    time.sleep(0.2)
                stop.set()
                collector.join()
                rows = store.database.rows("SELECT prompt_id, written_at FROM responses WHERE written_at IS NOT NULL")
        if len(rows) != count or count_answers(settings) != count:
            raise RuntimeError(f"{len(rows)} of {count} responses written, {count_answers(settings)} rows")
        delays = sorted(row[1] / 1e6 - tapped[row[0]] for row in rows)
    return {
        "tap_to_row_p99_s": delays[math.ceil(0.99 * len(delays)) - 1],
        "tap_to_row_p99_s_min": delays[0],
        "tap_to_row_p99_s_max": delays[-1],
        "tap_to_row_median_s": statistics.median(delays),
        "sheet_calls_per_1000_following": used[0] / count * 1000,
    }


def filled(store: Store) -> None:
    """All items answered, not yet submitted."""
    now = datetime.now(UTC)
    form = forms.opened(SURVEY, 1, 1)
    for n in range(len(SURVEY.items)):
        got = forms.answered(form, n, "3")
        assert isinstance(got, Form)
        form = got
    with store.transaction():
        for prompt in store.database.rows("SELECT prompt_id FROM prompts"):
            known = store.prompts.get(prompt[0])
            assert known is not None
            changed = Prompt(**{**vars(known), "answers": dict(form.answers), "position": form.position})
            store.prompts.draft(changed, now)
            store.database.write("UPDATE prompts SET stale = 0 WHERE prompt_id = ?", (prompt[0],))


def submissions(http: httpx.Client, root: str, prompts: list[str], ids: list[int]) -> dict[str, float]:
    """Submit, five people every tenth of a second; when each tapped."""
    tapped = {}
    begun = time.monotonic()
    every = taps(prompts, ids, "submit", -1)
    for n in range(0, len(every), 5):
        wait = begun + n / PER_S - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        now = time.time()
        http.post(f"{root}/client/batch", json=every[n : n + 5]).raise_for_status()
        tapped |= {str(decode(str(call["data"])).prompt): now for call in every[n : n + 5]}  # type: ignore[union-attr]
    return tapped


def rows_written(store: Store) -> int:
    """Responses that are in the Sheet."""
    return store.database.number("SELECT COUNT(*) FROM responses WHERE written_at IS NOT NULL")


def _collector(settings: Settings, stop: threading.Event, used: list[int]) -> None:
    from flows.collect.flow import FOLLOW_EVERY

    with Store.open(settings.database) as store:
        writer = Writer(settings, store, SharedClock(settings.home))
        writer.everything()
        begun = writer.done().calls  # making the spreadsheet is not part of following
        while not stop.wait(FOLLOW_EVERY):
            writer.follow()
        used.append(writer.done().calls - begun)


def planning() -> dict[str, float]:
    """`plan_100k_s`: every prompt of a day for 100,000 people in twelve timezones, ids included; and how it grows."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    zones = ["Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "UTC"]
    zones += [
        "America/Los_Angeles",
        "Australia/Sydney",
        "Asia/Yekaterinburg",
        "Africa/Lagos",
        "Asia/Almaty",
        "Asia/Omsk",
    ]
    taken: dict[int, list[float]] = {}
    for count in (10_000, 100_000):
        enrolled = np.full(count, micros(now) - 86_400 * 10**6 * 3) + np.arange(count) * 10**6
        people = People([f"p{n:016x}" for n in range(count)], [zones[n % 12] for n in range(count)], enrolled)
        for _ in range(RUNS):
            begun = time.perf_counter()
            slots = plan(SURVEY, people, now, now + timedelta(days=1))
            for who, at in zip(slots.who.tolist(), slots.at.tolist(), strict=True):
                prompt_id(people.person[who], SURVEY.version, at)
            taken.setdefault(count, []).append(time.perf_counter() - begun)
    growth = math.log10(statistics.median(taken[100_000]) / statistics.median(taken[10_000]))
    return spread("plan_100k_s", taken[100_000]) | {"plan_exponent": growth}


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = planning() | calls(folder) | updates(folder) | follow(folder)
    write("survey", figures)


if __name__ == "__main__":
    main()
