"""The API port: path, body and caller in; envelope out. Everything that is the same for all endpoints is here."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from server.embedded import catalogue, envelope, schemas, services
from server.embedded.endpoints import API_VERSION, REGISTRY, Answer, Call, Endpoint, Identity, read_cookie
from server.embedded.errors import ApiError, fail
from server.embedded.state import State

log = logging.getLogger("server.embedded.api")
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATH = re.compile(
    r"^/(?:v(?P<major>\d{1,6})\.(?P<minor>\d{1,6})/)?(?P<service>(?!v\d)[a-zA-Z_]\w*)\.(?P<action>[a-zA-Z_]\w*)/?$"
)
_NUMBERS = frozenset({"page", "page_size", "size", "iters", "batch_size", "samples"})
_CURRENT: tuple[int, int] = (2, 34)
_NOBODY = Identity("", "", "anonymous")

services.load()


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise fail("too_large", f"limit is {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        value = json.loads(raw)  # NaN and huge integers are not JSON but clients write them; fields then tell
    except (ValueError, RecursionError) as error:
        raise fail("invalid_json") from error
    schemas.clean(value)
    return value


def _lines(raw: bytes) -> list[Any]:
    if not raw.strip():
        return []
    try:
        whole = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _each(raw)
    return whole if isinstance(whole, list) else [whole]


def _each(raw: bytes) -> list[Any]:
    """Read JSON lines: all at once where each is a value of its own, or else one by one."""
    lines = [line for line in raw.splitlines() if line.strip()]
    try:
        found = orjson.loads(b"[" + b",".join(lines) + b"]")
    except orjson.JSONDecodeError:
        found = []
    return found if len(found) == len(lines) else [_loads(line) for line in lines]


def _body(raw: bytes, content_type: str, query: bytes) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if query:
        for key, values in parse_qs(query.decode("latin-1"), keep_blank_values=True).items():
            body[key] = values if len(values) > 1 else values[0]
            if key in _NUMBERS and len(values) == 1 and values[0].isdecimal():
                body[key] = int(values[0][:18])
    if content_type.startswith("application/x-www-form-urlencoded"):
        return body | {key: values[-1] for key, values in parse_qs(raw.decode("utf-8", "replace")).items()}
    if not raw.strip():
        return body
    value = _loads(raw)
    if value is None:
        return body
    if not isinstance(value, dict):
        raise ApiError.raw("bad_request", "Data should be a dict")
    return body | value


def _unforeseen(name: str, error: Exception) -> ApiError:
    """Tell values no store can hold, which are the client's, from faults, which are ours and are logged."""
    if isinstance(error, OverflowError | UnicodeError | RecursionError):
        return fail("validation_error", "a value is too large, or is no valid text")
    if isinstance(error, sqlite3.OperationalError) and "too many" in str(error):
        return fail("validation_error", "too many values in one request")
    log.error("%s failed", name, exc_info=error)
    return fail("internal_error")


class Api:
    """ASGI application of the API port."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.limit = state.settings.max_request_mb * 2**20

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        try:
            if scope["method"] == "OPTIONS" or (scope["method"] == "HEAD"):
                await self._send(send, 200, b"", headers, "text/html; charset=utf-8")
                return
            await self._answer(scope, headers, receive, send)
        except ConnectionResetError:
            return

    async def _answer(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        name, requested, actual = "", API_VERSION, "1.0"
        answer = Answer()
        try:
            raw = await _read(receive, self.limit)
            endpoint, name, version = self._resolve(scope["path"])
            requested, actual = f"{version[0]}.{version[1]}", endpoint.version
            answer = await self._call(endpoint, version, scope, headers, raw)
            meta = envelope.meta(name, requested, actual)
            status = 200
        except ApiError as error:
            meta = envelope.meta(name, requested, actual, error.status, error.subcode, error.message)
            status = error.status
        except Exception as error:  # noqa: BLE001 - the last line of defence: the client gets an envelope
            problem = _unforeseen(name, error)
            meta = envelope.meta(name, requested, actual, problem.status, problem.subcode, problem.message)
            status = problem.status
        if answer.body is not None:
            await self._send(send, 200, answer.body, headers, answer.content_type, answer.cookies, answer.headers)
            return
        body = envelope.encode({"meta": meta, "data": answer.data})
        await self._send(send, status, body, headers, "application/json", answer.cookies)

    def _resolve(self, path: str) -> tuple[Endpoint, str, tuple[int, int]]:
        match = _PATH.match(path)
        if match is None:
            raise ApiError.raw("invalid_path", f"Invalid request path {path}")
        name = f"{match['service']}.{match['action']}"
        version = (int(match["major"]), int(match["minor"])) if match["major"] else _CURRENT
        found = REGISTRY.get(name)
        if found is None:
            shown = f"{version[0]}.{version[1]}"
            if name in catalogue.ENDPOINTS:
                self.state.unimplemented[name] += 1
                log.warning("%s was called and is not implemented", name)
                raise fail("not_implemented", name)
            raise ApiError.raw("not_found", f"Unable to find endpoint for name {name} and version {shown}")
        return found, name, version

    async def _call(
        self, endpoint: Endpoint, version: tuple[int, int], scope: Message, headers: dict[str, str], raw: bytes
    ) -> Answer:
        state = self.state
        state.calls[endpoint.name] += 1
        identity = await self._identify(endpoint, headers)
        items: list[Any] = []
        body: dict[str, Any] = {}
        if endpoint.batch:
            items = _lines(raw)
        else:
            body = _body(raw, headers.get("content-type", ""), scope.get("query_string", b""))
            schemas.validate(endpoint.name, body)
        client = (scope.get("client") or ("",))[0]

        def run(db: sqlite3.Connection) -> dict[str, Any] | Answer:
            call = Call(endpoint.name, version, body, identity, db, state, items, headers, client)
            return endpoint.handler(call)

        future = state.db.write(run) if endpoint.write else state.db.read(run)
        result = await asyncio.wrap_future(future)
        return result if isinstance(result, Answer) else Answer(result)

    async def _identify(self, endpoint: Endpoint, headers: dict[str, str]) -> Identity:
        auth = self.state.auth
        authorization, token = headers.get("authorization"), read_cookie(headers)
        if authorization is None and not token:
            if endpoint.auth:
                raise fail("no_credentials")
            return _NOBODY
        try:
            if authorization is not None and authorization.lower().startswith("basic"):
                identity = await asyncio.wrap_future(self.state.db.read(lambda _: auth.basic(authorization)))
            else:
                identity = auth.bearer(authorization, token)
            identity = auth.impersonate(identity, headers)
        except ApiError:
            if endpoint.auth:
                raise
            return _NOBODY
        if endpoint.roles and identity.role not in endpoint.roles:
            raise fail("role_not_allowed", role=identity.role, allowed=endpoint.roles)
        return identity

    async def _send(
        self,
        send: Send,
        status: int,
        body: bytes,
        request: Mapping[str, str],
        content_type: str,
        cookies: tuple[str, ...] = (),
        extra: tuple[tuple[str, str], ...] = (),
    ) -> None:
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        origin = request.get("origin")
        if origin is not None and self._same_host(origin, request):
            headers += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-allow-methods", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
                (b"access-control-max-age", b"600"),
                (b"vary", b"Origin"),
            ]
            asked = request.get("access-control-request-headers")
            if asked:
                headers.append((b"access-control-allow-headers", asked.encode("latin-1")))
        if "x-clearml-client" in request:  # the SDK's processes fork: no two may find themselves on one connection
            headers.append((b"connection", b"close"))
        headers += [(b"set-cookie", value.encode("latin-1")) for value in cookies]
        headers += [(key.encode("latin-1"), value.encode("latin-1")) for key, value in extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _same_host(self, origin: str, request: Mapping[str, str]) -> bool:
        """Answer pages of this installation only: the cookie must not serve a stranger's page."""
        host = origin.partition("://")[2].rpartition(":")[0] or origin.partition("://")[2]
        asked = request.get("host", "").rpartition(":")[0]
        loopback = {"127.0.0.1", "localhost", "[::1]"}
        return host == asked or (host in loopback and asked in loopback)
