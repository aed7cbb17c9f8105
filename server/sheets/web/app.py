"""The ASGI application: one worker thread does all the work, the event loop only waits and talks."""

from __future__ import annotations

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.sheets.auth import DRIVE_SCOPES, SHEETS_SCOPES, Caller, GrantError, Tokens, load_key
from server.sheets.errors import ApiError, InvalidArgument, PermissionDenied, Unauthenticated, by_status
from server.sheets.storage import database
from server.sheets.storage.library import Library
from server.sheets.web import admin, drive_routes, page, sheets_routes
from server.sheets.web.call import Call, read_query, split_path
from server.sheets.web.faults import Faults, Rule
from server.sheets.web.quota import Quota

log = logging.getLogger("server.sheets")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
DEEP = 50_000  # formulas that refer to formulas: some ten calls each
MAX_BODY = 10 * 1024 * 1024
ALL_SCOPES = frozenset(SHEETS_SCOPES)


@dataclass
class State:
    """What a running server holds."""

    library: Library
    tokens: Tokens
    faults: Faults
    quota: Quota = field(default_factory=Quota)
    require_auth: bool = False


def open_state(data: Path, root: str, *, require_auth: bool) -> State:
    """Open the data directory."""
    db = database.connect(data / "sheets.sqlite")
    key = load_key(data / "service-account.json", f"{root}/token")
    return State(Library(db), Tokens(db, key), Faults(db), require_auth=require_auth)


class Dropped(Exception):
    """The connection is to end without an answer."""


def reply(body: Any, status: int = 200) -> Response:
    """A JSON answer in UTF-8."""
    headers = {"content-type": "application/json; charset=UTF-8"}
    return Response(orjson.dumps(body), status, headers)


class App:
    """Sheets v4, Drive v3, the token endpoint, the admin API and the page."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.worker = ThreadPoolExecutor(1, "sheets", sys.setrecursionlimit, (DEEP,))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        request = Request(scope, receive)
        path = scope["raw_path"].decode("ascii")
        try:
            response = await self._respond(request, path)
        except Dropped:
            await _cut(send)
            return
        except ApiError as error:
            response = _error(path, error)
        except Exception:
            log.exception("%s failed", request.method)
            response = _error(path, by_status(500))
        await response(scope, receive, send)

    async def _respond(self, request: Request, path: str) -> Response:
        check_local(request)
        body = await request.body()
        if len(body) > MAX_BODY:
            raise InvalidArgument(f"Request payload size exceeds the limit: {MAX_BODY} bytes.")
        run = asyncio.get_running_loop().run_in_executor
        if not path.startswith(("/v4/", "/drive/", "/upload/", "/token")):
            return await run(self.worker, self._own_pages, request, path, body)
        rules = self.state.faults.pick(request.method, unquote(path))
        await _before(rules)
        if path == "/token":
            response = await run(self.worker, self._token, body)
        else:
            response = await run(self.worker, self._api, request, path, body)
        _after(rules)
        return response

    def _token(self, body: bytes) -> Response:
        form = {name: found[-1] for name, found in read_query(body.decode()).items()}
        try:
            return reply(self.state.tokens.grant(form))
        except GrantError as error:
            return reply(error.body, 400)

    def _own_pages(self, request: Request, path: str, body: bytes) -> Response:
        if path.startswith("/admin/"):
            status, answer = admin.answer(self.state, request.method, path, body)
            return reply(answer, status)
        return page.answer(self.state.library, request.method, path, request.url.query)

    def _api(self, request: Request, path: str, body: bytes) -> Response:
        drive = not path.startswith("/v4/")
        caller = self._caller(request, drive=drive)
        self.state.quota.count(request.method, caller.email)
        segments, verb = split_path(path)
        query = read_query(request.url.query)
        call = Call(self.state.library, caller, request.method, segments, verb, query, body)
        with self.state.library.transaction():
            answer = drive_routes.answer(call) if drive else sheets_routes.answer(call)
        if answer is None:
            return Response(status_code=204)
        if isinstance(answer, tuple):
            return Response(answer[0], headers={"content-type": answer[1]})
        return reply(answer)

    def _caller(self, request: Request, *, drive: bool) -> Caller:
        given = request.headers.get("authorization")
        if given is None and not self.state.require_auth:
            return Caller(self.state.tokens.email, ALL_SCOPES)
        if given is None:
            raise PermissionDenied(
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API."
            )
        kind, _, token = given.partition(" ")
        caller = self.state.tokens.caller(token) if kind.lower() == "bearer" else None
        if caller is None:
            raise Unauthenticated
        if not caller.scopes & (DRIVE_SCOPES if drive else SHEETS_SCOPES):
            raise PermissionDenied("Request had insufficient authentication scopes.")
        return caller


def check_local(request: Request) -> None:
    """Refuse what a web page elsewhere could make a browser send: a foreign Host or Origin.

    Raises
    ------
    PermissionDenied
        Where the request does not come from this machine's own pages or programs.
    """
    host = urlsplit("//" + request.headers.get("host", "")).hostname
    origin = request.headers.get("origin")
    if host not in LOOPBACK or (origin is not None and urlsplit(origin).hostname not in LOOPBACK):
        raise PermissionDenied("This server answers this machine only.")


async def _before(rules: list[Rule]) -> None:
    for rule in rules:
        if rule.kind == "delay":
            await asyncio.sleep(float(rule.body.get("seconds", 1)))
        elif not rule.after_commit:
            _fail(rule)


def _after(rules: list[Rule]) -> None:
    for rule in rules:
        if rule.after_commit:
            _fail(rule)


def _fail(rule: Rule) -> None:
    if rule.kind == "drop":
        raise Dropped
    raise by_status(rule.status, rule.body.get("message"))


def _error(path: str, error: ApiError) -> Response:
    body = (
        error.sheets_body()
        if path.startswith("/v4/") or not path.startswith(("/drive/", "/upload/"))
        else error.drive_body()
    )
    return reply(body, error.code)


async def _cut(send: Send) -> None:
    """End the connection in the middle of an answer, as a cut wire does."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
