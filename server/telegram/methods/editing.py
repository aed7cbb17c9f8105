"""Changing messages that were sent."""

from __future__ import annotations

import time
from typing import Any

from server.telegram import markup
from server.telegram.errors import BadRequest
from server.telegram.hub import CONTENT, Call
from server.telegram.methods.media import KINDS, media_of
from server.telegram.methods.messages import caption_of, found, text_of
from server.telegram.methods.registry import method
from server.telegram.storage.messages import Message

_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content "
    "and reply markup of the message"
)
_VISIBLE = ("text", "entities", "caption", "caption_entities", "reply_markup", *CONTENT)


def _own(call: Call) -> Message:
    if "inline_message_id" in call.params:
        raise BadRequest("MESSAGE_ID_INVALID")
    message = found(call, "to edit", call.chat())
    if message["from"]["id"] != call.bot.bot_id:
        raise BadRequest("message can't be edited")
    return message


def _edit(call: Call, message: Message, drop: tuple[str, ...], content: dict[str, Any]) -> Message:
    """Replace `drop` by `content` and the keyboard by the one of the call (none given: none left)."""
    keyboard = markup.parse(call.params.json("reply_markup", "reply keyboard markup"))
    if keyboard.keyboard:
        raise BadRequest("inline keyboard expected")
    gone = {*drop, "reply_markup"}
    edited = {key: value for key, value in message.items() if key not in gone} | content
    if keyboard.inline:
        edited["reply_markup"] = keyboard.inline
    if all(message.get(key) == edited.get(key) for key in _VISIBLE):
        raise BadRequest(_NOT_MODIFIED)
    edited["edit_date"] = int(time.time())
    return call.hub.change(call.bot.bot_id, edited)


@method("editMessageText", note="no inline messages")
def edit_message_text(call: Call) -> Message:
    """New text."""
    content = text_of(call)
    message = _own(call)
    if "text" not in message:
        raise BadRequest("there is no text in the message to edit")
    return _edit(call, message, ("text", "entities"), content)


@method("editMessageCaption", note="no inline messages")
def edit_message_caption(call: Call) -> Message:
    """New caption; none takes it away."""
    content = caption_of(call)
    message = _own(call)
    if not any(key in message for key in KINDS):
        raise BadRequest("there is no caption in the message to edit")
    return _edit(call, message, ("caption", "caption_entities"), content)


@method("editMessageReplyMarkup", note="no inline messages")
def edit_message_reply_markup(call: Call) -> Message:
    """New keyboard; none takes it away."""
    return _edit(call, _own(call), (), {})


@method("editMessageMedia", note="no inline messages; no URLs")
def edit_message_media(call: Call) -> Message:
    """Another file."""
    message = _own(call)
    media = call.params.json("media", "input media")
    if not isinstance(media, dict) or media.get("type") not in ("photo", "video", "document", "audio", "animation"):
        raise BadRequest("can't parse InputMedia: Unsupported type specified")
    if not any(key in message for key in KINDS) and "text" not in message:
        raise BadRequest("there is no media in the message to edit")
    content = media_of(call, KINDS[media["type"]], media.get("media"), media) | caption_of(call, media)
    return _edit(call, message, ("text", "entities", "caption", "caption_entities", *KINDS), content)


@method("editMessageLiveLocation", note="no inline messages")
def edit_message_live_location(call: Call) -> Message:
    """Move a live location."""
    message = _own(call)
    if not message.get("location", {}).get("live_period"):
        raise BadRequest("message can't be edited")
    place = {"latitude": call.params.number("latitude"), "longitude": call.params.number("longitude")}
    return _edit(call, message, (), {"location": message["location"] | place})


@method("stopMessageLiveLocation", note="no inline messages")
def stop_message_live_location(call: Call) -> Message:
    """Let a live location rest."""
    message = _own(call)
    place = dict(message.get("location", {}))
    if not place.pop("live_period", None):
        raise BadRequest("message can't be edited")
    return _edit(call, message, (), {"location": place})
