"""Forwarding and copying."""

from __future__ import annotations

import time
from typing import Any

from server.telegram import markup
from server.telegram.errors import BadRequest
from server.telegram.hub import CONTENT, Call
from server.telegram.methods.messages import caption_of, found, reply_to
from server.telegram.methods.registry import method
from server.telegram.storage.messages import Message

KEPT = ("text", "entities", "caption", "caption_entities", *CONTENT)
COPIES = 100


def origin(message: Message) -> dict[str, Any]:
    """Where a forwarded message came from."""
    if "forward_origin" in message:
        return dict(message["forward_origin"])
    return {"type": "user", "date": message["date"], "sender_user": message["from"]}


def _content(message: Message) -> dict[str, Any]:
    content = {key: message[key] for key in KEPT if key in message}
    if not content:
        raise BadRequest("message can't be forwarded")
    return content


def _forward(call: Call, chat: dict[str, Any], message: Message) -> Message:
    if message.get("has_protected_content"):
        raise BadRequest("message can't be forwarded")
    content = _content(message)
    call.hub.limits.check(call.bot.bot_id, chat["id"], time.monotonic())
    sent = call.hub.compose(call.bot.bot_id, call.bot.user(), chat)
    return call.hub.post(call.bot.bot_id, sent | {"forward_origin": origin(message)} | content)


@method("forwardMessage")
def forward_message(call: Call) -> Message:
    """Forward one message."""
    chat = call.chat()
    return _forward(call, chat, found(call, "to forward", call.chat("from_chat_id", write=False)))


def _several(call: Call) -> list[Message]:
    source = call.chat("from_chat_id", write=False)
    ids = call.params.identifiers("message_ids", "message identifiers")
    if not ids:
        raise BadRequest("Message identifiers are not specified")
    if len(ids) > COPIES:
        raise BadRequest("too many message identifiers specified")
    got = (call.hub.messages.get(call.bot.bot_id, source["id"], number) for number in ids)
    return [message for message in got if message]


@method("forwardMessages")
def forward_messages(call: Call) -> list[dict[str, int]]:
    """Forward several; those that are not there are passed over."""
    chat = call.chat()
    return [{"message_id": _forward(call, chat, message)["message_id"]} for message in _several(call)]


def _copy(call: Call, chat: dict[str, Any], message: Message, changes: dict[str, Any], shown: markup.Markup) -> int:
    content = _content(message)
    if message.get("has_protected_content"):
        raise BadRequest("message can't be copied")
    if changes:
        content = {k: v for k, v in content.items() if k not in ("caption", "caption_entities")} | changes
    call.hub.limits.check(call.bot.bot_id, chat["id"], time.monotonic())
    sent = call.hub.compose(call.bot.bot_id, call.bot.user(), chat) | content
    return int(call.hub.post(call.bot.bot_id, sent, shown)["message_id"])


@method("copyMessage")
def copy_message(call: Call) -> dict[str, int]:
    """Send the same again, without saying where from."""
    chat = call.chat()
    message = found(call, "to copy", call.chat("from_chat_id", write=False))
    shown = markup.parse(call.params.json("reply_markup", "reply keyboard markup"))
    changes = caption_of(call) if "text" not in message else {}
    return {"message_id": _copy(call, chat, message, reply_to(call, chat) | changes, shown)}


@method("copyMessages")
def copy_messages(call: Call) -> list[dict[str, int]]:
    """Send several again."""
    chat = call.chat()
    return [{"message_id": _copy(call, chat, message, {}, markup.NONE)} for message in _several(call)]
