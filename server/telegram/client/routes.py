"""``/client/...``: the people's side on HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from server.telegram.client import chatting, people
from server.telegram.client.asked import Asked
from server.telegram.errors import ApiError, BadRequest, NotFound
from server.telegram.hub import Hub
from server.telegram.thumbnails import picture_type, ready

log = logging.getLogger("server.telegram.client")
Action = Callable[[Hub, Asked], dict[str, Any]]
ACTIONS: dict[str, Action] = {
    "start": people.start,
    "block": people.block,
    "unblock": people.unblock,
    "deactivate": people.deactivate,
    "group": people.group,
    "kick": people.kick,
    "migrate": people.migrate,
    "send": chatting.send,
    "tap": chatting.tap,
    "edit": chatting.edit,
    "delete": chatting.delete,
    "vote": chatting.vote,
    "react": chatting.react,
}
LONGEST_POLL_S = 60.0
EVENTS = 1000


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


class Client:
    """The handlers of ``/client``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Every route, for Starlette."""
        reads = {
            "events": self.events, "chats": self.chats, "bots": self.bots, "users": self.users, "stats": self.stats,
        }  # fmt: skip
        return [
            *(Route(f"/client/{name}", self._guarded(handler), methods=["GET"]) for name, handler in reads.items()),
            Route("/client/chats/{chat_id:int}/messages", self._guarded(self.history), methods=["GET"]),
            Route("/client/chats/-{chat_id:int}/messages", self._guarded(self.history), methods=["GET"]),
            Route("/client/files/{bot_id:int}/{file_id:str}", self._guarded(self.file), methods=["GET"]),
            Route("/client/faults", self._guarded(self.faults), methods=["GET", "POST", "DELETE"]),
            Route("/client/limits", self._guarded(self.limits), methods=["GET", "POST"]),
            Route("/client/batch", self._guarded(self.batch), methods=["POST"]),
            Route("/client/{action:str}", self._guarded(self.act), methods=["POST"]),
        ]

    def _guarded(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            try:
                response: Response = await handler(request)
            except ApiError as error:
                return _json(error.body(), error.code)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                log.info("a value of the wrong kind", exc_info=error)
                return _json(BadRequest(f"a value of the wrong kind: {error!r}").body(), 400)
            return response

        return guarded

    async def _body(self, request: Request) -> Any:
        # A page of another origin cannot send this type without asking first, and is never told that it may.
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise BadRequest("send JSON, with Content-Type: application/json")
        try:
            return orjson.loads(await request.body() or b"{}")
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"can't parse JSON: {error}") from error

    def _perform(self, name: str, body: Any) -> dict[str, Any]:
        action = ACTIONS.get(name)
        if action is None:
            raise NotFound(f"no action {name!r}; there are {', '.join(ACTIONS)}")
        if not isinstance(body, dict):
            raise BadRequest("object expected")
        with self._hub.db.change():
            return action(self._hub, Asked(body))

    async def act(self, request: Request) -> Response:
        """One action; answered when it is on disk."""
        result = self._perform(request.path_params["action"], await self._body(request))
        await self._hub.db.settled()
        return _json(result)

    async def batch(self, request: Request) -> Response:
        """Many actions in one transaction; one that cannot be done has its error in its place."""
        results: list[dict[str, Any]] = []
        body = await self._body(request)
        if not isinstance(body, list):
            raise BadRequest("array expected")
        for item in body:
            name = str(item.get("method")) if isinstance(item, dict) else ""
            try:
                results.append(self._perform(name, item))
            except ApiError as error:
                results.append(error.body())
        await self._hub.db.settled()
        return _json(results)

    async def events(self, request: Request) -> Response:
        """Events after a number; waits up to `timeout` seconds for the first."""
        hub, query = self._hub, request.query_params
        after = int(query.get("after", 0))
        bot_id, chat_id = (int(query[key]) if key in query else None for key in ("bot_id", "chat_id"))
        limit = min(int(query.get("limit", EVENTS)), 10 * EVENTS)
        deadline = time.monotonic() + min(float(query.get("timeout", 0)), LONGEST_POLL_S)
        while not (rows := hub.events.after(after, limit, bot_id, chat_id)):
            left = deadline - time.monotonic()
            if left <= 0 or not await self._bell(left):
                break
        await hub.db.settled()
        last = rows[-1][0] if rows else after
        joined = ",".join(body for _, body in rows)
        return Response(f'{{"events":[{joined}],"last":{last}}}', media_type="application/json")

    async def _bell(self, seconds: float) -> bool:
        bell = self._hub.signals.listen("events")
        try:
            await asyncio.wait_for(bell, seconds)
        except TimeoutError:
            return False
        finally:
            self._hub.signals.forget("events", bell)
        return True

    async def chats(self, _: Request) -> Response:
        """Every chat: private ones with their bot and status, and groups."""
        hub = self._hub
        private = [
            {
                "bot_id": bot_id,
                "chat_id": user_id,
                "type": "private",
                "status": status,
                "user": hub.people.user(user_id),
            }
            for bot_id, user_id, status in hub.people.contacts()
        ]
        groups = [(hub.people.group(chat_id) or {}) | {"chat_id": chat_id} for chat_id in hub.people.groups()]
        return _json({"chats": private + groups, "last": hub.events.last})

    async def history(self, request: Request) -> Response:
        """The messages of a chat, oldest first; `before` pages back."""
        chat_id = int(request.url.path.split("/")[-2])
        query = request.query_params
        asked = Asked({"bot": query["bot"]} if "bot" in query else {})
        bot_id = asked.bot(self._hub, chat_id).bot_id if chat_id > 0 else 0
        before = int(query["before"]) if "before" in query else None
        messages = self._hub.messages.history(bot_id, chat_id, min(int(query.get("limit", 50)), 1000), before)
        return _json({"messages": messages, "last": self._hub.events.last})

    async def bots(self, request: Request) -> Response:
        """The bots, with what a person sees of them; never their tokens."""
        language = request.query_params.get("language", "")
        return _json({"bots": [self._bot(bot, language) for bot in self._hub.bots.all()]})

    def _bot(self, bot: Any, language: str) -> dict[str, Any]:
        def said(kind: str, scope: str = "") -> Any:
            text = self._hub.bots.text
            return text(bot, kind, scope, language) or text(bot, kind, scope, "")

        commands = said("commands", "all_private_chats") or said("commands", "default") or []
        return {
            "bot_id": bot.bot_id,
            "username": bot.username,
            "first_name": said("name") or bot.first_name,
            "description": said("description") or "",
            "commands": commands,
        }

    async def users(self, _: Request) -> Response:
        """Everybody."""
        return _json({"users": self._hub.people.users()})

    async def file(self, request: Request) -> Response:
        """The bytes of a file, for people."""
        path = request.path_params
        kind, upload, _ = self._hub.files.find(path["bot_id"], path["file_id"])
        file = ready(self._hub.files.folder / upload.path)
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=86400, immutable"}
        if kind == "photo":
            return FileResponse(file, media_type=picture_type(file), headers=headers)
        # anything else is only ever saved: a document a bot sent must not run as a page of this origin
        return FileResponse(file, media_type="application/octet-stream", filename=upload.name, headers=headers)

    async def faults(self, request: Request) -> Response:
        """See, set or clear the fault rules."""
        if request.method == "POST":
            body = await self._body(request)
            self._hub.faults.replace(body if isinstance(body, list) else body.get("rules", []))
        elif request.method == "DELETE":
            self._hub.faults.replace([])
        return _json({"rules": [rule.public() for rule in self._hub.faults.rules]})

    async def limits(self, request: Request) -> Response:
        """See or change the flood limits."""
        if request.method == "POST":
            self._hub.limits.change(**await self._body(request))
        return _json(vars(self._hub.limits.rates))

    async def stats(self, _: Request) -> Response:
        """Calls by method and outcome since the start, and what waits."""
        calls: dict[str, dict[str, int]] = {}
        for (name, code), n in sorted(self._hub.calls.items()):
            calls.setdefault(name, {})[str(code)] = n
        pending = {str(bot.bot_id): self._hub.updates.pending(bot.bot_id) for bot in self._hub.bots.all()}
        uptime = time.time() - self._hub.started
        body = {"calls": calls, "pending": pending, "polling": self._hub.pollers.open(), "uptime_s": uptime}
        return _json(body | {"last": self._hub.events.last})


async def refused(_: Request, error: Exception) -> Response:
    """Every error has the one shape."""
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, str(error))
    return _json({"ok": False, "error_code": status, "description": detail}, status)
