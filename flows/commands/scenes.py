"""What is acted out on a running stack so that it can be pictured: a survey, a pipeline that runs, an alert.

Everything goes the way it goes in earnest: a person taps on the chat page, Prefect starts deployments, a run's process
is killed and the monitor tells the operator.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from flows.clock import SharedClock
from flows.commands import prefect_api
from flows.commands.errors import ServiceError
from flows.commands.pictures import PREFECT, TELEGRAM

PATIENCE = 900.0  # a training on a busy machine takes minutes
OPERATOR = 900_000_001
CRASHED = "failed run -> monitor"
SUBMIT, LOOK, THANKS = "✓ Отправить", "Проверьте и отправьте", "Спасибо, ответы записаны"
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
Found = TypeVar("Found")


def wait(look: Callable[[], Found | None], what: str, seconds: float = PATIENCE) -> Found:
    """Look again until there is something to see.

    Raises
    ------
    ServiceError
        Nothing came in time; it says what was awaited.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise ServiceError(f"not seen in {seconds:.0f} s: {what}")
        time.sleep(0.2)
    return found


@dataclass
class Stage:
    """A running stack, and a browser's page to look at it with.

    Attributes
    ----------
    keep
        Takes the picture of this name of what the page shows now; the second argument is what is behind it.
    """

    home: Path
    environment: Mapping[str, str]
    urls: Mapping[str, str]
    page: Any
    keep: Callable[[str, str], None]

    @property
    def telegram(self) -> str:
        """Root of the local Telegram.

        Raises
        ------
        ServiceError
            The stack talks to the real one, where nobody can be made to tap.
        """
        root = self.urls.get("Telegram", "")
        if not root.startswith("http://127"):
            raise ServiceError("the stack has no local Telegram")
        return root.removesuffix("/chat")

    def messages(self, chat_id: int) -> list[dict[str, Any]]:
        """Every message of a chat, the oldest first."""
        got = httpx.get(f"{self.telegram}/client/chats/{chat_id}/messages", params={"limit": 200}).json()
        listed: list[dict[str, Any]] = got["messages"] if isinstance(got, dict) else got
        return listed

    def chats(self) -> list[dict[str, Any]]:
        """Every chat."""
        got = httpx.get(f"{self.telegram}/client/chats").json()
        listed: list[dict[str, Any]] = got["chats"] if isinstance(got, dict) else got
        return listed

    def start(self, deployment: str, **body: Any) -> str:
        """Start a deployment; the id of its flow run."""
        with prefect_api.client(self.environment) as api:
            found = api.get(f"deployments/name/{deployment}").raise_for_status().json()["id"]
            made = wait(
                lambda: _accepted(api.post(f"deployments/{found}/create_flow_run", json=body)), "a free Prefect"
            )
            return str(made["id"])

    def state(self, run: str) -> str:
        """State of a flow run, in capitals."""
        with prefect_api.client(self.environment) as api:
            return str(api.get(f"flow_runs/{run}").raise_for_status().json()["state"]["type"])

    def end(self, run: str, wanted: str = "COMPLETED") -> None:
        """Wait for a flow run's end.

        Raises
        ------
        ServiceError
            It ended otherwise than `wanted`.
        """
        state = wait(lambda: (s := self.state(run)) in _FINAL and s, f"the end of flow run {run}")
        if state != wanted:
            raise ServiceError(f"flow run {run} ended {state}")


def _accepted(answer: httpx.Response) -> dict[str, Any] | None:
    """What was made; nothing yet where Prefect's database is busy."""
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return None
    made: dict[str, Any] = answer.raise_for_status().json()
    return made


def survey(stage: Stage) -> dict[str, Any]:
    """Let a respondent of the replay fill in one more survey on the chat page, a day later; their chat.

    Pictures: `chat-1-consent` (how it began), `chat-2-question`, `chat-3-review`, `chat-4-thanks`.
    """
    chat = next((c for c in stage.chats() if c["user"].get("language_code") == "ru" and c["chat_id"] < OPERATOR), None)
    if chat is None:
        raise ServiceError("no respondent who reads Russian")
    clock = SharedClock(stage.home)
    clock.set((clock.now() + timedelta(days=1)).replace(hour=10, minute=0))
    page = stage.page
    _open(stage, chat)
    page.locator("#log").evaluate("log => { log.scrollTop = 0 }")
    stage.keep("chat-1-consent", TELEGRAM)
    page.locator("#log").evaluate("log => { log.scrollTop = log.scrollHeight }")
    thanked = page.get_by_text(THANKS).count()
    page.locator("#text").fill("/now")
    page.keyboard.press("Enter")
    for place in range(1, 20):  # as many items as the survey has
        _shown(page, f"{place}/")
        if page.get_by_role("button", name=SUBMIT, exact=True).count():
            break
        if place == 2:
            stage.keep("chat-2-question", TELEGRAM)
        page.get_by_role("button", name="3", exact=True).last.click()
        _shown(page, f"{place + 1}/")
    stage.keep("chat-3-review", TELEGRAM)
    page.get_by_role("button", name=SUBMIT, exact=True).last.click()
    page.get_by_text(THANKS).nth(thanked).wait_for()
    stage.keep("chat-4-thanks", TELEGRAM)
    return chat


def _shown(page: Any, step: str) -> None:
    """Wait for the item with this number, or for the last look."""
    page.get_by_text(re.compile(rf"\b{step}\d")).or_(page.get_by_text(LOOK)).last.wait_for()


def _open(stage: Stage, chat: Mapping[str, Any]) -> None:
    stage.page.goto("about:blank")  # a change of the hash alone would open nothing
    stage.page.goto(f"{stage.telegram}/chat#{chat['bot_id']}/{chat['chat_id']}")
    stage.page.locator("#log .bubble").first.wait_for()


def insight(stage: Stage, chat: Mapping[str, Any], before: int) -> None:
    """Wait until the chat holds more pictures than `before`, then take `chat-5-insight`."""
    wait(lambda: pictures(stage, chat) > before, "the insight in the chat")
    _open(stage, chat)
    stage.page.locator(".bubble img").last.wait_for()
    stage.page.locator(".bubble img").last.evaluate("image => image.decode()")
    stage.page.locator("#log").evaluate("log => { log.scrollTop = log.scrollHeight }")
    stage.keep("chat-5-insight", TELEGRAM)


def pictures(stage: Stage, chat: Mapping[str, Any]) -> int:
    """How many pictures a chat has."""
    return sum("photo" in message for message in stage.messages(chat["chat_id"]))


def half_way(stage: Stage, run: str) -> Mapping[str, Any]:
    """Wait until in ClearML a step of the newest pipeline is done and another runs; the controller."""
    from clearml.backend_api.session.client import APIClient

    session = APIClient().session
    body = {
        "type": ["controller"], "status": ["in_progress"], "search_hidden": True, "order_by": ["-created"],
        "only_fields": ["id", "project", "name", "configuration"],
    }  # fmt: skip

    def look() -> Mapping[str, Any] | None:
        if stage.state(run) in _FINAL:
            raise ServiceError("the run was over before a picture of it could be taken")
        answer = session.send_request("tasks", "get_all_ex", method="post", json=body).json()["data"]["tasks"]
        return next((task for task in answer if {"completed", "running"} <= _states(task)), None)

    return wait(look, "a pipeline in the middle of its way")


def watched(stage: Stage, run: str) -> None:
    """Take `prefect-running`: the page of a flow run that is not over yet."""
    stage.page.goto(f"{stage.urls['Prefect']}/runs/flow-run/{run}")
    stage.page.get_by_text("Running").first.wait_for(timeout=60_000)
    stage.page.get_by_text("Beginning flow run").first.wait_for(timeout=60_000)
    stage.keep("prefect-running", PREFECT)


def _states(task: Mapping[str, Any]) -> set[str]:
    graph = ((task.get("configuration") or {}).get("Pipeline") or {}).get("value") or "{}"
    return {str(step.get("status")) for step in json.loads(graph).values()}


def alert(stage: Stage) -> None:
    """Kill a run's process, let the monitor tell the operator; run it again, let the monitor tell that it is well.

    Picture: `alert`.
    """
    body = {"user_id": OPERATOR, "first_name": "Оператор", "language_code": "ru"}
    made = httpx.post(f"{stage.telegram}/client/start", json=body).raise_for_status().json()
    chat = next(c for c in stage.chats() if c["chat_id"] == made["chat_id"])
    told = {"env": {"MOODFLOW_OPERATOR_CHAT": str(made["chat_id"])}}
    wait(lambda: len(stage.messages(chat["chat_id"])) > 1, "the bot's first answer to the operator")
    with _paused(stage, CRASHED):  # it would look first, and without the operator's chat
        run = stage.start("collect/collect")
        wait(lambda: _kill(stage, run), "the process of the run to be killed")
        stage.end(run, "CRASHED")
        for _ in range(2):
            before = len(stage.messages(chat["chat_id"]))
            stage.end(stage.start("monitor/monitor", job_variables=told))
            _more(stage, chat, before)
            stage.end(stage.start("collect/collect"))
    _open(stage, chat)
    stage.keep("alert", TELEGRAM)


def _more(stage: Stage, chat: Mapping[str, Any], before: int) -> None:
    wait(lambda: len(stage.messages(chat["chat_id"])) > before, "the alert in the operator's chat")


def _kill(stage: Stage, run: str) -> bool:
    """Kill the process that executes a flow run, as soon as Prefect says that it runs."""
    if stage.state(run) != "RUNNING":
        return False
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID", "").replace("-", "") == run.replace("-", ""):
                process.send_signal(signal.SIGKILL)
                return True
    return False


@contextlib.contextmanager
def _paused(stage: Stage, name: str) -> Iterator[None]:
    """Switch an automation off for a while."""
    with prefect_api.client(stage.environment) as api:
        found = [a["id"] for a in api.post("automations/filter", json={}).json() if a["name"] == name]
        for automation in found:
            api.patch(f"automations/{automation}", json={"enabled": False}).raise_for_status()
        try:
            yield
        finally:
            for automation in found:
                api.patch(f"automations/{automation}", json={"enabled": True}).raise_for_status()
