"""Who the bot is: name, descriptions, commands, menu button."""

from __future__ import annotations

import re
from typing import Any

from server.telegram.errors import BadRequest
from server.telegram.hub import Call
from server.telegram.methods.registry import method
from server.telegram.params import Params

NAME = 64
DESCRIPTION = 512
SHORT_DESCRIPTION = 120
COMMANDS = 100
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SCOPES = frozenset({
    "default", "all_private_chats", "all_group_chats", "all_chat_administrators", "chat", "chat_administrators",
    "chat_member",
})  # fmt: skip


@method("getMe")
def get_me(call: Call) -> dict[str, Any]:
    """The bot itself."""
    return call.bot.user() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
        "can_manage_bots": False,
        "supports_guest_queries": False,
    }


@method("logOut", note="there is no cloud to log out of: true")
def log_out(call: Call) -> bool:
    """Leave the cloud server."""
    return bool(call)


@method("close", note="nothing to close: true")
def close(call: Call) -> bool:
    """Before moving to another server."""
    return bool(call)


def _language(call: Call) -> str:
    code = call.params.text("language_code")
    if code and not re.fullmatch(r"[a-z]{2}", code):
        raise BadRequest("invalid language code specified")
    return code


def _set(call: Call, kind: str, limit: int) -> bool:
    value = call.params.text(kind)
    if len(value) > limit:
        raise BadRequest(f"{kind.replace('_', ' ')} is too long")
    language = _language(call)
    call.hub.bots.set_text(call.bot, kind, "", language, value)
    if kind == "name" and not language and value:
        call.hub.bots.rename(call.bot, value)
    return True


def _get(call: Call, kind: str, default: str = "") -> dict[str, str]:
    value = call.hub.bots.text(call.bot, kind, "", _language(call)) or call.hub.bots.text(call.bot, kind, "", "")
    return {kind: value or default}


@method("setMyName")
def set_my_name(call: Call) -> bool:
    """The bot's name."""
    return _set(call, "name", NAME)


@method("getMyName")
def get_my_name(call: Call) -> dict[str, str]:
    """The bot's name."""
    return _get(call, "name", call.bot.first_name)


@method("setMyDescription")
def set_my_description(call: Call) -> bool:
    """What an empty chat with the bot says."""
    return _set(call, "description", DESCRIPTION)


@method("getMyDescription")
def get_my_description(call: Call) -> dict[str, str]:
    """What an empty chat with the bot says."""
    return _get(call, "description")


@method("setMyShortDescription")
def set_my_short_description(call: Call) -> bool:
    """What the bot's profile says."""
    return _set(call, "short_description", SHORT_DESCRIPTION)


@method("getMyShortDescription")
def get_my_short_description(call: Call) -> dict[str, str]:
    """What the bot's profile says."""
    return _get(call, "short_description")


def _scope(call: Call) -> str:
    scope = call.params.json("scope", "BotCommandScope") or {"type": "default"}
    if not isinstance(scope, dict) or scope.get("type") not in _SCOPES:
        raise BadRequest("can't parse BotCommandScope: Unsupported type specified")
    parts = [scope["type"]]
    if scope["type"].startswith("chat"):
        chat = call.hub.people.chat_for(call.bot, Params(scope).integer("chat_id"))
        parts.append(str(chat["id"]))
    if scope["type"] == "chat_member":
        parts.append(str(Params(scope).integer("user_id")))
    return " ".join(parts)


@method("setMyCommands")
def set_my_commands(call: Call) -> bool:
    """The commands people are offered, by scope and language."""
    commands = [_command(c) for c in call.params.array("commands", "BotCommand")]
    if len(commands) > COMMANDS:
        raise BadRequest("BOT_COMMANDS_TOO_MUCH")
    call.hub.bots.set_text(call.bot, "commands", _scope(call), _language(call), commands)
    return True


def _command(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("command"), str):
        raise BadRequest("can't parse BotCommand: Can't find field \"command\"")
    name = value["command"].removeprefix("/")
    if not _COMMAND.fullmatch(name):
        raise BadRequest("BOT_COMMAND_INVALID")
    description = str(value.get("description") or "").strip()
    if not 1 <= len(description) <= 256:
        raise BadRequest("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}


@method("getMyCommands")
def get_my_commands(call: Call) -> list[dict[str, Any]]:
    """The commands of exactly this scope and language."""
    return call.hub.bots.text(call.bot, "commands", _scope(call), _language(call)) or []


@method("deleteMyCommands")
def delete_my_commands(call: Call) -> bool:
    """Remove the commands of this scope and language."""
    call.hub.bots.set_text(call.bot, "commands", _scope(call), _language(call), None)
    return True


@method("setChatMenuButton")
def set_chat_menu_button(call: Call) -> bool:
    """The button beside the text field."""
    button = call.params.json("menu_button", "menu button") or {"type": "default"}
    if not isinstance(button, dict) or button.get("type") not in ("default", "commands", "web_app"):
        raise BadRequest("can't parse menu button: MenuButton has unsupported type")
    scope = str(call.chat()["id"]) if "chat_id" in call.params else ""
    call.hub.bots.set_text(call.bot, "menu_button", scope, "", button)
    return True


@method("getChatMenuButton")
def get_chat_menu_button(call: Call) -> dict[str, Any]:
    """The button beside the text field."""
    scope = str(call.chat()["id"]) if "chat_id" in call.params else ""
    return dict(call.hub.bots.text(call.bot, "menu_button", scope, "") or {"type": "commands" if scope else "default"})


_RIGHTS = (
    "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members", "can_promote_members",
    "can_change_info", "can_invite_users", "can_post_stories", "can_edit_stories", "can_delete_stories",
)  # fmt: skip


@method("setMyDefaultAdministratorRights")
def set_rights(call: Call) -> bool:
    """The rights a bot asks for when it is made an administrator."""
    rights = call.params.json("rights", "rights") or {}
    scope = "channels" if call.params.flag("for_channels") else ""
    call.hub.bots.set_text(call.bot, "rights", scope, "", rights)
    return True


@method("getMyDefaultAdministratorRights")
def get_rights(call: Call) -> dict[str, Any]:
    """The rights a bot asks for when it is made an administrator."""
    scope = "channels" if call.params.flag("for_channels") else ""
    known = call.hub.bots.text(call.bot, "rights", scope, "") or {}
    return {"is_anonymous": False} | dict.fromkeys(_RIGHTS, False) | known
