"""Nonsense gets an answer in the Bot API's shape, never a defect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.telegram.client.routes import ACTIONS
from server.telegram.methods import METHODS
from tests.contract.telegram.conftest import Local

pytestmark = pytest.mark.xdist_group("telegram-errors")
NAMES = (
    "chat_id", "message_id", "message_ids", "text", "parse_mode", "entities", "caption_entities", "caption", "reply_markup",
    "reply_parameters", "from_chat_id", "photo", "document", "media", "options", "question", "type", "commands", "scope", "user_id",
    "permissions", "menu_button", "reaction", "latitude", "longitude", "emoji", "callback_query_id", "file_id", "url", "offset",
    "limit", "allowed_updates", "language_code", "correct_option_ids", "name", "rights", "sticker", "data", "bot", "members", "forward",
)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
keys = st.sampled_from(
    ["type", "media", "text", "inline_keyboard", "keyboard", "offset", "length", "message_id", "chat_id", "content"]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
ours = sorted(set(METHODS) - {"setwebhook", "logout", "close"})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ours), bodies, st.booleans())
def test_any_call_is_answered(telegram: Local, method: str, body: dict[str, Any], at_home: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever is sent to whichever method: ok, or a refusal with its code and description; no 5xx."""
    telegram.raw("getMe")
    if at_home:
        telegram.client("start", user_id=77, first_name="Аня", bot="4242:x")
        body = {**body, "chat_id": 77}
    answer = telegram.raw(method, **body)
    told = answer.json()
    assert answer.status_code < 500, (method, body, told)
    assert told["ok"] is (answer.status_code == 200)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ACTIONS)), bodies)
def test_any_action_is_answered(telegram: Local, action: str, body: dict[str, Any]) -> None:
    """The same on the people's side."""
    answer = telegram.http.post(f"/client/{action}", json=body)
    assert answer.status_code < 500, (action, body, answer.text)
