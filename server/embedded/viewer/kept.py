"""Files of this server as the pages show them: through the pages' own port, so that who may look needs no key.

The files port insists on a token, and somebody who opens a page on this machine has none. What was stored while the
server listened on another port is found all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from server.embedded.files import Files, UploadError, place
from server.embedded.state import State

PREFIX = "/files/"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
Address = Callable[[str | None], str]


def addresses(state: State) -> Address:
    """Make what turns a file's URL into its path on the pages' port; an empty text where the file is not kept here."""
    own = urlsplit(state.urls.get("files", "")).hostname

    def address(url: str | None) -> str:
        try:
            parts = urlsplit(url or "")
            if parts.scheme not in {"http", "https"} or parts.hostname not in {*LOOPBACK, own}:
                return ""
            found = place(state.files, unquote(parts.path))
        except (UploadError, ValueError):
            return ""
        return PREFIX + quote(str(found.relative_to(state.files))) if found.is_file() else ""

    return address


def handler(state: State) -> Callable[[Request], Awaitable[Response]]:
    """Make the handler that sends a file."""
    files = Files(state)

    def send(request: Request) -> Response:
        try:
            return files.download(request)
        except UploadError as error:
            return PlainTextResponse(str(error), error.status)

    async def handle(request: Request) -> Response:
        return await run_in_threadpool(send, request)

    return handle
