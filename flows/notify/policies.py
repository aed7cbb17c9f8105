"""Who gets which policy: the champion, or an arm of a comparison drawn by a hash of the person. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows.notify.policy import Policy


@dataclass(frozen=True)
class InUse:
    """A policy with its place in the registry."""

    policy: Policy
    id: str
    version: str


@dataclass(frozen=True)
class Comparison:
    """A randomised comparison of policy versions.

    Attributes
    ----------
    name
        Part of the draw: another comparison draws anew.
    arms
        Registry versions, in order; every arm is as likely as the others.
    """

    name: str
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Policies:
    """All policies of a cycle: the champion and, during a comparison, its arms."""

    champion: InUse
    comparison: Comparison | None = None
    others: Sequence[InUse] = ()

    def of(self, person: str) -> InUse:
        """Policy of a person: the same one however often, wherever and in whatever order it is asked."""
        if self.comparison is None:
            return self.champion
        version = arm(person, self.comparison)
        return next((p for p in (self.champion, *self.others) if p.version == version), self.champion)

    def limited(self, per_day: int) -> Policies:
        """The same policies under an installation's own daily limit."""

        def under(used: InUse) -> InUse:
            return replace(used, policy=used.policy.limited(per_day))

        return replace(self, champion=under(self.champion), others=tuple(under(used) for used in self.others))


def arm(person: str, comparison: Comparison) -> str:
    """Arm of a person: SHA-256 of comparison and pseudonym, modulo the number of arms."""
    drawn = hashlib.sha256(f"{comparison.name}|{person}".encode()).digest()
    return comparison.arms[int.from_bytes(drawn[:8]) % len(comparison.arms)]
