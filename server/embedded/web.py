"""The web port: a build of the official web app when there is one, or else this project's own plain pages."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from server.embedded import viewer
from server.embedded.state import State

IMMUTABLE = "public, max-age=31536000, immutable"
ASSET = "public, max-age=86400"  # libraries that the pages load by name and do not wait for


def configuration(state: State, request: Request) -> dict[str, object]:
    """Tell the web app, before it starts, where the API and the files are as the browser sees them."""
    host = request.url.hostname or "127.0.0.1"
    shown = {name: url.replace("//127.0.0.1:", f"//{host}:") for name, url in state.urls.items()}
    return {
        "apiBaseUrl": shown.get("api"),
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
        self.widgets = next((path for path in beside if (path / "index.html").is_file()), self.folder)

    async def handle(self, request: Request) -> Response:
        """Answer one path."""
        path = request.path_params["path"]
        folder = self.folder
        if path.startswith("widgets/"):
            path, folder = path.removeprefix("widgets/"), self.widgets
        if path == "configuration.json":
            return JSONResponse(configuration(self.state, request), headers={"Cache-Control": "no-store"})
        if path == "credentials.json":
            # the web app's own account, for logging in by name only; with passwords nobody needs it
            keys = None if self.state.auth.password_mode else self.state.web_keys
            return JSONResponse(keys or {}, 200 if keys else 404, headers={"Cache-Control": "no-store"})
        target = (folder / path).resolve()
        if path and target.is_relative_to(folder) and target.is_file():
            return FileResponse(target, headers={"Cache-Control": _kept(path)})
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})


def application(state: State) -> Starlette:
    """Build the ASGI application of the web port."""
    if state.settings.webapp is None:
        return viewer.application(state)
    return Starlette(
        routes=[Route("/{path:path}", WebApp(state, state.settings.webapp).handle, methods=["GET", "HEAD"])]
    )
