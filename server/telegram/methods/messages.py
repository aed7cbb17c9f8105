"""Sending text and what needs no file: places, contacts, dice, actions; deleting; reactions."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from server.telegram import markup
from server.telegram.errors import BadRequest
from server.telegram.hub import Call
from server.telegram.methods.registry import method
from server.telegram.params import Params
from server.telegram.storage.messages import Message
from server.telegram.text import formatted

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
DELETABLE_S = 48 * 3600
DICE = {"🎲": 6, "🎯": 6, "🎳": 6, "🏀": 5, "⚽": 5, "🎰": 64}
ACTIONS = frozenset({
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note", "cancel",
})  # fmt: skip


def text_of(call: Call, name: str = "text") -> dict[str, Any]:
    """Text and entities of the call, within the limit of a message."""
    text, entities = formatted(
        call.params.text(name), call.params.text("parse_mode"), call.params.json("entities", "entities")
    )
    if not text:
        raise BadRequest("message text is empty")
    if len(text) > TEXT_LIMIT:
        raise BadRequest("message is too long")
    return {"text": text} | ({"entities": named(call, entities)} if entities else {})


def caption_of(call: Call, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Caption and its entities, of the call or of one item of an album."""
    given = params if params is not None else call.params.values
    caption = given.get("caption")
    if not caption:
        return {}
    marked = given.get("caption_entities")
    if isinstance(marked, str):
        marked = call.params.json("caption_entities", "caption entities")
    text, entities = formatted(str(caption), str(given.get("parse_mode") or ""), marked)
    if len(text) > CAPTION_LIMIT:
        raise BadRequest("message caption is too long")
    body: dict[str, Any] = {"caption": text} if text else {}
    if text and entities:
        body["caption_entities"] = named(call, entities)
    return body


def named(call: Call, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mentions by number get the name of the person; of strangers, nothing is marked."""
    kept = []
    for entity in entities:
        if entity["type"] == "text_mention":
            try:
                entity["user"] = call.hub.people.anyone(int(entity["user"]["id"]))
            except (BadRequest, KeyError, TypeError):
                continue
        kept.append(entity)
    return kept


def reply_to(call: Call, chat: dict[str, Any]) -> dict[str, Any]:
    """`reply_to_message` of the call, in both ways of asking for it."""
    asked = call.params.json("reply_parameters", "reply parameters") or {}
    if not isinstance(asked, dict):
        raise BadRequest("Object expected as reply parameters")
    message_id = Params(asked).integer("message_id") or call.params.integer("reply_to_message_id")
    if not message_id:
        return {}
    found = call.hub.messages.get(call.bot.bot_id, chat["id"], message_id)
    if found is None:
        lenient = asked.get("allow_sending_without_reply") or call.params.flag("allow_sending_without_reply")
        if lenient:
            return {}
        raise BadRequest("message to be replied not found")
    return {"reply_to_message": {key: value for key, value in found.items() if key != "reply_to_message"}}


def send(call: Call, content: dict[str, Any]) -> Message:
    """Send `content` to the chat of the call, with its keyboard and what it replies to."""
    chat = call.chat()
    shown = markup.parse(call.params.json("reply_markup", "reply keyboard markup"))
    replied = reply_to(call, chat)
    call.hub.limits.check(call.bot.bot_id, chat["id"], time.monotonic())
    message = call.hub.compose(call.bot.bot_id, call.bot.user(), chat)
    message |= replied | content
    if call.params.flag("protect_content"):
        message["has_protected_content"] = True
    return call.hub.post(call.bot.bot_id, message, shown)


def found(call: Call, what: str, chat: dict[str, Any], name: str = "message_id") -> Message:
    """The message the call is about; `what` names it in the error."""
    message = call.hub.messages.get(call.bot.bot_id, chat["id"], call.params.message_id(name))
    if message is None:
        raise BadRequest(f"message {what} not found")
    return message


@method("sendMessage")
def send_message(call: Call) -> Message:
    """Text."""
    call.chat()
    return send(call, text_of(call))


@method("sendLocation", note="live locations do not move")
def send_location(call: Call) -> Message:
    """A place."""
    place = _place(call)
    if period := call.params.integer("live_period"):
        place["live_period"] = period
    return send(call, {"location": place})


def _place(call: Call) -> dict[str, Any]:
    return {"latitude": call.params.number("latitude"), "longitude": call.params.number("longitude")}


@method("sendVenue")
def send_venue(call: Call) -> Message:
    """A place with a name."""
    place = _place(call)
    venue = {"location": place, "title": call.params.text("title"), "address": call.params.text("address")}
    return send(call, {"location": place, "venue": venue})


@method("sendContact")
def send_contact(call: Call) -> Message:
    """Somebody's phone number."""
    contact = {"phone_number": call.params.text("phone_number"), "first_name": call.params.text("first_name")}
    if not all(contact.values()):
        raise BadRequest("contact phone number is empty" if not contact["phone_number"] else "first name is empty")
    return send(
        call, {"contact": contact | {k: call.params.text(k) for k in ("last_name", "vcard") if k in call.params}}
    )


@method("sendDice")
def send_dice(call: Call) -> Message:
    """A dice, thrown fairly."""
    emoji = call.params.text("emoji", "🎲")
    if emoji not in DICE:
        raise BadRequest("EMOTICON_INVALID")
    return send(call, {"dice": {"emoji": emoji, "value": secrets.randbelow(DICE[emoji]) + 1}})


@method("sendChatAction")
def send_chat_action(call: Call) -> bool:
    """Typing, uploading and the like; people see it."""
    chat = call.chat()
    action = call.params.text("action")
    if action not in ACTIONS:
        raise BadRequest("wrong parameter action in request")
    call.hub.emit("action", call.bot.bot_id, chat["id"], action=action)
    return True


@method("deleteMessage")
def delete_message(call: Call) -> bool:
    """Take back a message."""
    chat = call.chat()
    message = found(call, "to delete", chat)
    _check_deletable(call, chat, message)
    call.hub.remove(call.bot.bot_id, chat["id"], message["message_id"])
    return True


def _check_deletable(call: Call, chat: dict[str, Any], message: Message) -> None:
    own = message["from"]["id"] == call.bot.bot_id
    admin = chat["id"] < 0 and call.hub.people.member(chat["id"], call.bot.bot_id) == "administrator"
    fresh = message["date"] > time.time() - DELETABLE_S
    if not (admin or (fresh and (own or chat["id"] > 0))):
        raise BadRequest("message can't be deleted")


@method("deleteMessages")
def delete_messages(call: Call) -> bool:
    """Take back up to 100 messages; those that are not there are passed over."""
    chat = call.chat()
    ids = call.params.identifiers("message_ids", "message identifiers")
    if not ids:
        raise BadRequest("Message identifiers are not specified")
    if len(ids) > 100:
        raise BadRequest("too many message identifiers specified")
    for message_id in ids:
        message = call.hub.messages.get(call.bot.bot_id, chat["id"], message_id)
        if message is not None:
            _check_deletable(call, chat, message)
            call.hub.remove(call.bot.bot_id, chat["id"], message["message_id"])
    return True


REACTIONS = frozenset((Path(__file__).parents[1] / "reactions.txt").read_text("utf-8").split())
"""What the Bot API takes as a reaction, without variation selectors."""


@method("setMessageReaction")
def set_message_reaction(call: Call) -> bool:
    """A bot's reaction, which people see."""
    chat = call.chat()
    message = found(call, "to react", chat)
    reactions = call.params.array("reaction", "ReactionType")
    if len(reactions) > 1:
        raise BadRequest("REACTIONS_TOO_MANY")
    if any(not isinstance(r, dict) or r.get("type") not in ("emoji", "custom_emoji", "paid") for r in reactions):
        raise BadRequest("invalid reaction type specified")
    if any(r["type"] == "emoji" and str(r.get("emoji")).replace("\ufe0f", "") not in REACTIONS for r in reactions):
        raise BadRequest("REACTION_INVALID")
    call.hub.emit(
        "reaction",
        call.bot.bot_id,
        chat["id"],
        message_id=message["message_id"],
        from_id=call.bot.bot_id,
        reaction=reactions,
    )
    return True
