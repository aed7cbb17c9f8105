"""Answers to taps, and to queries nobody can make here."""

from __future__ import annotations

import time

from server.telegram.errors import BadRequest
from server.telegram.hub import Call
from server.telegram.methods.registry import method

ANSWER_LIMIT = 200
RESULTS_LIMIT = 50
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


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
        raise BadRequest(TOO_OLD)
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


@method("answerInlineQuery", note="nobody can make an inline query here: every answer is one to a query that is over")
def answer_inline_query(call: Call) -> bool:
    """Results of an inline query."""
    if not call.params.text("inline_query_id"):
        raise BadRequest("inline_query_id is empty")
    if len(call.params.array("results", "InlineQueryResult")) > RESULTS_LIMIT:
        raise BadRequest("RESULTS_TOO_MUCH")
    raise BadRequest(TOO_OLD)
