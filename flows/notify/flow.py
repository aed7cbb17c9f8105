"""Messages of one cycle: choose the policy, decide and write, keep with lineage, queue once each."""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run, task_run
from prefect.utilities.annotations import opaque

from clearml_utils import RegistryError, TrackingError, current_record, flow, registry, task
from flows import settings as product
from flows.analyse.report import Analysis, PersonReport
from flows.clock import SharedClock
from flows.forecast import Forecast
from flows.notify import comparison, preview
from flows.notify.chart import Painter
from flows.notify.context import Context, Told, Waiting
from flows.notify.deliver import Draft, Outcome, draft_each, payload
from flows.notify.policies import Comparison, InUse, Policies, arm
from flows.notify.policy import NAME, REMINDERS, Policy
from flows.notify.reports import nothing_known
from flows.notify.reproduce import seen_prompts
from flows.store import MessageRecord, Person, Prompt, Store

log = logging.getLogger(__name__)

PROMPT_MEMORY = timedelta(days=3)
"""How far back prompts matter to reminders."""

COMPARISON = "policy_comparison"
"""Fact under which the store keeps the running comparison."""


LOOK_EVERY = timedelta(days=7)
"""A comparison is reported as often as models are trained: every look is a chance to be wrong."""


@dataclass(frozen=True)
class Notified:
    """Counts of one cycle."""

    people: int
    sent: int
    by_kind: dict[str, int]
    problems: tuple[str, ...]


@flow(name="notify", flow_run_name="notify", capture="summary", validate_parameters=False)
def notify(analysis: Analysis, forecasts: Sequence[Forecast], dry_run: bool = False) -> Notified:  # noqa: FBT001, FBT002 - a deployment's parameter
    """Tell every active person what is worth telling now.

    Parameters
    ----------
    analysis, forecasts
        Of this cycle.
    dry_run
        Render every message to `preview/messages.html` in the state directory instead of sending it.
    """
    settings = product.load()
    now = SharedClock(settings.home).now()
    chosen: Any = choose_policies(settings.database, settings.project, now)
    policies = chosen.limited(settings.messages_per_day)
    outcomes: Any = write_messages(analysis, forecasts, policies, settings.database, now)
    if dry_run:
        page = render_preview(opaque(outcomes), settings.home / "preview" / "messages.html")
        log.info("messages of this cycle to review: %s", page)
        return _counted(outcomes, ())
    whole: Any = opaque(outcomes)  # or Prefect looks through every value of every person, twice a task
    sent: Any = deliver(whole, analysis, forecasts, policies, settings.database)
    if policies.comparison is not None and _look_is_due(settings.database, now):
        compare_policies(analysis, promote=True)
    return _counted(outcomes, sent)


@task(name="choose-policies", capture="summary")
def choose_policies(database: Path, project: str, now: datetime) -> Policies:
    """The champion of the registry and the arms of a running comparison; kept ones while ClearML is away."""
    with Store.open(database) as store:
        running = store.facts.get(COMPARISON)
        trial = Comparison(running["name"], tuple(running["arms"])) if running else None
        try:
            champion = _champion(store, project)
            arms = [policy_of(store, project, version) for version in (trial.arms if trial else ())]
        except TrackingError as error:
            log.warning("the policy registry cannot be asked (%s); the last known policies are used", error)
            return _kept(store, trial)
        store.facts.set("policy_champion", {"id": champion.id, "version": champion.version, "at": now.isoformat()})
    current_record().values({"policy_version": float(champion.version), "policy_arms": float(len(arms))})
    return Policies(champion, trial, tuple(arms))


@task(name="write-messages", capture="none", cache_policy=NO_CACHE)
def write_messages(
    analysis: Analysis,
    forecasts: Sequence[Forecast],
    policies: Policies,
    database: Path,
    now: datetime,
) -> tuple[Outcome, ...]:
    """Decide and write for every active person of the study; what cannot be written is said to the operator."""
    reports = {report.person: report for report in analysis.reports}
    ahead = {f.person: f for f in forecasts}
    with Store.open(database) as store:
        people = store.people.list(study=analysis.study, state="active")
        outcomes = draft_each(
            (
                reports.get(p.person) or nothing_known(p.person, analysis.target, p.timezone, analysis.data_hash),
                context_of(store, p, ahead.get(p.person), policies.of(p.person).policy, now),
                policies.of(p.person).policy,
            )
            for p in people
        )
    _record(outcomes)
    return outcomes


@task(name="deliver", capture="summary", cache_policy=NO_CACHE)
def deliver(
    outcomes: Sequence[Outcome],
    analysis: Analysis,
    forecasts: Sequence[Forecast],
    policies: Policies,
    database: Path,
) -> tuple[str, ...]:
    """Keep each message with its lineage and queue it, both or neither; ids of those that were new."""
    ahead = {f.person: f for f in forecasts}
    reports = {report.person: report for report in analysis.reports}
    painter, queued = Painter(), []
    with Store.open(database) as store:
        for some in _batches([d for outcome in outcomes for d in outcome.drafts]):
            ready = [payload(made, painter) for made in some]  # drawn before anything is locked
            with store.transaction():  # the bot writes too, and a commit waits for the disk
                for made, sent in zip(some, ready, strict=True):
                    if not store.outbox.enqueue(
                        made.outbox_key, made.person, made.category, sent, made.created_at, made.expires_at
                    ):
                        continue
                    mine = ahead.get(made.person)
                    known = mine or next(iter(forecasts), None)
                    store.messages.record(
                        _lineage(made, policies.of(made.person), mine, known, reports.get(made.person), analysis)
                    )
                    store.ledger.add(made.message_id, "message_queued", made.created_at, made.send.kind)
                    queued.append(made.message_id)
    current_record().values({"messages_queued": float(len(queued))})
    return tuple(queued)


def _batches(drafts: Sequence[Draft], size: int = 32) -> Iterator[Sequence[Draft]]:
    for start in range(0, len(drafts), size):
        yield drafts[start : start + size]


@task(name="render-preview", capture="none", cache_policy=NO_CACHE)
def render_preview(outcomes: Sequence[Outcome], page: Path) -> Path:
    """Write every message of the cycle to one HTML page."""
    page.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    page.write_text(preview.page(outcomes, Painter()), encoding="utf-8")
    page.chmod(0o600)
    return page


def _lineage(
    made: Draft,
    used: InUse,
    ahead: Forecast | None,
    champion: Forecast | None,
    report: PersonReport | None,
    analysis: Analysis,
) -> MessageRecord:
    """Where a message came from; its model is the champion of the cycle, whatever the message is about."""
    return MessageRecord(
        message_id=made.message_id,
        person=made.person,
        kind=made.send.kind,
        language=made.language,
        text=made.text,
        facts=made.send.facts,
        evidence={
            **made.send.evidence,
            "subject": made.send.subject,
            "target": analysis.target,
            "survey_version": analysis.survey_version,
            "timezone": made.timezone,
            "forecast": _plain(ahead) if ahead else None,
            "per_day": used.policy.per_day,
            **({"prompts": seen_prompts(made.seen.context.prompts)} if made.category == "reminder" else {}),
            "n_prompts": report.n_prompts if report else None,
            "compliance": report.compliance if report else None,
        },
        policy_id=used.id,
        policy_version=used.version,
        model_id=champion.model_id if champion else None,
        model_version=str(champion.model_version) if champion else None,
        data_hash=analysis.data_hash,
        flow_run_id=str(flow_run.id or ""),
        task_run_id=str(task_run.id or ""),
        created_at=made.created_at,
    )


def _plain(ahead: Forecast) -> dict[str, object]:
    return {**asdict(ahead), "at": ahead.at.isoformat()}


def context_of(store: Store, person: Person, ahead: Forecast | None, policy: Policy, now: datetime) -> Context:
    """What the store knows that a decision may look at."""
    return Context(
        now=now,
        language=person.language,
        timezone=person.timezone,
        told=told_before(store, person.person, now, policy),
        prompts=[w for p in store.prompts.of(person.person, now - PROMPT_MEMORY) if (w := _waiting(p))],
        forecast=ahead,
    )


def told_before(store: Store, person: str, now: datetime, policy: Policy) -> list[Told]:
    """Messages to a person before `now`, as far back as the policy remembers; what came too late was not told."""
    found = store.messages.recent(person, now - timedelta(days=policy.repeat_days))
    missed = store.outbox.missed(person, now)
    return [
        Told(m.kind, str(m.evidence.get("subject", "")), m.created_at, m.facts)
        for m in found
        if m.created_at < now and m.message_id not in missed
    ]


def _waiting(prompt: Prompt) -> Waiting | None:
    """A prompt that was delivered; others are nobody's to answer."""
    if prompt.sent_at is None or prompt.state in {"cancelled", "refused", "skipped"}:
        return None
    return Waiting(
        prompt.prompt_id,
        prompt.sent_at,
        prompt.expires_at,
        answered=prompt.state in {"answered", "empty"},
        open=prompt.open,
    )


def _champion(store: Store, project: str) -> InUse:
    """Champion of the registry; the shipped policy becomes it where there is none."""
    found = registry.champion(NAME, project)
    if found is None:
        found = registry.promote(register(Policy(), project), "the policy Moodflow ships")
    return policy_of(store, project, str(found.version), found)


def register(policy: Policy, project: str) -> registry.ModelVersion:
    """Store a policy as a new version in the registry."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{policy.variant}.json"
        path.write_text(policy.to_json(), encoding="utf-8")
        metadata = {"variant": policy.variant, "digest": policy.digest, "order": ", ".join(policy.order)}
        return registry.register(NAME, path, project=project, metadata=metadata, tags=["policy"], framework="Moodflow")


def policy_of(store: Store, project: str, version: str, found: registry.ModelVersion | None = None) -> InUse:
    """A version from the private store, where it was kept, or from the registry: versions never change."""
    kept = store.facts.get(f"policy:{version}")
    if kept is None:
        found = found or next(v for v in registry.versions(NAME, project) if str(v.version) == version)
        text = registry.download(found).read_text(encoding="utf-8")
        kept = {"id": found.id, "version": str(found.version), "policy": json.loads(text)}
        store.facts.set(f"policy:{version}", kept)
    return InUse(Policy.from_json(json.dumps(kept["policy"])), kept["id"], kept["version"])


def _kept(store: Store, trial: Comparison | None) -> Policies:
    """The policies of the last cycle that could ask the registry; the shipped one, unregistered, before the first."""
    last = store.facts.get("policy_champion")
    if last is None:
        return Policies(InUse(Policy(), "unregistered", "0"))
    versions = (last["version"], *(trial.arms if trial else ()))
    kept = [store.facts.get(f"policy:{version}") for version in versions]
    used = [InUse(Policy.from_json(json.dumps(k["policy"])), k["id"], k["version"]) for k in kept if k]
    return Policies(used[0], trial, tuple(used[1:]))


def _record(outcomes: Sequence[Outcome]) -> None:
    """Counts for people who watch; problems by their text, which names no answer."""
    record = current_record()
    skips = Counter((skip.kind, skip.reason) for outcome in outcomes for skip in outcome.skips)
    kinds = Counter(d.send.kind for outcome in outcomes for d in outcome.drafts)
    rows = [["kind", "reason", "people"], *([kind, reason, n] for (kind, reason), n in sorted(skips.items()))]
    record.table("Messages not sent, and why", rows)
    record.values({f"messages_{kind}": float(n) for kind, n in sorted(kinds.items())})
    for outcome in outcomes:
        for problem in outcome.problems:
            log.warning("message not written: %s", problem)
            record.text(f"message not written: {problem}")


def _counted(outcomes: Sequence[Outcome], sent: Sequence[str]) -> Notified:
    queued = set(sent)
    kinds = Counter(d.send.kind for outcome in outcomes for d in outcome.drafts if d.message_id in queued)
    problems = tuple(problem for outcome in outcomes for problem in outcome.problems)
    return Notified(len(outcomes), len(queued), dict(sorted(kinds.items())), problems)


def _look_is_due(database: Path, now: datetime) -> bool:
    """Whether a comparison has run for a week since it began or was last looked at."""
    with Store.open(database) as store:
        running = store.facts.get(COMPARISON)
        if running is None or now - datetime.fromisoformat(running.get("looked", running["since"])) < LOOK_EVERY:
            return False
        store.facts.set(COMPARISON, {**running, "looked": now.isoformat()})
        return True


@flow(name="compare-policies", capture="summary", validate_parameters=False)
def compare_policies(analysis: Analysis, promote: bool = False) -> dict[str, object]:  # noqa: FBT001, FBT002 - a deployment's parameter
    """Report the running comparison, an experiment per arm; promote a challenger that has earned it.

    Parameters
    ----------
    analysis
        Of the study: its reports hold the answers.
    promote
        Make the best challenger that passes `comparison.verdict` champion, and end the comparison.
    """
    settings = product.load()
    with Store.open(settings.database) as store:
        running = store.facts.get(COMPARISON)
        if running is None:
            raise ValueError("no comparison runs: start one with `moodflow policy compare NAME VERSION VERSION`")
        people = _lives(store, analysis, Comparison(running["name"], tuple(running["arms"])), running["since"])
    sides = {report.polarity for report in analysis.reports} or {"negative"}
    found = [comparison.measured(lived, next(iter(sides))) for lived in people]
    for version in running["arms"]:
        _: Any = measure_arm(version, [m for m in found if m.arm == version])
    champion, *challengers = running["arms"]
    span = max((r.scale[1] - r.scale[0] for r in analysis.reports), default=1.0)
    verdicts: dict[str, object] = {}
    for version in challengers:
        differences = comparison.compared(found, champion, version)
        _show(version, differences)
        earned, why = comparison.verdict(differences, span)
        verdicts[version] = why
        if earned and promote:
            promote_policy(settings.project, version, why, expected=champion)
            with Store.open(settings.database) as store:
                store.facts.set(COMPARISON, None)
            break
    return verdicts


@task(name="policy-arm", capture="summary", task_type="testing")
def measure_arm(version: str, people: Sequence[comparison.Measured]) -> None:
    """One arm as an experiment: its means beside each other in ClearML's comparison of tasks."""
    numbers: dict[str, float] = {"people": float(len(people)), "policy_version": float(version)}
    for measure in comparison.MEASURES:
        known = [value for p in people if (value := getattr(p, measure)) is not None]
        numbers |= {measure: fmean(known), f"{measure}_people": float(len(known))} if known else {}
    current_record().values(numbers)


def promote_policy(project: str, version: str, reason: str, expected: str | None = None) -> registry.ModelVersion:
    """Make a version champion, provided `expected` is champion still.

    Raises
    ------
    RegistryError
        Another one is champion by now, or there is no such version.
    """
    known = {str(v.version): v for v in registry.versions(NAME, project)}
    if version not in known:
        raise RegistryError(f"no policy version {version}", where=NAME, hint=f"There are {', '.join(known) or 'none'}.")
    return registry.promote(known[version], reason, expected=known[expected] if expected else None)


def _lives(store: Store, analysis: Analysis, running: Comparison, since: str) -> list[comparison.Lived]:
    begun = datetime.fromisoformat(since)
    answered = {r.prompt_id: r.answered_at for r in store.responses.of(study=analysis.study)}
    lives = []
    for report in analysis.reports:
        prompts = [p for p in store.prompts.of(report.person, begun) if p.sent_at is not None]
        told = [m.created_at for m in store.messages.recent(report.person, begun) if m.kind not in REMINDERS]
        lives.append(
            comparison.Lived(
                report.person,
                arm(report.person, running),
                told,
                [(p.sent_at, answered.get(p.prompt_id)) for p in prompts if p.sent_at],
                [(at, value) for at, value in report.series if at >= begun - timedelta(days=1)],
            )
        )
    return lives


def _show(version: str, differences: Sequence[comparison.Difference]) -> None:
    record = current_record()
    header = [
        "measure",
        "champion",
        "challenger",
        "difference",
        "low",
        "high",
        "people (champion)",
        "people (challenger)",
    ]
    rows = [list(asdict(d).values()) for d in differences]
    record.table(f"Policy version {version} against the champion", [header, *rows])
    known = [d for d in differences if math.isfinite(d.low)]
    record.values({f"{d.measure}_difference_v{version}": d.difference for d in known})
