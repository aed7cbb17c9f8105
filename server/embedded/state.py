"""What one server process holds: settings, the database, who may call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from server.embedded.database import Database

if TYPE_CHECKING:
    from server.embedded.auth import Auth


@dataclass(frozen=True)
class Settings:
    """What the command line decided, with defaults for everything else."""

    data: Path
    host: str = "127.0.0.1"
    api_port: int = 8008
    files_port: int = 8081
    web_port: int = 8080
    webapp: Path | None = None
    users: Path | None = None
    max_upload_mb: int = 10_240
    max_request_mb: int = 256
    token_days: float = 30
    silent_task_s: float = 7_200
    watchdog_every_s: float = 60
    archive_days: float = 0  # 0 keeps the archive for ever
    log_days: float = 0  # 0 keeps console lines for ever


@dataclass
class State:
    """Everything a handler may need beside its request."""

    settings: Settings
    db: Database
    auth: Auth
    files: Path
    urls: dict[str, str] = field(default_factory=dict)
    web_keys: dict[str, str] = field(default_factory=dict)
    unimplemented: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
