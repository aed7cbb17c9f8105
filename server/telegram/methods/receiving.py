"""How a bot gets its updates: long polling or a webhook, never both."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

from server.telegram.errors import BadRequest, Conflict
from server.telegram.hub import Call
from server.telegram.methods.registry import method
from server.telegram.storage.updates import KINDS

LONGEST_POLL_S = 50
_WEBHOOK = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


@method("getUpdates", waits=True, note="a poll repeated at once with the same offset is not slowed down")
async def get_updates(call: Call, hung_up: Callable[[], Awaitable[None]]) -> Any:
    """What waits from `offset` on; asking for it confirms everything before."""
    hub, bot_id, params = call.hub, call.bot.bot_id, call.params
    if hub.updates.delivery(bot_id).url:
        raise Conflict(_WEBHOOK)
    place = hub.pollers.take(bot_id)
    try:
        with hub.db.change():
            _allow(call)
            hub.updates.confirm(bot_id, params.integer("offset"))
        timeout = params.integer("timeout", 0, 0, LONGEST_POLL_S)
        if timeout and not hub.updates.waiting(bot_id, 1):
            await _news(call, place, timeout, hung_up)
        if place.done():
            place.result()
        return [orjson.Fragment(body) for _, body in hub.updates.waiting(bot_id, params.integer("limit", 100, 1, 100))]
    finally:
        hub.pollers.leave(bot_id, place)


async def _news(
    call: Call,
    place: asyncio.Future[None],
    seconds: float,
    hung_up: Callable[[], Awaitable[None]],
) -> None:
    bell = call.hub.signals.listen(call.bot.bot_id)  # before anything is awaited: what comes meanwhile must ring
    gone = asyncio.ensure_future(hung_up())
    try:
        await call.hub.db.settled()
        await asyncio.wait({place, bell, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        call.hub.signals.forget(call.bot.bot_id, bell)


def _allow(call: Call) -> None:
    """Remember `allowed_updates`: names that do not exist are passed over, and an empty list means the default."""
    if "allowed_updates" not in call.params:
        return
    asked = call.params.json("allowed_updates")
    if not isinstance(asked, list):
        raise BadRequest("can't parse allowed updates JSON object")
    allowed = [kind for kind in KINDS if kind in asked]
    delivery = call.hub.updates.delivery(call.bot.bot_id)
    if allowed != delivery.allowed:
        delivery.allowed = allowed
        call.hub.updates.save_delivery(call.bot.bot_id)


@method("setWebhook", note="only addresses of this machine; http is accepted; certificates are not looked at")
def set_webhook(call: Call) -> bool:
    """Post updates to `url` from now on; an empty one goes back to polling."""
    url = call.params.text("url").strip()
    if not url:
        return _delete(call)
    _check_url(url)
    secret = call.params.text("secret_token")
    if len(secret) > 256:
        raise BadRequest("secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise BadRequest("secret token contains unallowed characters")
    _allow(call)
    if call.params.flag("drop_pending_updates"):
        call.hub.updates.drop_all(call.bot.bot_id)
    delivery = call.hub.updates.delivery(call.bot.bot_id)
    delivery.url, delivery.secret, delivery.error, delivery.error_date = url, secret, None, None
    delivery.max_connections = call.params.integer("max_connections", 40, 1, 100)
    _changed(call, Conflict("terminated by setWebhook request"))
    return True


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest("invalid webhook URL specified")
    try:
        local = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        local = False
    if not local:
        raise BadRequest("bad webhook: this local server posts to addresses of this machine only; use 127.0.0.1")


def _changed(call: Call, reason: Conflict) -> None:
    hub, bot_id = call.hub, call.bot.bot_id
    hub.updates.save_delivery(bot_id)
    hub.pollers.end(bot_id, reason)
    hub.db.after_commit(lambda: hub.signals.ring("webhooks"))


@method("deleteWebhook")
def delete_webhook(call: Call) -> bool:
    """Go back to polling."""
    return _delete(call)


def _delete(call: Call) -> bool:
    if call.params.flag("drop_pending_updates"):
        call.hub.updates.drop_all(call.bot.bot_id)
    delivery = call.hub.updates.delivery(call.bot.bot_id)
    if delivery.url:
        delivery.url, delivery.secret, delivery.error, delivery.error_date = "", "", None, None
        _changed(call, Conflict("terminated by setWebhook request"))
    return True


@method("getWebhookInfo")
def get_webhook_info(call: Call) -> dict[str, Any]:
    """How updates are delivered, and what went wrong last."""
    delivery = call.hub.updates.delivery(call.bot.bot_id)
    info: dict[str, Any] = {
        "url": delivery.url,
        "has_custom_certificate": False,
        "pending_update_count": call.hub.updates.pending(call.bot.bot_id),
    }
    if delivery.url:
        info |= {"max_connections": delivery.max_connections, "ip_address": "127.0.0.1"}
    if delivery.error:
        info |= {"last_error_date": delivery.error_date, "last_error_message": delivery.error}
    if delivery.allowed:
        info["allowed_updates"] = delivery.allowed
    return info
