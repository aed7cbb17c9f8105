"""Faults injected by rule: what a test wants to go wrong, on which calls, how often.

A rule is JSON: `match` {`method`, `path` (a regular expression on the decoded path), `nth` (only that matching call)},
one `kind`, and optionally `probability` (with `seed`), `times`, `message`. Kinds: `status` (with `status`, answered
instead of working), `after_commit` (the work is done, then this `status`, 503 unless given), `delay` (`seconds`),
`drop` (the connection ends without an answer; with `after_commit: true` the work was done), `revoked` (403), `vanished`
(404), `expired_token` (401). Rules live in the database, so that they survive a kill as the data do.
"""

from __future__ import annotations

import random
import re
import sqlite3
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.sheets.errors import InvalidArgument

KINDS = {
    "status": 500,
    "after_commit": 503,
    "delay": 0,
    "drop": 0,
    "revoked": 403,
    "vanished": 404,
    "expired_token": 401,
}
NAMES = {"kind", "match", "status", "probability", "seed", "times", "message", "seconds", "after_commit"}


@dataclass
class Rule:
    """One rule, with how often it met a call and how often it fired."""

    id: int
    body: dict[str, Any]
    seen: int = 0
    fired: int = 0
    chance: random.Random = field(default_factory=random.Random)

    @property
    def kind(self) -> str:
        """What goes wrong."""
        return str(self.body["kind"])

    @property
    def status(self) -> int:
        """The HTTP status answered, where one is."""
        return int(self.body.get("status", KINDS[self.kind]))

    @property
    def after_commit(self) -> bool:
        """Whether the work is done before it goes wrong."""
        return self.kind == "after_commit" or bool(self.body.get("after_commit"))

    def meets(self, method: str, path: str) -> bool:
        """Whether it fires on this call; counts either way."""
        match = self.body.get("match", {})
        if match.get("method", method).upper() != method or not re.search(match.get("path", ""), path):
            return False
        self.seen += 1
        if self.fired >= self.body.get("times", 2**62) or match.get("nth", self.seen) != self.seen:
            return False
        if self.chance.random() >= self.body.get("probability", 1.0):
            return False
        self.fired += 1
        return True

    def described(self) -> dict[str, Any]:
        """As the admin API shows it."""
        return {"id": self.id, **self.body, "seen": self.seen, "fired": self.fired}


class Faults:
    """The rules in force."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.rules = [self._rule(key, orjson.loads(body)) for key, body in db.execute("select id, body from faults")]

    def _rule(self, key: int, body: dict[str, Any]) -> Rule:
        return Rule(key, body, chance=random.Random(body.get("seed", key)))  # noqa: S311 - repeatable chance is the point

    def add(self, body: dict[str, Any]) -> Rule:
        """Put a rule in force.

        Raises
        ------
        InvalidArgument
            Where the rule cannot mean anything.
        """
        check(body)
        row = (orjson.dumps(body).decode(),)
        key = self.db.execute("insert into faults (body) values (?) returning id", row).fetchone()[0]
        rule = self._rule(key, body)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.db.execute("delete from faults")
        self.rules.clear()

    def pick(self, method: str, path: str) -> list[Rule]:
        """The rules that fire on this call."""
        return [rule for rule in self.rules if rule.meets(method, path)]


def check(body: dict[str, Any]) -> None:
    """Refuse a rule that would silently do nothing.

    Raises
    ------
    InvalidArgument
        With what is wrong.
    """
    unknown = body.keys() - NAMES
    if unknown or body.get("kind") not in KINDS:
        raise InvalidArgument(f"A fault needs a kind out of {sorted(KINDS)}; unknown names: {sorted(unknown)}.")
    if not 0 <= body.get("probability", 1.0) <= 1:
        raise InvalidArgument("probability must lie between 0 and 1.")
    if body.get("match", {}).keys() - {"method", "path", "nth"}:
        raise InvalidArgument("match knows method, path and nth.")
    try:
        re.compile(body.get("match", {}).get("path", ""))
    except re.error as error:
        raise InvalidArgument(f"match.path is no regular expression: {error}") from error
