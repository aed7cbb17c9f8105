"""What can go wrong while setting up the official server.

OfficialError
├── EnvironmentIncomplete   .env is missing, half written or edited wrongly
├── ComposeInvalid          the compose file is edited wrongly
├── DockerMissing           no Docker engine answers
├── NotReady                the server did not become healthy
├── LoginRefused            the server refuses the user or the keys
├── ConfTaken               the clearml.conf to write is one for another server
└── ClocksDisagree          this machine's and the server's time differ by more than tokens allow
"""

from __future__ import annotations


class OfficialError(Exception):
    """What, where and the next step."""


class EnvironmentIncomplete(OfficialError):
    """`.env` is missing, half written or edited wrongly: names the variable."""


class ComposeInvalid(OfficialError):
    """The compose file is edited wrongly: names the line, or service and key."""


class DockerMissing(OfficialError):
    """No Docker engine answers."""


class NotReady(OfficialError):
    """The server did not become healthy in time."""


class LoginRefused(OfficialError):
    """The server refuses the user or the keys."""


class ConfTaken(OfficialError):
    """The `clearml.conf` is one for another server: it is not overwritten."""


class ClocksDisagree(OfficialError):
    """Signed tokens would be refused as expired or not yet valid."""
