"""Everything that can go wrong here, as one small tree.

TrackingError
├── NotConfigured       no ClearML address or credentials on this machine
├── BadCredentials      the server knows us not
├── Unreachable         no answer, or one that says "later"; the only one that is retried
├── Rejected            the server understood and refused
├── CaptureFailed       a value could not be summarised (raised to the caller only under `strict`)
└── RegistryError       a model, a version or a stage is not what was asked for
"""

from __future__ import annotations


class TrackingError(Exception):
    """Base of every error of this package.

    Parameters
    ----------
    what
        What happened.
    where
        The endpoint, run or value it happened to.
    hint
        What to do next.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what, where, hint)

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, f"({self.where})" if self.where else "", self.hint) if part)


class NotConfigured(TrackingError):
    """No ClearML address or credentials were found."""


class BadCredentials(TrackingError):
    """The server refused the access key and secret."""


class Unreachable(TrackingError):
    """No usable answer.

    Attributes
    ----------
    maybe_done
        The request may have been carried out all the same.
    answered
        The server is there: it answered with an error of its own.
    """

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", maybe_done: bool = True, answered: bool = False
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.maybe_done, self.answered = maybe_done, answered


class Rejected(TrackingError):
    """The server refused the request; repeating it would not help.

    Attributes
    ----------
    code, subcode
        The server's result code and subcode.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "", code: int = 400, subcode: int = 0) -> None:
        super().__init__(what, where=where, hint=hint)
        self.code, self.subcode = code, subcode


class CaptureFailed(TrackingError):
    """A parameter or result could not be summarised."""


class RegistryError(TrackingError):
    """A model, a version or a stage is not what was asked for."""
