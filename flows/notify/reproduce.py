"""A message written again from what it came from, to be compared bit by bit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flows.analyse.report import PersonReport
from flows.forecast import Forecast
from flows.notify.context import Context, Told
from flows.notify.deliver import draft
from flows.notify.policy import REMINDERS, Policy
from flows.notify.wording import write


def reminder_again(
    kind: str, language: str, facts: Mapping[str, Any], evidence: Mapping[str, Any], policy: Policy
) -> str:
    """Words of a reminder from the prompt times kept with it: no answer is behind it."""
    told = {name: evidence[name] for name in ("n", "prompt") if name in evidence}
    zone = ZoneInfo(evidence["timezone"])
    return write(policy.wording[language], kind, language=language, timezone=zone, facts=facts, evidence=told)


def insight_again(
    report: PersonReport,
    kind: str,
    language: str,
    evidence: Mapping[str, Any],
    policy: Policy,
    *,
    told: Sequence[Told],
    now: datetime,
) -> str | None:
    """Decide and write once more about a report made from the snapshot.

    Parameters
    ----------
    report
        From the rows under the message's data hash.
    kind, language, evidence
        As kept with the message; of the evidence only what is no finding is used: timezone, forecast, prompts due.
    policy
        The version that decided.
    told, now
        What had been told, and the time of the decision.

    Returns
    -------
    str or None
        None where the decision would not be taken again.
    """
    report = replace(report, n_prompts=evidence["n_prompts"], compliance=evidence["compliance"])
    ahead = evidence["forecast"]
    context = Context(
        now=now,
        language=language,
        timezone=evidence["timezone"],
        told=told,
        forecast=Forecast(**{**ahead, "at": datetime.fromisoformat(ahead["at"])}) if ahead else None,
    )
    without = replace(policy, order=tuple(k for k in policy.order if k not in REMINDERS))
    outcome = draft(report, context, without.limited(evidence["per_day"]))
    return next((d.text for d in outcome.drafts if d.send.kind == kind), None)
