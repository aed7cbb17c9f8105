"""Limits, fault rules, keyboards, the coverage page and the command line."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.telegram import coverage, markup
from server.telegram.errors import BadRequest, TooManyRequests
from server.telegram.faults import Faults
from server.telegram.limits import Limits, Rates
from server.telegram.methods import METHODS


def test_the_coverage_page_is_current() -> None:
    """COVERAGE.md says what the code has; `python -m server.telegram.coverage` writes it."""
    assert coverage.PATH.read_text() == coverage.page()


def test_every_method_is_a_documented_one() -> None:
    """No method here that the Bot API does not have, and each says what it does."""
    documented = {name.lower() for name in coverage.documented()}
    assert set(METHODS) <= documented
    assert [name for name, method in METHODS.items() if not method.handler.__doc__] == []


def test_thirty_a_second_one_a_chat_twenty_a_group() -> None:
    """Each limit lets through what it says, names the seconds to wait, and lets through again after them."""
    limits = Limits(Rates(enabled=True))
    for chat in range(1, 31):
        limits.check(7, chat, 0.0)
    with pytest.raises(TooManyRequests) as everywhere:
        limits.check(7, 31, 0.5)
    assert everywhere.value.parameters == {"retry_after": 1}
    limits.check(8, 31, 0.5)
    limits.check(7, 31, 1.0)
    with pytest.raises(TooManyRequests):
        limits.check(7, 31, 1.9)
    limits.check(7, 31, 2.0)
    for second in range(20):
        limits.check(9, -5, 100.0 + second)
    with pytest.raises(TooManyRequests) as group:
        limits.check(9, -5, 120.0)
    assert group.value.parameters == {"retry_after": 40}
    limits.check(9, -5, 160.0)


def test_fault_rules_choose_their_calls() -> None:
    """A rule strikes its method, chat and bot, as often as it says, the same way for the same seed."""
    faults = Faults()
    faults.replace([{"method": "sendMessage", "chat_id": 5, "bot_id": 1, "times": 2, "status": 500}])
    asked = [("sendmessage", 1, "5"), ("getme", 1, "5"), ("sendmessage", 2, "5"), ("sendmessage", 1, "6")]
    assert [faults.strike(*call) is not None for call in asked] == [True, False, False, False]
    assert [faults.strike(*asked[0]) is not None for _ in range(3)] == [True, False, False]

    def dice() -> list[bool]:
        faults.replace([{"probability": 0.3, "seed": 4, "status": 500}])
        return [faults.strike("getme", 1, "") is not None for _ in range(200)]

    first = dice()
    assert first == dice()
    assert 30 <= sum(first) <= 90


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([], "object expected as reply markup"),
        ({"inline_keyboard": [1]}, 'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays'),
        ({"inline_keyboard": [[{"callback_data": "x"}]]}, "can't parse inline keyboard button: Can't find field \"text\""),
        ({"inline_keyboard": [[{"text": "x", "callback_data": "я" * 33}]]}, "BUTTON_DATA_INVALID"),
        ({"inline_keyboard": [[{"text": "x", "callback_data": str(n)}] for n in range(101)]}, "reply markup is too long"),
        ({"inline_keyboard": [[{"text": "x", "url": "javascript:x"}]]}, "inline keyboard button URL 'javascript:x' is invalid: Wrong HTTP URL"),
        ({"keyboard": [[1]]}, "can't parse keyboard button: KeyboardButton must be a String or an Object"),
    ],
)  # fmt: skip
def test_keyboards_that_are_refused(value: object, error: str) -> None:
    """A keyboard Telegram would not take is refused in its words."""
    with pytest.raises(BadRequest) as refused:
        markup.parse(value)
    assert refused.value.description == f"Bad Request: {error}"


def run(*options: str) -> tuple[int, str]:
    """Exit code and stderr of the server."""
    command = [sys.executable, "-m", "server.telegram", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Exit 2, and a line with the port and the option to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = run("--data", str(tmp_path), "--port", port)
    assert (code, port in said, "--port" in said) == (2, True, True)


def test_only_loopback(tmp_path: Path) -> None:
    """An address others can reach is refused: there are no passwords here."""
    code, said = run("--data", str(tmp_path), "--host", "0.0.0.0", "--port", "0")
    assert (code, "127.0.0.1" in said) == (2, True)


def test_reactions_are_those_the_library_knows():
    """Every emoji python-telegram-bot lists as a reaction is one here, and no other."""
    from telegram.constants import ReactionEmoji

    from server.telegram.methods.messages import REACTIONS

    assert {emoji.value.replace("\ufe0f", "") for emoji in ReactionEmoji} == REACTIONS


def test_a_webhooks_faults_strike_deliveries_only():
    """A rule for every method leaves the posts of updates alone; one for the webhook touches no call."""
    faults = Faults()
    faults.replace([{"method": "*", "status": 500}])
    assert faults.strike("webhook", 1, "5") is None
    faults.replace([{"method": "webhook", "twice": True, "times": 1}])
    assert faults.strike("sendmessage", 1, "5") is None
    assert faults.strike("webhook", 1, "5").twice
    assert faults.strike("webhook", 1, "5") is None
