"""What a person does in a chat: send, tap, edit, vote, react, delete."""

from __future__ import annotations

import base64
import binascii
import io
import secrets
import time

from PIL import Image

from server.telegram import markup
from server.telegram.client.asked import Asked
from server.telegram.client.people import Body, group_of, instance, say
from server.telegram.errors import BadRequest
from server.telegram.hub import Call, Hub
from server.telegram.methods.media import KINDS, media_of
from server.telegram.params import Params
from server.telegram.storage.bots import Bot
from server.telegram.text.entities import detect

_SECOND_OF_SILENCE = b"OggS\x00\x02" + bytes(94)


def _where(hub: Hub, asked: Asked) -> tuple[int, int, Bot]:
    """(person, chat, bot) of a request, checked."""
    user_id = asked.integer("user_id")
    chat_id = asked.optional_integer("chat_id") or user_id
    bot = asked.bot(hub, user_id)
    if chat_id < 0:
        group_of(hub, chat_id, user_id)
    else:
        status = hub.people.contact(bot.bot_id, user_id)
        if status is None:
            raise BadRequest("the person has not started this bot; start it first")
        if status == "kicked":
            raise BadRequest("the person blocked this bot; unblock it first")
    return user_id, chat_id, bot


def send(hub: Hub, asked: Asked) -> Body:
    """Send text, or one of sticker, voice, photo, document, location, contact; `forward` marks it as forwarded."""
    user_id, chat_id, bot = _where(hub, asked)
    content = _content(hub, bot, asked)
    if forward := asked.body.get("forward"):
        name = forward.get("sender_name", "Somebody") if isinstance(forward, dict) else "Somebody"
        content["forward_origin"] = {"type": "hidden_user", "date": int(time.time()) - 60, "sender_user_name": name}
    if reply := asked.optional_integer("reply_to"):
        found = hub.messages.get(bot.bot_id, chat_id, reply)
        if found is None:
            raise BadRequest("message to be replied not found")
        content["reply_to_message"] = {k: v for k, v in found.items() if k != "reply_to_message"}
    return say(hub, bot, user_id, chat_id, content, asked.optional_integer("date"))


def _content(hub: Hub, bot: Bot, asked: Asked) -> Body:
    body = asked.body
    for kind in ("location", "contact", "venue"):
        if kind in body:
            return {kind: body[kind]}
    file_kind = next((kind for kind in KINDS if body.get(kind) not in (None, False)), None)
    if file_kind:
        content = _file(hub, bot, file_kind, body)
        caption = asked.text("text")
        return content | ({"caption": caption} if caption else {})
    text = asked.text("text").strip()
    if not text:
        raise BadRequest("message text is empty")
    if len(text) > 4096:
        raise BadRequest("message is too long")  # the app cuts what a person types into several messages
    return {"text": text}


def _file(hub: Hub, bot: Bot, kind: str, body: Body) -> Body:
    given = body[kind] if isinstance(body[kind], dict) else {}
    if isinstance(body[kind], str) and kind == "sticker":
        given = {"emoji": body[kind]}
    try:
        content = base64.b64decode(given.get("content") or "", validate=True) or _sample(kind)
    except binascii.Error as error:
        raise BadRequest(f"content of {kind} is not base64") from error
    types = {"photo": "image/png", "voice": "audio/ogg", "sticker": "image/webp"}
    mime = given.get("mime_type") or types.get(kind, "application/octet-stream")
    upload = hub.files.store(io.BytesIO(content), given.get("name") or f"{kind}.bin", mime)
    call = Call(hub, bot, "", Params({}, {kind: upload}))
    return media_of(call, KINDS[kind], None, {"duration": 1, "emoji": "🙂", **given})


def _sample(kind: str) -> bytes:
    """A small file of a kind for those who care only that one was sent."""
    if kind != "photo":
        return _SECOND_OF_SILENCE
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "steelblue").save(picture, "PNG")
    return picture.getvalue()


def tap(hub: Hub, asked: Asked) -> Body:
    """Press an inline button. ``force`` sends data that no button of the message has, as a tampered app could."""
    user_id, chat_id, bot = _where(hub, asked)
    message_id, data, force = asked.integer("message_id"), asked.text("data"), asked.flag("force")
    message = hub.messages.get(bot.bot_id, chat_id, message_id)
    if not force and (message is None or data not in markup.datas(message.get("reply_markup"))):
        raise BadRequest("no such button: the message is gone, or has no button with this data (`force` sends anyway)")
    if message is None:
        chat = hub.people.private_chat(chat_id) if chat_id > 0 else group_of(hub, chat_id, user_id)
        message = {"chat": chat, "message_id": message_id, "date": 0}
    query_id = str(secrets.randbits(62))
    hub.db.run(
        "INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?)", query_id, bot.bot_id, user_id, chat_id, message_id, time.time()
    )
    query = {
        "id": query_id,
        "from": hub.people.user(user_id),
        "message": message,
        "chat_instance": instance(bot.bot_id, chat_id),
        "data": data,
    }
    return {"update_id": hub.deliver(bot.bot_id, "callback_query", query), "callback_query_id": query_id}


def _own(hub: Hub, asked: Asked) -> tuple[int, int, Bot, Body]:
    user_id, chat_id, bot = _where(hub, asked)
    message = hub.messages.get(bot.bot_id, chat_id, asked.integer("message_id"))
    if message is None:
        raise BadRequest("message not found")
    return user_id, chat_id, bot, message


def edit(hub: Hub, asked: Asked) -> Body:
    """Edit the person's own text."""
    user_id, _, bot, message = _own(hub, asked)
    if message["from"]["id"] != user_id or "text" not in message:
        raise BadRequest("only one's own text can be edited")
    message |= {"text": asked.text("text"), "edit_date": int(time.time())}
    message.pop("entities", None)
    if entities := detect(message["text"]):
        message["entities"] = entities
    hub.change(bot.bot_id, message)
    return {"update_id": hub.receive(bot.bot_id, message, "edited_message")}


def delete(hub: Hub, asked: Asked) -> Body:
    """Delete a message; bots are not told, as on Telegram."""
    _, chat_id, bot, message = _own(hub, asked)
    hub.remove(bot.bot_id, chat_id, message["message_id"])
    return {}


def vote(hub: Hub, asked: Asked) -> Body:
    """Vote in a poll; no options take the vote back."""
    user_id, _, _, message = _own(hub, asked)
    poll = hub.polls.get(message.get("poll", {}).get("id", ""))
    options = [int(n) for n in asked.array("options")]
    if poll is None or poll["is_closed"]:
        raise BadRequest("there is no open poll in the message")
    if any(not 0 <= n < len(poll["options"]) for n in options):
        raise BadRequest("invalid option")
    if len(options) > 1 and not poll["allows_multiple_answers"]:
        raise BadRequest("the poll takes one answer")
    hub.polls.vote(poll["id"], user_id, options)
    return {"update_id": _tell_of_vote(hub, poll["id"], hub.people.user(user_id), options)}


def _tell_of_vote(hub: Hub, poll_id: str, user: Body, options: list[int]) -> int | None:
    poll = hub.polls.get(poll_id)
    assert poll is not None  # noqa: S101 - voted in just now
    bot_id, chat_id, message_id = hub.polls.owner(poll_id)
    if (message := hub.messages.get(bot_id, chat_id, message_id)) is not None:
        hub.change(bot_id, message | {"poll": poll})
    update_id = hub.deliver(bot_id, "poll", poll)
    if poll["is_anonymous"]:
        return update_id
    chosen = [poll["options"][n]["persistent_id"] for n in options]
    answer = {"poll_id": poll_id, "user": user, "option_ids": options, "option_persistent_ids": chosen}
    return hub.deliver(bot_id, "poll_answer", answer)


def react(hub: Hub, asked: Asked) -> Body:
    """React to a message with emoji; none take the reaction back."""
    user_id, chat_id, bot, message = _own(hub, asked)
    reaction = [{"type": "emoji", "emoji": emoji} for emoji in asked.array("emoji")]
    body = {
        "chat": message["chat"],
        "message_id": message["message_id"],
        "user": hub.people.user(user_id),
        "date": int(time.time()),
        "old_reaction": [],
        "new_reaction": reaction,
    }
    hub.emit("reaction", bot.bot_id, chat_id, message_id=message["message_id"], from_id=user_id, reaction=reaction)
    return {"update_id": hub.deliver(bot.bot_id, "message_reaction", body)}
