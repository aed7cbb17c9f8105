"""Keyboards: what the Bot API accepts, refused with its words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.telegram.errors import BadRequest

DATA_BYTES = 64
BUTTONS = 100
_ACTIONS = (
    "url", "login_url", "callback_data", "web_app", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay",
)  # fmt: skip
_FLAGS = ("is_persistent", "resize_keyboard", "one_time_keyboard", "selective")
_OPTIONAL = ("request_contact", "request_location", "request_poll", "request_users", "request_chat", "web_app", "style")


@dataclass(frozen=True)
class Markup:
    """What was sent under a message: `inline` shows in the message, `keyboard` takes the place of the person's own."""

    inline: dict[str, Any] | None = None
    keyboard: dict[str, Any] | None = None


NONE = Markup()


def parse(value: Any) -> Markup:
    """Read `reply_markup` (already decoded); nothing gives `NONE`."""
    if value is None or value == {}:
        return NONE
    if not isinstance(value, dict):
        raise BadRequest("Object expected as reply markup")
    if value.get("keyboard"):
        return Markup(keyboard=_reply(value))
    if value.get("inline_keyboard"):
        return Markup(inline=_inline(value["inline_keyboard"]))
    if value.get("remove_keyboard"):
        return Markup(keyboard={"remove_keyboard": True})
    if value.get("force_reply"):
        placeholder = value.get("input_field_placeholder")
        return Markup(
            keyboard={"force_reply": True} | ({"input_field_placeholder": placeholder} if placeholder else {})
        )
    return NONE


def _rows(value: Any, what: str) -> list[list[Any]]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise BadRequest(f"{what} must be an Array of Arrays")
    return [row for row in value if row]


def _reply(value: dict[str, Any]) -> dict[str, Any]:
    rows = _rows(value["keyboard"], 'Field "keyboard"')
    keyboard: dict[str, Any] = {"keyboard": [[_reply_button(button) for button in row] for row in rows]}
    keyboard |= {flag: True for flag in _FLAGS if value.get(flag)}
    if placeholder := value.get("input_field_placeholder"):
        keyboard["input_field_placeholder"] = placeholder
    return keyboard


def _reply_button(button: Any) -> dict[str, Any]:
    if isinstance(button, str):
        return {"text": button}
    if not isinstance(button, dict):
        raise BadRequest("can't parse keyboard button: KeyboardButton must be a String or an Object")
    if not isinstance(button.get("text"), str):
        raise BadRequest("can't parse keyboard button: Can't find field \"text\"")
    return {"text": button["text"], **{key: button[key] for key in _OPTIONAL if key in button}}


def _inline(value: Any) -> dict[str, Any]:
    rows = _rows(value, 'Field "inline_keyboard" of the InlineKeyboardMarkup')
    if sum(map(len, rows)) > BUTTONS:
        raise BadRequest("reply markup is too long")
    return {"inline_keyboard": [[_inline_button(button) for button in row] for row in rows]}


def _inline_button(button: Any) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise BadRequest("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    if not isinstance(button.get("text"), str):
        raise BadRequest("can't parse inline keyboard button: Can't find field \"text\"")
    if not button["text"].strip():
        raise BadRequest("inline keyboard button text must be non-empty")
    actions = [action for action in _ACTIONS if button.get(action) is not None]
    if not actions:
        raise BadRequest("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if "callback_data" in actions and not 1 <= len(str(button["callback_data"]).encode()) <= DATA_BYTES:
        raise BadRequest("BUTTON_DATA_INVALID")
    if "url" in actions:
        return {**button, "url": _url(button["url"])}
    return dict(button)


def _url(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    port = parts.netloc.rpartition(":")[2] if ":" in parts.netloc.rpartition("]")[2] else "80"
    if not port.isdigit() or parts.scheme not in ("http", "https", "tg") or not parts.netloc or " " in url:
        raise BadRequest(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
    return parts.geturl() if parts.path or parts.scheme == "tg" else parts.geturl() + "/"


def datas(inline: dict[str, Any] | None) -> set[str]:
    """The callback data a keyboard can send."""
    rows = (inline or {}).get("inline_keyboard", [])
    return {button["callback_data"] for row in rows for button in row if "callback_data" in button}
