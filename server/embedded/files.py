"""The file server: uploads streamed and atomic, downloads by range, deletes; every verb needs a known caller.

A path of a URL becomes a path below the folder of files only after its parts are checked, and what it names must really
lie there (no symbolic links out).
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from server.embedded.endpoints import Identity, read_cookie
from server.embedded.errors import ApiError, fail
from server.embedded.state import State

log = logging.getLogger("server.embedded.files")
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
LONGEST_NAME = 255
UNSAFE_TO_SHOW = {"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"}


class UploadError(Exception):
    """An upload that cannot be kept: (HTTP status, words)."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def place(root: Path, name: str) -> Path:
    """Return where a URL's path lies below the folder of files.

    Raises
    ------
    UploadError
        The path is empty, leaves the folder, or cannot be a file's name.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    bad = [
        part for part in parts if part == ".." or "\0" in part or len(part.encode("utf-8", "replace")) > LONGEST_NAME
    ]
    if not parts or bad or any(0xD800 <= ord(letter) <= 0xDFFF for letter in name):
        raise UploadError(400, "no such path: it must lie below the root and have names of at most 255 bytes")
    target = root.joinpath(*parts)
    existing = next(parent for parent in (target, *target.parents) if parent.exists() or parent == root)
    if not existing.resolve().is_relative_to(root.resolve()):
        raise UploadError(400, "no such path: it leaves the folder of files")
    return target


class Upload:
    """Multipart parts on their way to disk: each streamed to a temporary file, all renamed into place at the end."""

    def __init__(self, root: Path, boundary: bytes, prefix: str, limit: int) -> None:
        self.root, self.prefix, self.limit = root, prefix, limit
        self.size = 0
        self.finished: list[tuple[Path, Path]] = []
        self._out: BinaryIO | None = None
        self._temporary: Path | None = None
        self._field = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self.ended = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._open,
                "on_part_data": self._data,
                "on_part_end": self._close,
                "on_end": self._end,
            },
        )

    def _begin(self) -> None:
        self._headers = {}
        self._field = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = (options.get(b"filename") or options.get(b"name") or b"").decode("utf-8", "replace")
        target = place(self.root, f"{self.prefix}/{unquote(name)}")
        if target.is_dir():
            raise UploadError(400, f"{name} is a folder")
        folder = self.root / ".incoming"
        folder.mkdir(exist_ok=True)
        self._temporary = folder / secrets.token_hex(16)
        self._out = self._temporary.open("xb")
        self.finished.append((self._temporary, target))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        if self.size > self.limit:
            raise UploadError(413, f"the upload is larger than {self.limit} bytes, the limit of this server")
        if self._out is not None:
            self._out.write(data[start:end])

    def _close(self) -> None:
        if self._out is not None:
            self._out.flush()
            os.fsync(self._out.fileno())
            self._out.close()
            self._out = None

    def _end(self) -> None:
        self.ended = True

    def keep(self) -> list[str]:
        """Move everything into place, durably. Returns the paths below the root."""
        if not self.ended or not self.finished:
            raise UploadError(400, "the multipart body is broken: its last boundary is missing, or it has no file")
        kept = []
        for temporary, target in self.finished:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(target)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                raise UploadError(409, f"a file and a folder would have the same name: {target.name}") from error
            _sync_folder(target.parent)
            kept.append(str(target.relative_to(self.root)))
        return kept

    def drop(self) -> None:
        """Remove what was not moved into place."""
        if self._out is not None:
            self._out.close()
        for temporary, _ in self.finished:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Files:
    """Handlers of the files port."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.root = state.files
        self.limit = state.settings.max_upload_mb * 2**20

    async def identify(self, request: Request) -> Identity:
        """Insist on a token, a cookie, or credentials."""
        authorization = request.headers.get("authorization")
        token = read_cookie(request.headers)
        if authorization is None and not token:
            raise fail("no_credentials")
        if authorization is not None and authorization.lower().startswith("basic"):
            found = self.state.db.read(lambda _: self.state.auth.basic(authorization))
            return await asyncio.wrap_future(found)
        return self.state.auth.bearer(authorization, token)

    async def handle(self, request: Request) -> Response:
        """Answer one request, with CORS for pages of this installation."""
        if request.method == "OPTIONS":
            return _cors(request, Response())
        try:
            await self.identify(request)
            answer: Response
            if request.method in {"POST", "PUT"}:
                answer = await self.upload(request)
            elif request.method == "DELETE":
                answer = self.delete(request)
            else:
                answer = self.download(request)
        except ApiError as error:
            answer = JSONResponse({"meta": {"result_code": error.status, "result_msg": error.message}}, error.status)
        except UploadError as error:
            answer = PlainTextResponse(str(error), error.status)
        if not request.headers.get("user-agent", "").startswith("Mozilla/"):
            answer.headers["Connection"] = "close"  # the SDK's processes fork: no two may be on one connection
        return _cors(request, answer)

    async def upload(self, request: Request) -> Response:
        """Keep the files of a multipart body; each part's filename is its path."""
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.limit + 2**20:
            raise UploadError(413, f"the upload is larger than {self.limit} bytes, the limit of this server")
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UploadError(400, "send files as multipart/form-data, the filename of each part being its path")
        upload = Upload(self.root, boundary, request.path_params["path"], self.limit)
        try:
            await self._stream(upload, request.stream())
            kept = await asyncio.to_thread(upload.keep)
        except FormParserError as error:
            raise UploadError(400, f"the multipart body is broken: {error}") from error
        finally:
            upload.drop()
        log.info("kept %d file(s), %d bytes", len(kept), upload.size)
        return JSONResponse(kept)

    async def _stream(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        waiting: list[bytes] = []
        size = 0
        async for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= 2**20:
                await asyncio.to_thread(upload.parser.write, b"".join(waiting))
                waiting, size = [], 0
        await asyncio.to_thread(upload.parser.write, b"".join(waiting))
        upload.parser.finalize()

    def download(self, request: Request) -> Response:
        """Send a file, or the range of it that is asked for."""
        target = place(self.root, request.path_params["path"])
        if not target.is_file() or ".incoming" in target.parts:
            return PlainTextResponse("no such file", 404)
        kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
        headers = {"X-Content-Type-Options": "nosniff"}
        if kind in UNSAFE_TO_SHOW or "download" in request.query_params:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(target.name)}"
        return FileResponse(target, media_type=kind, headers=headers)

    def delete(self, request: Request) -> Response:
        """Delete a file and the folders it leaves empty."""
        target = place(self.root, request.path_params["path"])
        if not target.is_file():
            return PlainTextResponse("no such file", 404)
        target.unlink()
        for folder in target.parents:
            if folder == self.root or any(folder.iterdir()):
                break
            folder.rmdir()
        return PlainTextResponse("deleted")


def _cors(request: Request, answer: Response) -> Response:
    origin = request.headers.get("origin")
    if origin and origin.partition("://")[2].rpartition(":")[0] == (request.url.hostname or ""):
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Allow-Credentials"] = "true"
        answer.headers["Access-Control-Allow-Methods"] = ", ".join(METHODS)
        answer.headers["Access-Control-Allow-Headers"] = request.headers.get("access-control-request-headers", "*")
        answer.headers["Vary"] = "Origin"
    return answer


def application(state: State) -> Starlette:
    """Build the ASGI application of the files port."""
    files = Files(state)
    for left in (state.files / ".incoming").glob("*"):
        left.unlink()
    return Starlette(routes=[Route("/{path:path}", files.handle, methods=METHODS)])
