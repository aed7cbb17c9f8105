"""`.env` of the compose file: secrets drawn once, kept at 0600, never overwritten."""

from __future__ import annotations

import os
import secrets
import string
from pathlib import Path

from server.official.errors import EnvironmentIncomplete

# version of the images, the one the compose file was written for
SERVER_VERSION = "2.4.0"
AGENT_VERSION = "3.0.3"

_ALPHABET = string.ascii_uppercase + string.digits


def _key() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(30))


def _secret() -> str:
    return secrets.token_urlsafe(40)


def defaults(host: str = "127.0.0.1") -> dict[str, str]:
    """Draw a complete environment for a server that is reached at `host`."""
    drawn = {
        "CLEARML_SERVER_VERSION": SERVER_VERSION,
        "CLEARML_AGENT_VERSION": AGENT_VERSION,
        "BIND": "127.0.0.1",
        "API_PORT": "8008",
        "FILES_PORT": "8081",
        "WEB_PORT": "8080",
        "MINIO_PORT": "9000",
        "CLEARML_API_HOST": f"http://{host}:8008",
        "CLEARML_FILES_HOST": f"http://{host}:8081",
        "CLEARML_WEB_HOST": f"http://{host}:8080",
        "ADMIN_USER": "admin",
        "ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "SESSION_SECRET": _secret(),
        "TOKEN_SECRET": _secret(),
        "MINIO_KEY": _key(),
        "MINIO_SECRET": _secret(),
    }
    for who in ("APISERVER", "FILESERVER", "WEBSERVER", "TESTS", "AGENT"):
        drawn |= {f"{who}_KEY": _key(), f"{who}_SECRET": _secret()}
    return drawn


def ensure(path: Path, host: str = "127.0.0.1") -> dict[str, str]:
    """Read `path`, drawing it first where it is not there.

    Raises
    ------
    EnvironmentIncomplete
        If the file is there but lacks a variable: it is never completed behind a person's back, since a secret drawn
        anew would lock out a server that runs with the old one.
    """
    if not path.exists():
        write(path, defaults(host))
    found = read(path)
    floating = [name for name, value in found.items() if name.endswith("_VERSION") and value == "latest"]
    if floating:
        raise EnvironmentIncomplete(f"{path}: {', '.join(floating)} must be a version, not `latest`")
    missing = [name for name in defaults() if not found.get(name)]
    if missing:
        raise EnvironmentIncomplete(
            f"{path} lacks {', '.join(missing)}: put them back, or move the file away to draw new secrets"
        )
    return found


def read(path: Path) -> dict[str, str]:
    """Read NAME=value lines.

    Raises
    ------
    EnvironmentIncomplete
        If the file is missing, or a line is not NAME=value.
    """
    if not path.is_file():
        raise EnvironmentIncomplete(f"{path} is missing: `python -m server.official up` writes it")
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise EnvironmentIncomplete(f"{path}:{number}: expected NAME=value")
        found[name.strip()] = value.strip()
    return found


def write(path: Path, values: dict[str, str]) -> None:
    """Write the file whole or not at all, readable by its owner only."""
    lines = [f"{name}={value}\n" for name, value in values.items()]
    keep(path, "# Secrets of the official ClearML Server. Keep it private; do not commit it.\n" + "".join(lines))


def keep(path: Path, text: str) -> None:
    """Put `text` into a file of 0600, whole or not at all: what is killed in the middle leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(path)
