"""The ASGI application: bots in front, people behind, one shape of error."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from server.telegram import coverage
from server.telegram.client.routes import Client, refused
from server.telegram.errors import BadRequest, ServerError
from server.telegram.hub import Hub, Options
from server.telegram.webhooks import Webhooks
from server.telegram.wire import BotApi, answer

log = logging.getLogger("server.telegram")
PAGE = Path(__file__).parent / "page"
SWEEP_S = 60.0
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


class App:
    """The server as one ASGI callable over an open `Hub`."""

    def __init__(self, hub: Hub) -> None:
        self._bots = BotApi(hub)
        self._people = people(hub)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        try:
            if path.startswith("/bot"):
                await self._bots.call(scope, receive, send)
            elif path.startswith("/file/bot"):
                await self._bots.download(scope, receive, send)
            else:
                await self._people(scope, receive, send)
        except Exception:
            if not path.startswith(("/bot", "/file/bot")):
                raise  # answered already
            log.exception("a defect of the local server, in %s", path.rpartition("/")[2])
            await answer(send, 500, ServerError("a defect of the local server; see its log").body())


@contextlib.asynccontextmanager
async def opened(options: Options) -> AsyncIterator[Hub]:
    """The data open, webhooks delivered, old things swept; all of it ended and on disk afterwards."""
    hub = Hub(options)
    for token in options.tokens:
        hub.bots.by_token(token)
    tasks = [asyncio.create_task(Webhooks(hub).run()), asyncio.create_task(_sweep(hub))]
    try:
        yield hub
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        hub.close()


async def _sweep(hub: Hub) -> None:
    while True:
        with hub.db.change():
            hub.sweep()
        await asyncio.sleep(SWEEP_S)


def people(hub: Hub) -> ASGIApp:
    """The people's side: the page, its data, and what this server covers."""
    app = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/chat")),
            Route("/chat", _page),
            Route("/coverage", lambda _: PlainTextResponse(coverage.page(), media_type="text/markdown; charset=utf-8")),
            Mount("/page", StaticFiles(directory=PAGE)),
            *Client(hub).routes(),
        ],
        exception_handlers={404: refused, 405: refused},
    )
    return _OnlyHere(app)


def _page(_: Request) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return FileResponse(PAGE / "index.html", headers=headers)


class _OnlyHere:
    """Refuses names of other hosts: a page elsewhere that resolves its name to this machine gets nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
        if urlsplit(f"//{host}").hostname in LOCAL:
            await self._app(scope, receive, send)
        else:
            error = BadRequest("this server answers to localhost only")
            await answer(send, error.code, error.body())
