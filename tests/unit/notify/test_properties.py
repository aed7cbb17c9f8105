"""What holds of every message to everybody."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings

from flows.notify.context import Skip, Told, quiet
from flows.notify.decide import decide, sends
from flows.notify.deliver import draft
from flows.notify.insights import LEVEL_KINDS
from flows.notify.policy import REMINDERS, Policy
from flows.notify.wording import plain
from tests.unit.notify.strategies import people

POLICY = Policy()
MANY = settings(max_examples=400 if os.environ.get("MOODFLOW_CAMPAIGN") == "full" else 60, deadline=None)
RESERVED = set("_*[]()~`>#+-=|{}.!")


def unescaped(text: str) -> list[str]:
    """Reserved signs that Telegram would read as markup, the bold ones of ours aside."""
    rest = re.sub(r"\\.", "", text)
    return [sign for sign in rest if sign in RESERVED - {"*"}] + (["*"] if rest.count("*") % 2 else [])


@MANY
@given(people())
def test_every_kind_is_decided_and_explained(one):
    """One decision per kind; a Skip has a reason, a Send has facts and evidence that survive JSON as they are."""
    decisions = decide(one.report, one.context, POLICY)
    assert [d.kind for d in decisions] == list(POLICY.order)
    for decision in decisions:
        if isinstance(decision, Skip):
            assert decision.reason
        else:
            assert decision.evidence
            assert decision.evidence["n"] if "n" in decision.evidence else decision.evidence["n_after"] >= 0
            for part in (decision.facts, decision.evidence):
                assert json.loads(json.dumps(part)) == part


@MANY
@given(people())
def test_no_message_in_quiet_hours_and_none_arrives_in_them(one):
    """Local time decides, whatever the timezone; a slow queue lets a message expire before the night."""
    local = one.context.now.astimezone(ZoneInfo(one.context.timezone))
    outcome = draft(one.report, one.context, POLICY)
    if quiet(local.time(), *POLICY.quiet):
        assert not outcome.drafts
    for made in outcome.drafts:
        assert one.context.now < made.expires_at <= one.context.now + timedelta(days=1)
        last = (made.expires_at - timedelta(minutes=1)).astimezone(ZoneInfo(one.context.timezone))
        assert not quiet(last.time().replace(second=0, microsecond=0), *POLICY.quiet)


@MANY
@given(people())
def test_limits_are_kept(one):
    """At most n messages and n insights a local day, counting those told before; no kind within its cool-down."""
    zone = ZoneInfo(one.context.timezone)
    today = one.context.now.astimezone(zone).date()
    before = [t.kind for t in one.context.told if t.at.astimezone(zone).date() == today]
    new = [s.kind for s in sends(decide(one.report, one.context, POLICY))]
    if new:
        assert len(before) + len(new) <= POLICY.per_day
        assert sum(k not in REMINDERS for k in before + new) <= POLICY.insights_per_day or all(
            k in REMINDERS for k in new
        )
    for kind in new:
        ages = [one.context.now - t.at for t in one.context.told if t.kind == kind]
        assert all(age >= timedelta(days=POLICY.cooldown_days[kind]) for age in ages)


@MANY
@given(people())
def test_the_same_is_not_told_twice(one):
    """Right after a message, nothing of the same kind and subject is sent again."""
    first = sends(
        decide(
            one.report,
            one.context,
            replace(POLICY, cooldown_days=dict.fromkeys(POLICY.order, 0.0), per_day=9, insights_per_day=9),
        )
    )
    told = [Told(s.kind, s.subject, one.context.now, s.facts) for s in first]
    again = decide(
        one.report,
        replace(one.context, told=told, now=one.context.now + timedelta(minutes=1)),
        replace(POLICY, cooldown_days=dict.fromkeys(POLICY.order, 0.0), per_day=99, insights_per_day=99),
    )
    assert not {(s.kind, s.subject) for s in first} & {(s.kind, s.subject) for s in sends(again)}


@MANY
@given(people())
def test_every_text_is_whole_and_safe(one):
    """No template variable left, nothing unescaped, within Telegram's limit, no number that is none, in one language."""
    outcome = draft(one.report, one.context, POLICY)
    assert outcome.problems == ()
    for made in outcome.drafts:
        read = plain(made.text)
        assert not re.search(
            r"\{\{|\}\}|\{%|Undefined|\bnan\b|\binf\b|None", made.text.replace(one.context.label or "\0", "")
        )
        assert unescaped(made.text) == []
        assert len(read.encode("utf-16-le")) // 2 <= (1024 if made.chart else 4096)
        known = read.replace(one.context.label or "\0", "")
        assert bool(re.search("[а-яё]", known)) == (one.context.language == "ru")


@MANY
@given(people())
def test_nothing_is_said_of_a_level_below_the_minimum(one):
    """Too few answers or days: no insight about a level, whatever the report claims."""
    few = replace(one.report, n_answers=min(one.report.n_answers, POLICY.min_answers - 1))
    assert not [s for s in sends(decide(few, one.context, POLICY)) if s.kind in LEVEL_KINDS]


@MANY
@given(people())
def test_deciding_is_repeatable(one):
    """The same report and context give the same messages, ids and texts."""
    assert draft(one.report, one.context, POLICY) == draft(one.report, one.context, POLICY)


@MANY
@given(people())
def test_facts_are_finite(one):
    """What could not be estimated is not mentioned."""
    for send in sends(decide(one.report, one.context, POLICY)):
        for value in (*send.facts.values(), *send.evidence.values()):
            assert not isinstance(value, float) or math.isfinite(value)
