"""The registry of endpoints: a decorated function is an endpoint, and nothing else is.

    @endpoint("tasks.create", version="1.0", write=True)
    def create(call: Call) -> dict[str, Any]: ...

A read runs in a pool of threads with read connections; a write runs in the database's single write thread,
inside a savepoint of a transaction that it may share with other requests, and is answered after the commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from server.embedded import clock

if TYPE_CHECKING:
    from server.embedded.state import State

API_VERSION = "2.34"
COOKIE = "clearml_token_basic"


def read_cookie(headers: Mapping[str, str], name: str = COOKIE) -> str | None:
    """Read one cookie of a request."""
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[name].value if name in jar else None


@dataclass(frozen=True)
class Identity:
    """Who calls."""

    user: str
    company: str
    role: str = "user"
    name: str = ""


@dataclass
class Call:
    """One request on its way through a handler.

    `body` has passed the request schema. `items` are the lines of a batch request. `db` is a connection of the
    right kind for the endpoint: reading, or writing inside the request's savepoint.
    """

    endpoint: str
    version: tuple[int, int]
    body: dict[str, Any]
    identity: Identity
    db: sqlite3.Connection
    state: State
    items: list[Any] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""

    @property
    def user(self) -> str:
        """Id of the calling user."""
        return self.identity.user

    @property
    def company(self) -> str:
        """Id of the calling user's company."""
        return self.identity.company

    def cookie(self) -> str | None:
        """The session's cookie, if the request has one."""
        return read_cookie(self.headers)

    @cached_property
    def now(self) -> int:
        """Microseconds since 1970, the same for everything one request does."""
        return clock.now()


@dataclass(frozen=True)
class Answer:
    """A result that is more than data: cookies, or a body that is not an envelope."""

    data: dict[str, Any] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Call], "dict[str, Any] | Answer"]


@dataclass(frozen=True)
class Endpoint:
    """One registered endpoint and how it must be run."""

    name: str
    handler: Handler
    version: str
    write: bool
    auth: bool
    batch: bool
    roles: tuple[str, ...]

    @property
    def service(self) -> str:
        """The part before the dot."""
        return self.name.partition(".")[0]


REGISTRY: dict[str, Endpoint] = {}


def endpoint(
    name: str,
    *,
    version: str = "1.0",
    write: bool = False,
    auth: bool = True,
    batch: bool = False,
    roles: tuple[str, ...] = (),
) -> Callable[[Handler], Handler]:
    """Register a handler under `service.action`.

    Parameters
    ----------
    version
        Lowest API version that has it; told back as `actual_version`.
    write
        Run in the write thread; the answer leaves after the commit.
    auth
        Whether a caller must be known.
    batch
        The body is JSON lines, handed over as `call.items`.
    roles
        Roles that may call; empty for every role.
    """

    def register(handler: Handler) -> Handler:
        if name in REGISTRY:
            raise ValueError(f"{name} is registered twice")
        REGISTRY[name] = Endpoint(name, handler, version, write, auth, batch, roles)
        return handler

    return register
