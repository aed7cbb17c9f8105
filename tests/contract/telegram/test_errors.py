"""Errors in Telegram's words and codes, and as the exceptions python-telegram-bot makes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from tests.contract.telegram.conftest import TOKEN, Local

pytestmark = pytest.mark.xdist_group("telegram-errors")
SAME = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
BUTTON = {"inline_keyboard": [[{"text": "x", "callback_data": "d" * 65}]]}


def described(local: Local, method: str, **body: Any) -> tuple[int, str]:
    """Code and description of a refusal, whose body has exactly the documented shape."""
    answer = local.raw(method, **body)
    refusal = answer.json()
    assert (refusal["ok"], refusal["error_code"]) == (False, answer.status_code)
    assert set(refusal) <= {"ok", "error_code", "description", "parameters"}
    return answer.status_code, refusal["description"]


@pytest.mark.parametrize(
    ("method", "body", "description"),
    [
        ("sendMessage", {"text": "x", "chat_id": 1}, "Bad Request: chat not found"),
        ("answerInlineQuery", {"results": []}, "Bad Request: inline_query_id is empty"),
        (
            "answerInlineQuery",
            {"inline_query_id": "1", "results": []},
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        ),
        ("answerInlineQuery", {"inline_query_id": "1", "results": [{}] * 51}, "Bad Request: RESULTS_TOO_MUCH"),
        ("sendMessage", {"text": "x", "chat_id": "@nobody"}, "Bad Request: chat not found"),
        ("sendMessage", {"text": "x", "chat_id": ""}, "Bad Request: chat_id is empty"),
        ("sendMessage", {"text": " \n "}, "Bad Request: message text is empty"),
        ("sendMessage", {}, "Bad Request: message text is empty"),
        ("sendMessage", {"text": "я" * 4097}, "Bad Request: message is too long"),
        ("sendMessage", {"text": "x", "parse_mode": "XML"}, "Bad Request: unsupported parse_mode"),
        (
            "sendMessage",
            {"text": "5.5", "parse_mode": "MarkdownV2"},
            "Bad Request: can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
        ),
        (
            "sendMessage",
            {"text": "ё *b", "parse_mode": "MarkdownV2"},
            "Bad Request: can't parse entities: Can't find end of Bold entity at byte offset 3",
        ),
        (
            "sendMessage",
            {"text": "a_b", "parse_mode": "Markdown"},
            "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 1",
        ),
        (
            "sendMessage",
            {"text": "<p>x</p>", "parse_mode": "HTML"},
            'Bad Request: can\'t parse entities: Unsupported start tag "p" at byte offset 0',
        ),
        (
            "sendMessage",
            {"text": "<b>x", "parse_mode": "HTML"},
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        ("sendMessage", {"text": "x", "reply_markup": BUTTON}, "Bad Request: BUTTON_DATA_INVALID"),
        ("sendMessage", {"text": "x", "reply_markup": "[]"}, "Bad Request: object expected as reply markup"),
        (
            "sendMessage",
            {"text": "x", "reply_markup": "{"},
            "Bad Request: can't parse reply keyboard markup JSON object",
        ),
        (
            "sendMessage",
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x"}]]}},
            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            "sendMessage",
            {"text": "x", "reply_parameters": {"message_id": 9999}},
            "Bad Request: message to be replied not found",
        ),
        ("editMessageText", {"text": "x", "message_id": 9999}, "Bad Request: message to edit not found"),
        ("deleteMessage", {"message_id": 9999}, "Bad Request: message to delete not found"),
        ("forwardMessage", {"from_chat_id": 1, "message_id": 1}, "Bad Request: chat not found"),
        ("pinChatMessage", {"message_id": 9999}, "Bad Request: message to pin not found"),
        (
            "answerCallbackQuery",
            {"callback_query_id": "1"},
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        ),
        ("sendPhoto", {}, "Bad Request: there is no photo in the request"),
        ("sendPhoto", {"photo": "nonsense"}, "Bad Request: wrong file identifier/HTTP URL specified"),
        (
            "sendPhoto",
            {"photo": "https://e.org/a.png"},
            "Bad Request: wrong file identifier/HTTP URL specified: this local server fetches nothing; upload the file",
        ),
        ("sendChatAction", {"action": "dancing"}, "Bad Request: wrong parameter action in request"),
        ("sendPoll", {"question": "", "options": ["a"]}, "Bad Request: poll question must be non-empty"),
        ("getFile", {"file_id": "x"}, "Bad Request: wrong file_id or the file is temporarily unavailable"),
        ("setMyCommands", {"commands": [{"command": "Now!", "description": "x"}]}, "Bad Request: BOT_COMMAND_INVALID"),
        ("setWebhook", {"url": "ftp://x"}, "Bad Request: invalid webhook URL specified"),
        ("getChatMember", {"user_id": 12345}, "Bad Request: user not found"),
    ],
)
def test_bad_requests(telegram: Local, method: str, body: dict[str, Any], description: str) -> None:
    """A request that cannot succeed is 400, worded as Telegram words it."""
    person = telegram.person()
    assert described(telegram, method, **{"chat_id": person, **body}) == (400, description)


def test_a_persons_message_is_not_the_bots_to_edit(telegram: Local) -> None:
    """A bot edits its own messages only."""
    person = telegram.person()
    theirs = telegram.client("send", user_id=person, text="моё")["message_id"]
    refusal = described(telegram, "editMessageText", chat_id=person, message_id=theirs, text="x")
    assert refusal == (400, "Bad Request: message can't be edited")


def test_unknown_methods_and_tokens(telegram: Local) -> None:
    """404 for a method or a token that is none, 401 for another token of a known bot."""
    assert described(telegram, "fooBar") == (404, "Not Found: method not found")
    assert telegram.raw("getMe", "notoken").json() == {"ok": False, "error_code": 404, "description": "Not Found"}
    telegram.raw("getMe")
    other = telegram.raw("getMe", "4242:another").json()
    assert other == {"ok": False, "error_code": 401, "description": "Unauthorized"}


def test_bytes_over_the_limits(telegram: Local) -> None:
    """10 MB for photos, 50 MB for uploads, 20 MB for downloads."""
    person, fields = telegram.person(), {}
    fields["chat_id"] = str(person)
    over = telegram.http.post(f"/bot{TOKEN}/sendPhoto", data=fields, files={"photo": b"x" * (10 * 2**20 + 1)})
    assert over.status_code == 400
    assert "too big for a photo" in over.json()["description"]
    large = telegram.http.post(f"/bot{TOKEN}/sendDocument", data=fields, files={"document": b"x" * (21 * 2**20)}).json()
    assert described(telegram, "getFile", file_id=large["result"]["document"]["file_id"]) == (
        400,
        "Bad Request: file is too big",
    )
    refused = telegram.http.post(f"/bot{TOKEN}/sendDocument", data=fields, files={"document": b"x" * (52 * 2**20)})
    assert refused.json() == {"ok": False, "error_code": 413, "description": "Request Entity Too Large"}
    garbled = telegram.http.post(f"/bot{TOKEN}/sendPhoto", data=fields, files={"photo": b"no picture"})
    assert garbled.json()["description"] == "Bad Request: IMAGE_PROCESS_FAILED"


def test_ptb_raises_what_it_documents(fresh: Local) -> None:
    """Blocked, deactivated, migrated, not modified, limited, conflicting: each arrives as its own exception."""
    person, gone = fresh.person(), fresh.person("Боб")
    group = fresh.client("group", user_id=person, title="Мы", members=[person])["chat_id"]
    keys = InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="x")]])

    async def run() -> None:
        async with fresh.bot() as bot:
            message = await bot.send_message(person, "то же", reply_markup=keys)
            with pytest.raises(BadRequest, match="is not modified") as same:
                await message.edit_text("то же", reply_markup=keys)
            assert same.value.message == SAME.removeprefix("Bad Request: ").capitalize()
            fresh.client("block", user_id=person)
            with pytest.raises(Forbidden, match="bot was blocked by the user"):
                await bot.send_message(person, "x")
            fresh.client("unblock", user_id=person)
            assert (await bot.send_message(person, "снова")).text == "снова"
            fresh.client("deactivate", user_id=gone)
            with pytest.raises(Forbidden, match="user is deactivated"):
                await bot.send_message(gone, "x")
            new = fresh.client("migrate", chat_id=group)["chat_id"]
            with pytest.raises(ChatMigrated) as moved:
                await bot.send_message(group, "x")
            assert moved.value.new_chat_id == new
            assert (await bot.send_message(new, "там")).chat.type == "supergroup"
            fresh.client("kick", user_id=person, chat_id=new)
            with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
                await bot.send_message(new, "x")
            await bot.set_webhook("http://127.0.0.1:9/")
            with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
                await bot.get_updates()
            await bot.delete_webhook()
        with pytest.raises(InvalidToken):
            await fresh.bot("4242:other").initialize()

    asyncio.run(run())


def test_injected_faults(fresh: Local) -> None:
    """Rules fail chosen calls: before or after the work is done, with any status, or by cutting the connection."""
    person = fresh.person()

    def texts() -> list[str]:
        return [m["text"] for m in fresh.http.get(f"/client/chats/{person}/messages").json()["messages"]][1:]

    async def run() -> None:
        async with fresh.bot() as bot:
            fresh.client("faults", rules=[{"method": "sendMessage", "status": 429, "retry_after": 7, "times": 1}])
            with pytest.raises(RetryAfter) as limited:
                await bot.send_message(person, "раз")
            assert limited.value._retry_after.total_seconds() == 7
            await bot.send_message(person, "два")
            assert texts() == ["два"]
            fresh.client("faults", rules=[{"method": "sendMessage", "status": 503, "after_commit": True, "times": 1}])
            with pytest.raises(NetworkError):
                await bot.send_message(person, "три")
            assert texts() == ["два", "три"]
            fresh.client("faults", rules=[{"chat_id": person, "drop": True, "times": 1}])
            with pytest.raises(NetworkError):
                await bot.send_message(person, "четыре")
            assert texts() == ["два", "три"]
            fresh.client("faults", rules=[{"drop": True, "after_commit": True, "times": 1}])
            with pytest.raises(NetworkError):
                await bot.send_message(person, "пять")
            assert texts() == ["два", "три", "пять"]

    asyncio.run(run())
    fresh.client("faults", rules=[{"method": "sendMessage", "status": 500, "probability": 0.5, "seed": 1}])
    first = [fresh.raw("sendMessage", chat_id=person, text="x").status_code for _ in range(20)]
    fresh.client("faults", rules=[{"method": "sendMessage", "status": 500, "probability": 0.5, "seed": 1}])
    again = [fresh.raw("sendMessage", chat_id=person, text="x").status_code for _ in range(20)]
    assert first == again
    assert {200, 500} == set(first)
    wrong = fresh.http.post("/client/faults", json={"rules": [{"methd": "x"}]})
    assert (wrong.status_code, "methd" in wrong.text) == (400, True)


def test_flood_limits(fresh: Local) -> None:
    """Switched on, a second message to a chat within a second is 429 with retry_after; switched off, nothing is."""
    person = fresh.person()
    fresh.client("limits", enabled=True, per_second=10_000, chat_per_second=1)
    codes = [fresh.raw("sendMessage", chat_id=person, text="x").json() for _ in range(2)]
    assert codes[0]["ok"]
    assert codes[1] == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 1",
        "parameters": {"retry_after": 1},
    }
    fresh.client("limits", enabled=False)
    assert {fresh.raw("sendMessage", chat_id=person, text="x").status_code for _ in range(40)} == {200}
