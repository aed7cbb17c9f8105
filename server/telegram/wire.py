"""The Bot API on HTTP: ``/bot<token>/METHOD``, ``/file/bot<token>/PATH``, four ways to pass parameters, one shape."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from server.telegram.dispatch import Dropped, perform
from server.telegram.errors import ApiError, BadRequest, NotFound, TooLarge
from server.telegram.hub import Hub
from server.telegram.methods.media import DOWNLOAD_BYTES, UPLOAD_BYTES
from server.telegram.params import Params, Upload
from server.telegram.storage.bots import Bot
from server.telegram.thumbnails import ready

BODY_BYTES = UPLOAD_BYTES + 2**20
_JSON = (b"content-type", b"application/json")


class BotApi:
    """The ASGI side of the Bot API."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer ``/bot<token>/METHOD``."""
        token, _, name = scope["path"][4:].partition("/")

        async def hung_up() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        try:
            params = await read(scope, receive, self._hub)
            result = await perform(self._hub, token, name.lower(), params, hung_up)
        except ApiError as error:
            await answer(send, error.code, error.body())
        except Dropped:
            await cut(send)
        else:
            await answer(send, 200, {"ok": True, "result": result})

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer ``/file/bot<token>/PATH``."""
        token, _, path = scope["path"][9:].partition("/")
        try:
            response = self._file(self._hub.bots.by_token(token), path)
        except ApiError as error:
            await answer(send, error.code, error.body())
        else:
            await response(scope, receive, send)

    def _file(self, bot: Bot, path: str) -> FileResponse:
        file_id = path.rpartition("/")[2].partition(".")[0]
        try:
            _, upload, _ = self._hub.files.find(bot.bot_id, file_id)
        except BadRequest:
            raise NotFound from None
        if upload.size > DOWNLOAD_BYTES:
            raise BadRequest("file is too big")
        return FileResponse(ready(self._hub.files.folder / upload.path), media_type="application/octet-stream")


async def read(scope: Scope, receive: Receive, hub: Hub) -> Params:
    """Parameters of a request; files among them are on disk when this returns."""
    values: dict[str, Any] = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    headers = {key: value for key, value in scope["headers"] if key in (b"content-type", b"content-length")}
    if int(headers.get(b"content-length", b"0")) > BODY_BYTES:
        raise TooLarge
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind == b"multipart/form-data":
        return await _multipart(Request(scope, receive), values, hub)
    body = await _body(receive)
    if kind == b"application/json" and body:
        values |= _decoded(body)
    elif kind == b"application/x-www-form-urlencoded":
        values |= parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return Params(values)


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("can't parse JSON object") from None
    if not isinstance(decoded, dict):
        raise BadRequest("object expected as a request body")
    return decoded


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_BYTES:
            raise TooLarge
        if not message.get("more_body"):
            return b"".join(chunks)


async def _multipart(request: Request, values: dict[str, Any], hub: Hub) -> Params:
    uploads: dict[str, Upload] = {}
    try:
        async with request.form(max_files=100, max_part_size=2**21) as form:
            for name, part in form.multi_items():
                if isinstance(part, UploadFile):
                    uploads[name] = await asyncio.to_thread(
                        hub.files.store, part.file, part.filename or name, part.content_type or ""
                    )
                else:
                    values[name] = part
    except MultiPartException as error:
        raise BadRequest(f"can't parse multipart form: {error.message}") from error
    return Params(values, uploads)


async def answer(send: Send, status: int, body: Any) -> None:
    """Send `body` as JSON."""
    packed = orjson.dumps(body)
    headers = [_JSON, (b"content-length", str(len(packed)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": packed})


async def cut(send: Send) -> None:
    """Break the connection, as a network would: nothing of an answer arrives."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
    else:  # not uvicorn's own cycle: promise a body and end without one, which breaks the connection as well
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, (b"content-length", b"1")]})
