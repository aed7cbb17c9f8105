"""Chats and who is in them."""

from __future__ import annotations

from typing import Any

from server.telegram.errors import BadRequest
from server.telegram.hub import Call
from server.telegram.methods.messages import found
from server.telegram.methods.registry import method
from server.telegram.storage.people import IN_GROUP

_PERMISSIONS = (
    "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
    "can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
    "can_add_web_page_previews", "can_change_info", "can_invite_users", "can_pin_messages", "can_manage_topics",
    "can_edit_tag", "can_react_to_messages",
)  # fmt: skip
_ADMIN = (
    "can_be_edited", "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members",
    "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories", "can_edit_stories",
    "can_delete_stories", "can_pin_messages", "can_manage_topics",
)  # fmt: skip


def member_body(user: dict[str, Any], status: str) -> dict[str, Any]:
    """A `ChatMember` of the right kind, complete."""
    body: dict[str, Any] = {"user": user, "status": status}
    if status == "creator":
        body["is_anonymous"] = False
    elif status == "administrator":
        body |= {"is_anonymous": False} | dict.fromkeys(_ADMIN, True)
    elif status == "kicked":
        body["until_date"] = 0
    elif status == "restricted":
        body |= {"is_member": True, "until_date": 0} | dict.fromkeys(_PERMISSIONS, False)
    return body


@method("getChat")
def get_chat(call: Call) -> dict[str, Any]:
    """Everything about a chat."""
    chat = call.chat(write=False)
    chat.pop("_migrated_to", None)
    info = call.hub.people.chat_info(call.bot, chat["id"])
    full = chat | {
        "accent_color_id": abs(chat["id"]) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(
            ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
        ),
    }
    if chat["id"] < 0:
        full["permissions"] = info.get("permissions") or dict.fromkeys(_PERMISSIONS, True)
        if description := info.get("description"):
            full["description"] = description
    if pinned := info.get("pinned"):
        message = call.hub.messages.get(call.bot.bot_id, chat["id"], pinned[-1])
        full |= {"pinned_message": message} if message else {}
    return full


def _group(call: Call, *, write: bool = True) -> dict[str, Any]:
    chat = call.chat(write=write)
    if chat["id"] > 0:
        raise BadRequest("method is available only for groups and supergroups")
    chat.pop("_migrated_to", None)
    return chat


@method("getChatMember")
def get_chat_member(call: Call) -> dict[str, Any]:
    """Somebody's place in a chat."""
    chat = call.chat(write=False)
    user = call.hub.people.anyone(call.params.user_id())
    if chat["id"] > 0:
        if user["id"] not in (chat["id"], call.bot.bot_id):
            raise BadRequest("user not found")
        return member_body(user, "member")
    return member_body(user, call.hub.people.member(chat["id"], user["id"]) or "left")


@method("getChatAdministrators")
def get_chat_administrators(call: Call) -> list[dict[str, Any]]:
    """The people in charge of a group."""
    chat = call.chat(write=False)
    if chat["id"] > 0:
        raise BadRequest("there are no administrators in the private chat")
    members = call.hub.people.members(chat["id"])
    return [member_body(call.hub.people.anyone(u), s) for u, s in members if s in ("creator", "administrator")]


@method("getChatMemberCount")
def get_chat_member_count(call: Call) -> int:
    """How many are in a chat."""
    chat = call.chat(write=False)
    return 2 if chat["id"] > 0 else len(call.hub.people.members(chat["id"]))


@method("leaveChat")
def leave_chat(call: Call) -> bool:
    """Leave a group."""
    chat = _group(call)
    call.hub.people.set_member(chat["id"], call.bot.bot_id, "left")
    return True


def _admin(call: Call) -> dict[str, Any]:
    chat = _group(call)
    if call.hub.people.member(chat["id"], call.bot.bot_id) not in ("administrator", "creator"):
        raise BadRequest("not enough rights")
    return chat


def _place(call: Call, status: str) -> bool:
    chat = _admin(call)
    user_id = call.params.user_id()
    if call.hub.people.member(chat["id"], user_id) == "creator":
        raise BadRequest("can't remove chat owner")
    call.hub.people.set_member(chat["id"], call.hub.people.anyone(user_id)["id"], status)
    return True


@method("banChatMember", note="for ever; until_date is not kept")
def ban_chat_member(call: Call) -> bool:
    """Put somebody out."""
    return _place(call, "kicked")


@method("unbanChatMember")
def unban_chat_member(call: Call) -> bool:
    """Let somebody in again."""
    chat = _admin(call)
    user_id = call.params.user_id()
    present = call.hub.people.member(chat["id"], user_id) in IN_GROUP
    return True if present and call.params.flag("only_if_banned") else _place(call, "left")


@method("restrictChatMember", note="recorded, not enforced")
def restrict_chat_member(call: Call) -> bool:
    """Take rights away."""
    return _place(call, "restricted")


@method("promoteChatMember", note="all rights or none")
def promote_chat_member(call: Call) -> bool:
    """Give rights."""
    granted = any(call.params.flag(name) for name in _ADMIN)
    return _place(call, "administrator" if granted else "member")


@method("setChatPermissions", note="recorded, not enforced")
def set_chat_permissions(call: Call) -> bool:
    """What everybody may do."""
    chat = _admin(call)
    permissions = call.params.json("permissions", "permissions")
    if not isinstance(permissions, dict):
        raise BadRequest("Object expected as permissions")
    known = {name: bool(permissions.get(name)) for name in _PERMISSIONS}
    call.hub.people.set_chat_info(call.bot, chat["id"], permissions=known)
    return True


@method("setChatTitle")
def set_chat_title(call: Call) -> bool:
    """A group's name."""
    chat = _admin(call)
    title = call.params.text("title").strip()
    if not 1 <= len(title) <= 128:
        raise BadRequest("chat title is empty" if not title else "chat title is too long")
    call.hub.people.set_chat_info(call.bot, chat["id"], title=title)
    return True


@method("setChatDescription")
def set_chat_description(call: Call) -> bool:
    """A group's description."""
    chat = _admin(call)
    description = call.params.text("description")
    if (call.hub.people.chat_info(call.bot, chat["id"]).get("description") or "") == description:
        raise BadRequest("chat description is not modified")
    call.hub.people.set_chat_info(call.bot, chat["id"], description=description or None)
    return True


@method("pinChatMessage")
def pin_chat_message(call: Call) -> bool:
    """Pin a message on top."""
    chat = call.chat()
    message = found(call, "to pin", chat)
    pinned = [
        n for n in call.hub.people.chat_info(call.bot, chat["id"]).get("pinned", []) if n != message["message_id"]
    ]
    call.hub.people.set_chat_info(call.bot, chat["id"], pinned=[*pinned, message["message_id"]])
    call.hub.emit("pin", call.bot.bot_id, chat["id"], message_id=message["message_id"])
    return True


@method("unpinChatMessage")
def unpin_chat_message(call: Call) -> bool:
    """Unpin one message, or the last pinned."""
    chat = call.chat()
    pinned = list(call.hub.people.chat_info(call.bot, chat["id"]).get("pinned", []))
    target = call.params.integer("message_id") or (pinned[-1] if pinned else 0)
    if target not in pinned:
        raise BadRequest("message to unpin not found")
    pinned.remove(target)
    call.hub.people.set_chat_info(call.bot, chat["id"], pinned=pinned or None)
    call.hub.emit("unpin", call.bot.bot_id, chat["id"], message_id=target)
    return True


@method("unpinAllChatMessages")
def unpin_all_chat_messages(call: Call) -> bool:
    """Unpin everything."""
    call.hub.people.set_chat_info(call.bot, call.chat()["id"], pinned=None)
    return True


@method("getUserProfilePhotos", note="nobody has any")
def get_user_profile_photos(call: Call) -> dict[str, Any]:
    """Somebody's photos."""
    call.hub.people.anyone(call.params.user_id())
    return {"total_count": 0, "photos": []}
