"""Updates as Telegram sends them, and as nobody should: something always comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.collect import intake
from flows.collect.intake import Command, Group, Ignored, Membership, Moved, Odd, Tap, Words

FROM = {"id": 5, "is_bot": False, "first_name": "N", "language_code": "ru-RU"}
PRIVATE = {"id": 5, "type": "private"}


def message(**content):
    return {"update_id": 1, "message": {"message_id": 1, "date": 0, "from": FROM, "chat": PRIVATE, **content}}


@pytest.mark.parametrize(
    ("update", "event"),
    [
        (message(text="/start fried2021"), Command(5, "start", "fried2021", "ru")),
        (message(text="/Help@moodflow_bot"), Command(5, "help", "", "ru")),
        (message(text="7"), Words(5, "7", "ru")),
        (message(sticker={"emoji": "🙂"}), Odd(5, "sticker", "ru")),
        (message(voice={}), Odd(5, "voice", "ru")),
        (message(text="hi", forward_origin={}), Odd(5, "forward", "ru")),
        (message(pinned_message={}), Ignored("service message", 5)),
        (message(migrate_to_chat_id=-100), Moved(5, -100)),
        (
            {"update_id": 1, "message": {"from": FROM, "chat": {"id": -7, "type": "group"}, "text": "/now"}},
            Group(-7, True, "ru"),
        ),
        (
            {
                "update_id": 1,
                "callback_query": {"id": "q", "from": FROM, "message": {"message_id": 3}, "data": "c.yes"},
            },
            Tap(5, "q", 3, "c.yes", "ru"),
        ),
        (
            {"update_id": 1, "my_chat_member": {"chat": PRIVATE, "new_chat_member": {"status": "kicked"}}},
            Membership(5, False),
        ),
        ({"update_id": 1, "edited_message": {"chat": PRIVATE}}, Ignored("edited_message", 5)),
        ({"update_id": 1, "poll": {}}, Ignored("poll")),
        ({"update_id": 1}, Ignored("nothing")),
    ],
)
def test_what_happened(update, event):
    """Each kind of update is what it says."""
    assert intake.read(update) == event


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "chat", "from", "text", "data", "type", "message"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from(["message", "callback_query", "my_chat_member", "edited_message", "x"]), json)
def test_no_update_breaks_the_intake(kind, body):
    """Whatever JSON comes: an event comes out, and the chat it belongs to is a number or nobody."""
    update = {"update_id": 1, kind: body}
    intake.read(update)
    assert isinstance(intake.chat_of(update), int | None)
