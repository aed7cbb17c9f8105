"""Polls and quizzes."""

from __future__ import annotations

import secrets
import time
from typing import Any

from server.telegram import markup
from server.telegram.errors import BadRequest
from server.telegram.hub import Call
from server.telegram.methods.messages import found, send
from server.telegram.methods.registry import method
from server.telegram.storage.messages import Message
from server.telegram.text import formatted

QUESTION = 300
OPTION = 100
OPTIONS = 12


def _options(call: Call) -> list[dict[str, Any]]:
    given = call.params.array("options", "String as options")
    texts = [str(o.get("text") if isinstance(o, dict) else o).strip() for o in given]
    if not texts:
        raise BadRequest("poll must have at least 1 answer options")
    if len(texts) > OPTIONS:
        raise BadRequest(f"poll can't have more than {OPTIONS} options")
    if not all(1 <= len(text) <= OPTION for text in texts):
        raise BadRequest(
            "poll options length must not exceed 100" if all(texts) else "poll option text must be non-empty"
        )
    return [{"persistent_id": str(n), "text": text, "voter_count": 0} for n, text in enumerate(texts)]


def poll_of(call: Call) -> dict[str, Any]:
    """The poll of the call, closed by nobody yet."""
    question, entities = formatted(call.params.text("question"), call.params.text("question_parse_mode"))
    if not question:
        raise BadRequest("poll question must be non-empty")
    if len(question) > QUESTION:
        raise BadRequest("poll question length must not exceed 300")
    kind = call.params.text("type") or "regular"
    if kind not in ("regular", "quiz"):
        raise BadRequest("Unsupported poll type specified")
    poll: dict[str, Any] = {
        "id": str(secrets.randbits(62)),
        "question": question,
        "options": _options(call),
        "total_voter_count": 0,
        "is_closed": call.params.flag("is_closed"),
        "is_anonymous": call.params.flag("is_anonymous", default=True),
        "type": kind,
        "allows_multiple_answers": kind == "regular" and call.params.flag("allows_multiple_answers"),
        "allows_revoting": kind == "regular",
        "members_only": False,
    }
    if entities:
        poll["question_entities"] = entities
    return poll | (_quiz(call, poll) if kind == "quiz" else {}) | _time(call)


def _quiz(call: Call, poll: dict[str, Any]) -> dict[str, Any]:
    several = call.params.json("correct_option_ids", "correct option identifiers")
    right = several if isinstance(several, list) else [call.params.integer("correct_option_id", -1)]
    if not right or not all(isinstance(n, int) and 0 <= n < len(poll["options"]) for n in right):
        raise BadRequest("invalid correct option identifier specified")
    quiz: dict[str, Any] = {"correct_option_ids": right}
    if text := call.params.text("explanation"):
        explanation, entities = formatted(text, call.params.text("explanation_parse_mode"))
        quiz |= {"explanation": explanation} | ({"explanation_entities": entities} if entities else {})
    return quiz


def _time(call: Call) -> dict[str, Any]:
    if period := call.params.integer("open_period"):
        return {"open_period": period, "close_date": int(time.time()) + period}
    if close := call.params.integer("close_date"):
        return {"close_date": close}
    return {}


@method("sendPoll", note="open_period and close_date are kept but do not close the poll")
def send_poll(call: Call) -> Message:
    """A poll; `is_anonymous` false brings `poll_answer` updates."""
    poll = poll_of(call)
    message = send(call, {"poll": poll})
    call.hub.polls.add(call.bot.bot_id, message["chat"]["id"], message["message_id"], poll)
    return message


@method("stopPoll")
def stop_poll(call: Call) -> dict[str, Any]:
    """Close a poll; its last count."""
    message = found(call, "with poll to stop", call.chat())
    poll = call.hub.polls.get(message.get("poll", {}).get("id", ""))
    if poll is None or message["from"]["id"] != call.bot.bot_id:
        raise BadRequest("message with poll to stop not found")
    if poll["is_closed"]:
        raise BadRequest("poll has already been closed")
    poll["is_closed"] = True
    call.hub.polls.save(poll)
    message["poll"] = poll
    message.pop("reply_markup", None)
    keyboard = markup.parse(call.params.json("reply_markup", "reply keyboard markup"))
    if keyboard.inline:
        message["reply_markup"] = keyboard.inline
    call.hub.change(call.bot.bot_id, message)
    call.hub.deliver(call.bot.bot_id, "poll", poll)
    return poll
