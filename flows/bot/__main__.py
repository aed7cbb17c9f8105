"""`python -m flows.bot`: start, say on one line of JSON that it listens, go on until asked to stop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys

import uvloop
from telegram.error import TelegramError

from flows import settings as configuration
from flows.bot.process import BotProcess
from flows.bot.watch import Watch
from flows.clients import alerts
from flows.clients.events import Events
from flows.clients.telegram import TelegramSettingsError
from flows.clock import SharedClock
from flows.store import Store, StoreError
from flows.survey import SurveyError

EXIT_SETTINGS = 2


async def serve(settings: configuration.Settings) -> None:
    """Run the bot until SIGINT or SIGTERM."""
    with Store.open(settings.database) as store:
        process = BotProcess(settings, store, SharedClock(settings.home), Events(os.environ.get("PREFECT_API_URL")))
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(asked, process.stop)
        mode = "polling" if settings.webhook_url is None else "webhook"
        said = {"service": "bot", "pid": os.getpid(), "mode": mode, "urls": {"telegram": settings.telegram_url}}
        watch = asyncio.create_task(Watch(store, alerts.channels(settings)).run())
        try:
            await process.run(lambda username: print(json.dumps({**said, "username": username}), flush=True))
        finally:
            watch.cancel()


def main() -> int:
    """Run the bot; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines hold the token
    logging.getLogger("telegram.ext").setLevel(logging.CRITICAL + 1)  # it would show what people wrote
    try:
        uvloop.run(serve(configuration.load()))
    except (TelegramSettingsError, SurveyError, StoreError) as error:
        print(error, file=sys.stderr)
        return EXIT_SETTINGS
    except TelegramError as error:
        print(
            f"Telegram refuses: {error.message}; check MOODFLOW_TELEGRAM_TOKEN and MOODFLOW_TELEGRAM_URL",
            file=sys.stderr,
        )
        return EXIT_SETTINGS
    return 0


if __name__ == "__main__":
    sys.exit(main())
