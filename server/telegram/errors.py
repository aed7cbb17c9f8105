"""The Bot API's errors, worded as Telegram words them, because clients match on the words.

::

    ApiError
    ├── BadRequest        400  do not retry
    │   └── Migrated      400  with migrate_to_chat_id
    ├── Unauthorized      401  no such bot
    ├── Forbidden         403  blocked, kicked, deactivated
    ├── NotFound          404  no such method, no such file
    ├── Conflict          409  two pollers, or a poller and a webhook
    ├── TooLarge          413  more than may be uploaded
    ├── TooManyRequests   429  with retry_after
    └── ServerError       5xx  only ever injected
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is not ok.

    Parameters
    ----------
    description
        What went wrong, after the prefix of its class.
    parameters
        `ResponseParameters` of the Bot API: ``retry_after`` (seconds) or ``migrate_to_chat_id``.
    """

    code = 500
    prefix = "Internal Server Error"

    def __init__(self, description: str = "", *, code: int | None = None, **parameters: Any) -> None:
        self.code = code or type(self).code
        self.description = f"{self.prefix}: {_lowered(description)}" if description else self.prefix
        self.parameters = parameters
        super().__init__(self.description)

    def body(self) -> dict[str, Any]:
        """The answer as the wire has it."""
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def _lowered(description: str) -> str:
    """Telegram lowers the first letter, unless the word is a constant such as BUTTON_DATA_INVALID."""
    if len(description) > 1 and (description[1] == "_" or description[1].isupper()):
        return description
    return description[0].lower() + description[1:]


class BadRequest(ApiError):
    """The request cannot succeed as it is."""

    code = 400
    prefix = "Bad Request"


class Migrated(BadRequest):
    """The group is a supergroup now, under another id."""

    def __init__(self, chat_id: int) -> None:
        super().__init__("group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat_id)


class Unauthorized(ApiError):
    """The token belongs to no bot of this server."""

    code = 401
    prefix = "Unauthorized"


class Forbidden(ApiError):
    """The other side does not want it."""

    code = 403
    prefix = "Forbidden"


class NotFound(ApiError):
    """No such method, token or file."""

    code = 404
    prefix = "Not Found"


class Conflict(ApiError):
    """Somebody else receives the updates."""

    code = 409
    prefix = "Conflict"


class TooLarge(ApiError):
    """More bytes than the Bot API takes."""

    code = 413
    prefix = "Request Entity Too Large"


class TooManyRequests(ApiError):
    """A limit was passed; `retry_after` is in whole seconds."""

    code = 429
    prefix = "Too Many Requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"retry after {retry_after}", retry_after=retry_after)


class ServerError(ApiError):
    """A failure of Telegram itself, asked for by a fault rule."""


BY_CODE: dict[int, type[ApiError]] = {
    kind.code: kind for kind in (BadRequest, Unauthorized, Forbidden, NotFound, Conflict, TooLarge, ServerError)
}


def injected(code: int, description: str, retry_after: int) -> ApiError:
    """The error a fault rule asks for."""
    if code == TooManyRequests.code:
        return TooManyRequests(retry_after)
    return BY_CODE.get(code, ServerError)(description, code=code)
