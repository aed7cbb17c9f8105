"""Answers to taps."""

from __future__ import annotations

import time

from server.telegram.errors import BadRequest
from server.telegram.hub import Call
from server.telegram.methods.registry import method

ANSWER_LIMIT = 200


@method("answerCallbackQuery", note="a query lives 15 minutes (`--query-lifetime`); Telegram does not say how long")
def answer_callback_query(call: Call) -> bool:
    """End the clock on a button, with a notice or an alert."""
    query_id = call.params.text("callback_query_id")
    row = call.hub.db.one(
        "SELECT user_id, chat_id, message_id, asked FROM queries WHERE query_id = ? AND bot_id = ?",
        query_id,
        call.bot.bot_id,
    )
    if row is None or row[3] < time.time() - call.hub.options.query_lifetime_s:
        raise BadRequest("query is too old and response timeout expired or query ID is invalid")
    text = call.params.text("text")
    if len(text) > ANSWER_LIMIT:
        raise BadRequest("MESSAGE_TOO_LONG")
    call.hub.emit(
        "answer",
        call.bot.bot_id,
        row[1],
        callback_query_id=query_id,
        user_id=row[0],
        message_id=row[2],
        text=text,
        show_alert=call.params.flag("show_alert"),
        url=call.params.text("url"),
    )
    return True
