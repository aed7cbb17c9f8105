"""Starting, blocking, groups: a person and where they chat."""

from __future__ import annotations

import time
import zlib
from typing import Any

from server.telegram.client.asked import Asked
from server.telegram.errors import BadRequest
from server.telegram.hub import Hub
from server.telegram.methods.chats import member_body
from server.telegram.storage.bots import Bot
from server.telegram.text.entities import detect

Body = dict[str, Any]


def start(hub: Hub, asked: Asked) -> Body:
    """Open a chat with a bot and send /start, with the payload of a deep link where one is given."""
    bot = asked.bot(hub, asked.optional_integer("user_id"))
    user_id = asked.optional_integer("user_id")
    known = next((u for u in [user_id] if u and _is_known(hub, u)), None)
    first_name = asked.text("first_name") or (hub.people.user(known)["first_name"] if known else "")
    if not first_name:
        raise BadRequest("first_name is empty")
    user_id = hub.people.put_user(
        user_id, first_name, **{key: asked.text(key) or None for key in ("last_name", "username", "language_code")}
    )
    if hub.people.contact(bot.bot_id, user_id) == "kicked":
        change_contact(hub, bot, user_id, "member")
    else:
        hub.people.set_contact(bot.bot_id, user_id, "member")
    text = f"/start {asked.text('payload')}".strip()
    sent = say(hub, bot, user_id, user_id, {"text": text}, asked.optional_integer("date"))
    return {"user_id": user_id, "chat_id": user_id, "bot": bot.username, **sent}


def _is_known(hub: Hub, user_id: int) -> bool:
    try:
        hub.people.user(user_id)
    except BadRequest:
        return False
    return True


def say(hub: Hub, bot: Bot, user_id: int, chat_id: int, content: Body, date: int | None = None) -> Body:
    """File a person's message and queue it for the bots of the chat."""
    chat = hub.people.private_chat(chat_id) if chat_id > 0 else group_of(hub, chat_id, user_id)
    message = hub.compose(bot.bot_id, hub.people.user(user_id), chat, date) | content
    if "text" in message and (entities := detect(message["text"])):
        message["entities"] = entities
    hub.post(bot.bot_id, message)
    return {"message_id": message["message_id"], "update_id": hub.receive(bot.bot_id, message)}


def group_of(hub: Hub, chat_id: int, user_id: int) -> Body:
    """A group a person is in."""
    chat = hub.people.group(chat_id)
    if chat is None:
        raise BadRequest("chat not found")
    if moved := chat.pop("_migrated_to"):
        raise BadRequest(f"the group is a supergroup now: {moved}")
    if hub.people.member(chat_id, user_id) is None:
        raise BadRequest("the person is not in the group")
    return chat


def change_contact(hub: Hub, bot: Bot, user_id: int, status: str) -> int | None:
    """Block or unblock, and tell the bot with `my_chat_member`."""
    old = hub.people.contact(bot.bot_id, user_id)
    if old is None:
        raise BadRequest("the person has not started this bot")
    hub.people.set_contact(bot.bot_id, user_id, status)
    if old == status:
        return None
    hub.emit("status", bot.bot_id, user_id, status=status)
    return membership(hub, bot, hub.people.private_chat(user_id), user_id, (old, status))


def membership(hub: Hub, bot: Bot, chat: Body, user_id: int, change: tuple[str, str]) -> int | None:
    """Queue `my_chat_member`."""
    old, new = (member_body(bot.user(), status) for status in change)
    body = {
        "chat": chat,
        "from": hub.people.user(user_id),
        "date": int(time.time()),
        "old_chat_member": old,
        "new_chat_member": new,
    }
    return hub.deliver(bot.bot_id, "my_chat_member", body)


def block(hub: Hub, asked: Asked) -> Body:
    """Block a bot: what it sends is refused from now on."""
    user_id = asked.integer("user_id")
    return {"update_id": change_contact(hub, asked.bot(hub, user_id), user_id, "kicked")}


def unblock(hub: Hub, asked: Asked) -> Body:
    """Unblock a bot."""
    user_id = asked.integer("user_id")
    return {"update_id": change_contact(hub, asked.bot(hub, user_id), user_id, "member")}


def deactivate(hub: Hub, asked: Asked) -> Body:
    """Delete an account (or bring it back with ``"deactivated": false``)."""
    user_id = asked.integer("user_id")
    hub.people.user(user_id)
    hub.people.set_deactivated(user_id, asked.flag("deactivated", default=True))
    return {}


def group(hub: Hub, asked: Asked) -> Body:
    """Make a group with people and a bot in it; ``admin`` makes the bot an administrator."""
    members = asked.array("members")
    creator = asked.optional_integer("user_id") or (int(members[0]) if members else 0)
    bot = asked.bot(hub, creator)
    kind = "supergroup" if asked.flag("supergroup") else "group"
    chat_id = hub.people.add_group(asked.text("title") or "Group", kind)
    for user_id in {creator, *map(int, members)}:
        hub.people.user(user_id)
        hub.people.set_member(chat_id, user_id, "creator" if user_id == creator else "member")
    status = "administrator" if asked.flag("admin") else "member"
    hub.people.set_member(chat_id, bot.bot_id, status)
    chat = group_of(hub, chat_id, creator)
    membership(hub, bot, chat, creator, ("left", status))
    message = hub.compose(bot.bot_id, hub.people.user(creator), chat) | {"group_chat_created": True}
    hub.post(bot.bot_id, message)
    return {"chat_id": chat_id, "update_id": hub.receive(bot.bot_id, message)}


def kick(hub: Hub, asked: Asked) -> Body:
    """Put the bot out of a group."""
    user_id, chat_id = asked.integer("user_id"), asked.integer("chat_id")
    chat, bot = group_of(hub, chat_id, user_id), asked.bot(hub, user_id)
    old = hub.people.member(chat_id, bot.bot_id) or "left"
    hub.people.set_member(chat_id, bot.bot_id, "kicked")
    return {"update_id": membership(hub, bot, chat, user_id, (old, "kicked"))}


def migrate(hub: Hub, asked: Asked) -> Body:
    """Turn a group into a supergroup: a new id, and an error with it for whoever uses the old one."""
    chat_id = asked.integer("chat_id")
    old = hub.people.group(chat_id)
    if old is None or old["type"] != "group" or old.pop("_migrated_to"):
        raise BadRequest("only a group that has not migrated can migrate")
    new_id = hub.people.add_group(old["title"], "supergroup")
    bots = hub.bots_in(chat_id)
    hub.people.migrate_group(chat_id, new_id)
    creator = next(u for u, status in hub.people.members(chat_id) if status == "creator")
    new = group_of(hub, new_id, creator)
    for chat, note in ((old, {"migrate_to_chat_id": new_id}), (new, {"migrate_from_chat_id": chat_id})):
        message = hub.compose(0, hub.people.user(creator), chat) | note
        hub.post(0, message)
        for bot in bots:
            hub.deliver(bot.bot_id, "message", message)
    return {"chat_id": new_id}


def instance(bot_id: int, chat_id: int) -> str:
    """`chat_instance`: the same for one chat, telling nothing of it."""
    return str(zlib.crc32(f"{bot_id} {chat_id}".encode()) * 4_294_967_291)
