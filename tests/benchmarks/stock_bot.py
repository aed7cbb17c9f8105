"""The peer of the survey benchmark: python-telegram-bot as its documentation has it, doing what our bot does to a tap.

It answers the tap, keeps the answer in a dict, draws the next item with the product's own pure code and edits the
message. Updates wait in memory: a kill loses them.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from telegram import InlineKeyboardMarkup, Update
from telegram.ext import Application, CallbackQueryHandler
from telegram.request import HTTPXRequest

from flows.survey import form as forms
from flows.survey import load
from flows.survey.callbacks import decode
from flows.survey.form import Form
from flows.survey.screen import draw

SURVEY = load("mood")
FORMS: dict[str, Form] = {}


async def tapped(update: Update, _context: Any) -> None:
    """Answer a tap and draw the next item."""
    query = update.callback_query
    callback = decode(str(query.data)) if query else None
    if query is None or callback is None:
        return
    await query.answer()
    form = forms.tapped(FORMS.get(callback.prompt) or forms.opened(SURVEY, 1, 1), callback)
    if isinstance(form, Form):
        FORMS[callback.prompt] = form
        screen = draw(form, callback.prompt, "ru")
        await query.edit_message_text(screen.text, reply_markup=InlineKeyboardMarkup.de_json(screen.markup()))


async def ready(application: Application[Any, Any, Any, Any, Any, Any]) -> None:
    """Say that it polls."""
    print(json.dumps({"service": "stock", "username": application.bot.username}), flush=True)


def main() -> None:
    """Poll until killed."""
    root, token = sys.argv[1:]
    builder = Application.builder().token(token).base_url(f"{root}/bot").base_file_url(f"{root}/file/bot")
    request = HTTPXRequest(connection_pool_size=32, read_timeout=30, pool_timeout=60)
    application = builder.request(request).concurrent_updates(256).post_init(ready).build()
    application.add_handler(CallbackQueryHandler(tapped))
    application.run_polling(allowed_updates=["callback_query"])


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
