"""Who may look: anybody on this machine in simple mode, else people with a password; and what a page may load."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from server.embedded.endpoints import COOKIE
from server.embedded.errors import ApiError
from server.embedded.state import State

Handler = Callable[[Request], Awaitable[Response]]
Message = dict[str, Any]
OPEN = ("/login", "/static/")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),  # no page of another site embeds a file or a picture
]


class Access:
    """Lets a request through, or sends it to the login page; adds the headers that keep pages to this host."""

    def __init__(self, app: Any, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        answer = await self._refusal(request)

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await (answer or self.app)(scope, receive, sending)

    async def _refusal(self, request: Request) -> Response | None:
        auth = self.state.auth
        if not auth.password_mode:
            # another site's name that resolves to this machine would read the pages through the visitor's browser
            if request.url.hostname in LOOPBACK:
                return None
            return PlainTextResponse("Open these pages as 127.0.0.1 or localhost.\n", 421)
        if request.url.path.startswith(OPEN):
            return None
        try:
            await run_in_threadpool(auth.check, request.cookies.get(COOKIE, ""))
        except ApiError:
            where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?{urlencode({'next': where})}", 303)
        return None


def _local(target: str) -> str:
    """Keep an address to go on to only when it is a path of this server."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and "\n" not in target
    return quote(target, safe="/?=&;,.*%-_~+") if safe else "/"


def login(state: State, templates: Environment) -> Handler:
    """Make the login page."""

    async def handle(request: Request) -> Response:
        if not state.auth.password_mode:
            return RedirectResponse("/", 303)
        target = _local(request.query_params.get("next", "/"))
        problem = ""
        if request.method == "POST":
            form = await request.form(max_files=0, max_fields=8)
            pair = f"{form.get('name', '')}:{form.get('password', '')}".encode()
            try:
                identity = await run_in_threadpool(state.auth.basic, "Basic " + base64.b64encode(pair).decode())
            except ApiError:
                problem = "The name or the password is not right."
            else:
                answer = RedirectResponse(target, 303)
                answer.set_cookie(COOKIE, state.auth.issue(identity), httponly=True, samesite="lax", path="/")
                return answer
        page = templates.get_template("login.html").render(
            problem=problem, target=target, here="/login", passwords=True, urls=state.urls, anonymous=True
        )
        return HTMLResponse(page, 401 if problem else 200)

    return handle


def logout(state: State) -> Handler:
    """Make the end of a session: its token is worthless afterwards."""

    async def handle(request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        if token:
            await run_in_threadpool(lambda: state.db.write(lambda db: state.auth.revoke(db, token)).result())
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    return handle
