"""Errors as Google words them: one table from kind to HTTP status and canonical status, two bodies (Sheets and Drive).

ApiError
├── InvalidArgument   400 INVALID_ARGUMENT
├── Unauthenticated   401 UNAUTHENTICATED
├── PermissionDenied  403 PERMISSION_DENIED
├── NotFound          404 NOT_FOUND
├── QuotaExceeded     429 RESOURCE_EXHAUSTED
└── Unavailable       503 UNAVAILABLE
"""

from __future__ import annotations

from typing import Any

BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class ApiError(Exception):
    """An answer that is an error, with the body Google gives for it."""

    code = 500
    status = "INTERNAL"
    reason = "internalError"

    def __init__(
        self, message: str, *, details: list[dict[str, Any]] | None = None, where: tuple[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.where = where

    def sheets_body(self) -> dict[str, Any]:
        """`{"error": {code, message, status, details}}`, `details` only where there are any."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return {"error": error}

    def drive_body(self) -> dict[str, Any]:
        """Drive v3's older shape, with the list of `errors` that clients look into for `reason`."""
        item: dict[str, Any] = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.where:
            item["locationType"], item["location"] = self.where
        return {"error": {"code": self.code, "message": self.message, "errors": [item]}}


class InvalidArgument(ApiError):
    """The request cannot be carried out as written."""

    code, status, reason = 400, "INVALID_ARGUMENT", "badRequest"


class Unauthenticated(ApiError):
    """The access token is unknown, altered or expired."""

    code, status, reason = 401, "UNAUTHENTICATED", "authError"

    def __init__(self) -> None:
        super().__init__(
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
            "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
        )


class PermissionDenied(ApiError):
    """The caller may not do this, or may not see this file."""

    code, status, reason = 403, "PERMISSION_DENIED", "insufficientFilePermissions"

    def __init__(self, message: str = "The caller does not have permission", **more: Any) -> None:
        super().__init__(message, **more)


class NotFound(ApiError):
    """No such spreadsheet, or no such path."""

    code, status, reason = 404, "NOT_FOUND", "notFound"

    def __init__(self, message: str = "Requested entity was not found.", **more: Any) -> None:
        super().__init__(message, **more)


class QuotaExceeded(ApiError):
    """More requests in a minute than the quota that was switched on."""

    code, status, reason = 429, "RESOURCE_EXHAUSTED", "rateLimitExceeded"


class Unavailable(ApiError):
    """The service is down for a moment; with `after_commit` faults the work was done all the same."""

    code, status, reason = 503, "UNAVAILABLE", "backendError"

    def __init__(self, message: str = "The service is currently unavailable.") -> None:
        super().__init__(message)


BY_STATUS: dict[int, tuple[str, str, str]] = {
    400: ("INVALID_ARGUMENT", "badRequest", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "authError", str(Unauthenticated())),
    403: ("PERMISSION_DENIED", "insufficientFilePermissions", "The caller does not have permission"),
    404: ("NOT_FOUND", "notFound", "Requested entity was not found."),
    409: ("ABORTED", "conflict", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "rateLimitExceeded", "Quota exceeded."),
    500: ("INTERNAL", "internalError", "Internal error encountered."),
    502: ("UNAVAILABLE", "backendError", "Bad gateway."),
    503: ("UNAVAILABLE", "backendError", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "backendError", "Deadline exceeded."),
}


def by_status(code: int, message: str | None = None) -> ApiError:
    """The error Google gives with this HTTP status; for injected faults."""
    status, reason, words = BY_STATUS.get(code, ("UNKNOWN", "unknown", "Unknown error."))
    error = ApiError(message or words)
    error.code, error.status, error.reason = code, status, reason
    return error


def bad_field(field: str, message: str) -> InvalidArgument:
    """A 400 that names the field, as Google's JSON-to-protobuf layer does."""
    violation = {"field": field, "description": message} if field else {"description": message}
    return InvalidArgument(message, details=[{"@type": BAD_REQUEST, "fieldViolations": [violation]}])


def unknown_name(name: str, at: str) -> InvalidArgument:
    """Google's answer to a JSON key that the message does not have."""
    place = f" at '{at}'" if at else ""
    return bad_field(at, f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.')
