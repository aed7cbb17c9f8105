"""The web port: a build of the official web app when there is one, or else this project's own plain pages.

The web app finds the API below `/api` of its own origin, as in its official deployment: the plots in reports are pages
of their own that send the session's cookie nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from server.embedded.api import Api
from server.embedded.files import METHODS, Files
from server.embedded.state import State

IMMUTABLE = "public, max-age=31536000, immutable"
API = "/api"
STORED = "/files"  # where the web app looks for what the file server holds, so that its cookie goes along
FILES = frozenset({".js", ".mjs", ".css", ".map", ".woff", ".woff2", ".svg", ".png", ".ico", ".wasm"})
EDITOR = "assets/ace-builds/ace.js"  # a library that pages use without waiting for it: so that it is there early
ASSET = "public, max-age=86400"  # libraries that the pages load by name and do not wait for


def configuration(state: State, request: Request) -> dict[str, object]:
    """Tell the web app, before it starts, where the API and the files are as the browser sees them."""
    host = request.url.hostname or "127.0.0.1"
    shown = {name: url.replace("//127.0.0.1:", f"//{host}:") for name, url in state.urls.items()}
    return {
        "apiBaseUrl": API,
        "fileBaseUrl": shown.get("files"),
        "displayedServerUrls": {
            "apiServer": shown.get("api"),
            "filesServer": shown.get("files"),
            "webServer": shown.get("web"),
        },
        "showSurvey": False,
        "hideUpdateNotice": True,
        "communityServer": False,
    }


def _kept(path: str) -> str:
    """How long a browser may keep a file: names with a hash for ever, a page never."""
    if path.startswith("assets/"):
        return ASSET
    return IMMUTABLE if "-" in path.rpartition("/")[2] else "no-cache"


class WebApp:
    """Serves files of a build; every other path is the page of the single-page app."""

    def __init__(self, state: State, folder: Path) -> None:
        self.state = state
        self.folder = folder.resolve()
        beside = (
            self.folder / "widgets",
            self.folder.parent / "widgets",
            self.folder.parent / "dist" / "report-widgets" / "browser",
            self.folder.parent.parent / "dist" / "report-widgets" / "browser",
        )  # the reports' embedded plots, a build of its own
        self.widgets = next((path.resolve() for path in beside if (path / "index.html").is_file()), self.folder)

    async def handle(self, request: Request) -> Response:
        """Answer one path."""
        path = request.path_params["path"]
        folders = [self.folder]
        if path.startswith("widgets/"):  # whose build may leave out libraries that the web app has at the same place
            path, folders = path.removeprefix("widgets/"), [self.widgets, self.folder]
        if path == "configuration.json":
            return JSONResponse(configuration(self.state, request), headers={"Cache-Control": "no-store"})
        if path == "credentials.json":
            # the web app's own account, for logging in by name only; with passwords nobody needs it
            keys = None if self.state.auth.password_mode else self.state.web_keys
            return JSONResponse(keys or {}, 200 if keys else 404, headers={"Cache-Control": "no-store"})
        for folder in folders:
            target = (folder / path).resolve()
            if path and target.is_relative_to(folder) and target.is_file():
                return FileResponse(target, headers={"Cache-Control": _kept(path)})
        if Path(path).suffix in FILES:
            return Response("not part of this build", 404, media_type="text/plain")
        page = {"Cache-Control": "no-cache"}
        if (folders[0] / EDITOR).is_file():
            page["Link"] = f"</{EDITOR}>; rel=preload; as=script; crossorigin"
        return FileResponse(folders[0] / "index.html", headers=page)


class Prefixed:
    """The API below a prefix."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request as the API's own port would."""
        await self.api({**scope, "path": scope["path"].removeprefix(API)}, receive, send)


class Pages:
    """The project's own pages, loaded with the first one asked for: a third of a start would go into them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._loaded: Starlette | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        async with self._loading:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(self._load)
        await self._loaded(scope, receive, send)

    def _load(self) -> Starlette:
        from server.embedded import viewer  # noqa: PLC0415 - see the class

        return viewer.application(self.state)


def application(state: State) -> Starlette | Pages:
    """Build the ASGI application of the web port."""
    if state.settings.webapp is None:
        return Pages(state)
    pages = WebApp(state, state.settings.webapp)
    return Starlette(
        routes=[
            Mount(API, Prefixed(Api(state))),
            Route(STORED + "/{path:path}", Files(state).handle, methods=METHODS),
            Route("/{path:path}", pages.handle, methods=["GET", "HEAD"]),
        ]
    )
