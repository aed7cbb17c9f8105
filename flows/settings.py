"""Every setting of the product, read once and passed as an object.

Order of precedence: the environment (`MOODFLOW_*`), `.env`, then the addresses of the local stack that runs
in this state directory (`stack.json`, written by `moodflow up`), then the defaults below.
ClearML's own `CLEARML_*` and Prefect's `PREFECT_*` keep their names and are not repeated here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class Settings(BaseSettings):
    """What may differ between two installations of Moodflow."""

    model_config = SettingsConfigDict(env_prefix="MOODFLOW_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(Path(".moodflow"), description="State directory: the private store, logs, the clock.")
    survey: str = Field("mood", description="Survey in use: the name of a shipped definition, or a file's path.")
    project: str = Field("Moodflow", description="ClearML project under which everything is recorded.")

    telegram_token: SecretStr | None = Field(None, description="Bot token. Empty: the local Telegram is used.")
    telegram_url: str = Field("https://api.telegram.org", description="Bot API root, without the `/bot` of its paths.")
    webhook_url: str | None = Field(None, description="Public https address. Empty: long polling.")
    webhook_secret: SecretStr | None = Field(None, description="Secret token Telegram sends with a webhook.")
    webhook_port: int = Field(8443, description="Loopback port the webhook listens on.")
    operator_chat: int | None = Field(None, description="Telegram chat that gets operators' alerts.")
    alert_webhook: str | None = Field(None, description="Address that gets operators' alerts as JSON.")

    sheets_credentials: SecretStr | None = Field(
        None, description="Service-account key: a file's path or the JSON itself. Empty: the local Sheets."
    )
    sheets_url: str = Field("", description="Root of a Sheets and Drive endpoint. Empty: Google.")
    spreadsheet: str | None = Field(None, description="Key of the spreadsheet. Empty: made on first use.")

    sheets_per_minute: int = Field(50, ge=1, description="Most reads, and most writes, of the Sheet in a minute.")
    sheet_cells: int = Field(9_000_000, ge=1000, description="Cells at which a new spreadsheet is begun (limit: 10M).")

    messages_per_day: int = Field(2, ge=0, le=10, description="Most insights and reminders a person gets a day.")
    outbox_per_second: float = Field(25, gt=0, description="Most Telegram messages a second, all chats together.")
    outbox_chat_interval: float = Field(1.0, ge=0, description="Least seconds between two messages to a chat.")

    dask: str = Field("", description="Dask scheduler over whose workers analysis and training spread. Empty: none.")

    @property
    def database(self) -> Path:
        """The one private SQLite file."""
        return self.home / "private.db"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the running local stack below everything a person set."""
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            _LocalStack(settings_cls, env_settings, dotenv_settings),
        )


class _LocalStack(PydanticBaseSettingsSource):
    """Addresses and credentials of the stack that runs in the state directory."""

    def __init__(self, settings_cls: type[BaseSettings], *above: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._above = above

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        home = next((Path(v["home"]) for v in (s() for s in self._above) if v.get("home")), Path(".moodflow"))
        stack = home / "stack.json"
        if not stack.is_file():
            return {}
        local: dict[str, Any] = json.loads(stack.read_text())["settings"]
        return local


def load() -> Settings:
    """Read the environment once."""
    return Settings()
