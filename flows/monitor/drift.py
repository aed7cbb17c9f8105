"""Drift of inputs, forecast errors and coverage as one verdict: what is the matter, and whether to train anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.analyse.drift import ItemDrift
from flows.forecast.outcome import Health
from flows.monitor.observation import COVERAGE, ERROR


@dataclass(frozen=True)
class Drift:
    """The verdict: items that shifted and forecasts that turn out badly, by name, and why, in words."""

    items: tuple[str, ...]
    reasons: tuple[str, ...]
    forecasts: tuple[str, ...] = ()

    @property
    def retrain(self) -> bool:
        """Whether a new version should be trained."""
        return bool(self.reasons)


def assess(items: Sequence[ItemDrift], forecasts: Health | None) -> Drift:
    """Put the checks together; each has its own level, and says so in its reason."""
    shifted = [i for i in items if i.drifts]
    reasons = [f"{i.item} shifted by {i.shift:+.2f} SD in {i.people} people (p = {i.p_value:.2g})" for i in shifted]
    bad: list[str] = []
    if forecasts is not None and forecasts.error_drifts:
        bad.append(ERROR)
        reasons.append(f"errors are {forecasts.ratio:.2f} times those of the backtest (p = {forecasts.ratio_p:.2g})")
    if forecasts is not None and forecasts.coverage_drifts:
        bad.append(COVERAGE)
        reasons.append(f"80% intervals hold {forecasts.coverage:.0%} of answers (p = {forecasts.coverage_p:.2g})")
    return Drift(tuple(i.item for i in shifted), tuple(reasons), tuple(bad))
