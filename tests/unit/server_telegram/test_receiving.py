"""Long polling: what comes while a poll is being set up is not slept over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

import server.telegram.app  # noqa: F401 - the methods register themselves
from server.telegram.dispatch import perform
from server.telegram.hub import Hub, Options
from server.telegram.params import Params

TOKEN = "1000001:abcdefghijklmnopqrstuvwxyz012345678"


async def never() -> None:
    await asyncio.Event().wait()


def test_an_update_that_comes_while_a_poll_confirms_the_one_before_is_delivered_by_it(tmp_path: Path) -> None:
    """It is committed together with the confirmation; nothing else happens that would wake the poll."""

    async def scenario() -> None:
        hub = Hub(Options(tmp_path))
        try:
            bot = hub.bots.by_token(TOKEN)
            poll = asyncio.create_task(perform(hub, TOKEN, "getupdates", Params({"offset": 1, "timeout": 50}), never))
            await asyncio.sleep(0)  # the poll has found nothing and waits for its confirmation to be on disk
            with hub.db.change():
                hub.deliver(bot.bot_id, "message", {"text": "5"})
            (update,) = await asyncio.wait_for(poll, 10)
            assert orjson.loads(orjson.dumps(update))["message"] == {"text": "5"}
        finally:
            hub.close()

    asyncio.run(scenario())
