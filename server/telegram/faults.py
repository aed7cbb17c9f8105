"""Faults on request: rules that make calls fail the way networks and Telegram do."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from server.telegram.errors import ApiError, BadRequest, injected

WEBHOOK = "webhook"


@dataclass
class Rule:
    """When and how a call goes wrong.

    Parameters
    ----------
    method
        Name of a method, ``*`` for all. ``webhook`` is the delivery of an update, and not among ``*``.
    chat_id, bot_id
        Only calls for this chat, of this bot.
    probability, seed
        How often, and the seed of the dice.
    times
        How often at most, None for ever.
    status
        HTTP status and error code to answer with; None answers as usual.
    description
        The error's words.
    retry_after
        Seconds, beside status 429.
    after_commit
        Carry the call out first, then wait and fail: the client cannot know that it worked.
    delay
        Seconds to wait before anything else.
    twice, loose
        Of a webhook's delivery: post the update a second time; do not wait for those before it in its chat.
    drop
        Cut the connection instead of answering.
    """

    method: str = "*"
    chat_id: int | None = None
    bot_id: int | None = None
    probability: float = 1.0
    seed: int = 0
    times: int | None = None
    status: int | None = None
    description: str = ""
    retry_after: int = 1
    after_commit: bool = False
    delay: float = 0.0
    drop: bool = False
    twice: bool = False
    loose: bool = False
    hits: int = 0
    _dice: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - a seeded fault, not a secret

    def strikes(self, method: str, bot_id: int, chat_id: str) -> bool:
        """Whether this call goes wrong; counts it."""
        if self.method != method and (self.method != "*" or method == WEBHOOK):
            return False
        if self.bot_id not in (None, bot_id) or (self.chat_id is not None and str(self.chat_id) != chat_id):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def error(self) -> ApiError | None:
        """What to answer, None where the call goes on."""
        return injected(self.status, self.description, self.retry_after) if self.status else None

    def public(self) -> dict[str, Any]:
        """The rule as JSON."""
        body = asdict(self)
        del body["_dice"]
        return body


KEYS = frozenset(f.name for f in fields(Rule)) - {"hits", "_dice"}


class Faults:
    """The rules in force; the first that strikes decides."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def replace(self, rules: list[dict[str, Any]]) -> None:
        """Put these rules in place of the present ones; `BadRequest` for unknown keys."""
        unknown = {key for rule in rules for key in rule} - KEYS
        if unknown:
            raise BadRequest(f"unknown keys in a fault rule: {sorted(unknown)}; known: {sorted(KEYS)}")
        made = [Rule(**rule) for rule in rules]
        for rule in made:
            rule.method = rule.method.lower()
        self.rules = made

    def strike(self, method: str, bot_id: int, chat_id: str) -> Rule | None:
        """The rule this call falls under, None where it is left alone."""
        return next((rule for rule in self.rules if rule.strikes(method, bot_id, chat_id)), None)
