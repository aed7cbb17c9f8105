"""Where methods are registered: a name, what is done, and what differs from Telegram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Method:
    """One method of the Bot API.

    Parameters
    ----------
    name
        As documented, in camel case.
    handler
        Computes the result inside one transaction.
    waits
        True where the handler is a coroutine that also gets a function telling when the client hung up.
    note
        What differs from Telegram, for the coverage page.
    """

    name: str
    handler: Any
    waits: bool = False
    note: str = ""


METHODS: dict[str, Method] = {}


def method(name: str, *, note: str = "", waits: bool = False) -> Callable[[F], F]:
    """Register the handler of a method."""

    def register(handler: F) -> F:
        METHODS[name.lower()] = Method(name, handler, waits, note)
        return handler

    return register
