"""One call from name to answer: faults, the method in a transaction, and the disk before the answer."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from server.telegram.errors import ApiError, NotFound, ServerError
from server.telegram.faults import Rule
from server.telegram.hub import Call, Hub
from server.telegram.methods import METHODS
from server.telegram.params import Params

log = logging.getLogger("server.telegram")
HungUp = Callable[[], Awaitable[None]]


class Dropped(Exception):
    """Cut the connection instead of answering."""


async def perform(hub: Hub, token: str, name: str, params: Params, hung_up: HungUp) -> Any:
    """Carry out a call; its result once it is on disk.

    Raises
    ------
    ApiError
        As the Bot API answers it.
    Dropped
        Where a fault rule cuts the connection.
    """
    code = 200
    try:
        return await _with_faults(Call(hub, hub.bots.by_token(token), name, params), hung_up)
    except ApiError as error:
        code = error.code
        raise
    except sqlite3.Error as error:
        code = 500
        log.exception("the database refused %s", name)
        raise ServerError(f"the local database refused: {error}") from error
    except Dropped:
        code = 0
        raise
    finally:
        hub.calls[name, code] += 1


async def _with_faults(call: Call, hung_up: HungUp) -> Any:
    rule = call.hub.faults.strike(call.method, call.bot.bot_id, str(call.params.values.get("chat_id")))
    if rule is None:
        return await _run(call, hung_up)
    if rule.after_commit:
        result = await _run(call, hung_up)
        await asyncio.sleep(rule.delay)
        _fail(rule)
        return result
    await asyncio.sleep(rule.delay)
    _fail(rule)
    return await _run(call, hung_up)


def _fail(rule: Rule) -> None:
    if rule.drop:
        raise Dropped
    if error := rule.error():
        raise error


async def _run(call: Call, hung_up: HungUp) -> Any:
    known = METHODS.get(call.method)
    if known is None:
        raise NotFound("method not found")
    if known.waits:
        result = await known.handler(call, hung_up)
    else:
        with call.hub.db.change():
            result = known.handler(call)
    await call.hub.db.settled()
    return result
