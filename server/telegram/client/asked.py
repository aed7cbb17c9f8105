"""The body of a request of the people's side, read strictly: this side is ours, so mistakes are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.telegram.errors import BadRequest
from server.telegram.hub import Hub
from server.telegram.storage.bots import Bot


@dataclass(frozen=True)
class Asked:
    """What was asked for."""

    body: dict[str, Any]

    def text(self, name: str) -> str:
        """A string, empty where missing."""
        value = self.body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadRequest(f"{name} must be a string")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A number, None where missing."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise BadRequest(f"{name} must be a whole number")
        return int(value)

    def integer(self, name: str) -> int:
        """A number."""
        value = self.optional_integer(name)
        if value is None:
            raise BadRequest(f"{name} is missing")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean."""
        value = self.body.get(name, default)
        if not isinstance(value, bool):
            raise BadRequest(f"{name} must be true or false")
        return value

    def array(self, name: str) -> list[Any]:
        """An array, empty where missing."""
        value = self.body.get(name) or []
        if not isinstance(value, list):
            raise BadRequest(f"{name} must be an array")
        return value

    def bot(self, hub: Hub, user_id: int | None) -> Bot:
        """The bot named by username, number or token; else the one the person started last; else the only one."""
        named = self.body.get("bot")
        if named is not None:
            bot = hub.bots.by_id(int(str(named).partition(":")[0])) if str(named)[:1].isdigit() else None
            bot = bot or hub.bots.by_username(str(named))
            if bot is None:
                raise BadRequest(
                    f"no bot is called {str(named).partition(':')[0]}; a bot exists from its first call on"
                )
            return bot
        last = hub.people.last_bot(user_id) if user_id else None
        bots = [hub.bots.by_id(last)] if last else list(hub.bots.all())
        if len(bots) != 1 or bots[0] is None:
            reason = "no bot has called yet" if not bots else "there are several bots; say which with `bot`"
            raise BadRequest(reason)
        return bots[0]
