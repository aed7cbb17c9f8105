"""Commands about messages: why one was sent, what would be sent, and which policies decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows import settings as product
from flows.clock import SharedClock
from flows.commands.errors import CommandError
from flows.notify.context import Told
from flows.notify.policy import REMINDERS, Policy
from flows.notify.reproduce import insight_again, reminder_again
from flows.notify.wording import plain
from flows.store import MessageRecord, Store, StoreError

out = Console()
policy_app = typer.Typer(no_args_is_help=True, help="Which policy decides about messages.")


def why(
    message_id: Annotated[
        str | None, typer.Argument(help="Id, as in the Sheet's messages page; the newest insight by default.")
    ] = None,
) -> None:
    """Show what a message came from, and write it again from the private snapshot."""
    settings = product.load()
    with Store.open(settings.database) as store:
        record = store.messages.get(message_id) if message_id else _newest(store)
        if record is None:
            _gone(store, message_id or "")
            return
        out.print(_chain(store, record))
        out.print(plain(record.text), markup=False, highlight=False)
        out.print(f"\n{_verdict(store, record, settings.project)}", markup=False, highlight=False, soft_wrap=True)


def _newest(store: Store) -> MessageRecord:
    """Find the insight that was decided last, or any message where there is none.

    Raises
    ------
    CommandError
        No message was written yet.
    """
    found = store.messages.all()
    if not found:
        raise CommandError("no message was written yet: run a cycle first")
    return max(found, key=lambda message: (message.kind == "insight", message.created_at))


def _gone(store: Store, message_id: str) -> None:
    """Nothing is kept of a message to somebody who was deleted but that it went out."""
    if not store.ledger.of(message_id):
        raise CommandError(f"no message {message_id!r}: ids are on the messages page of the Sheet")
    out.print(
        f"{message_id} went to a person who has been deleted since. Nothing more is kept about it.", soft_wrap=True
    )


def _chain(store: Store, record: MessageRecord) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    queued = store.outbox.get(record.message_id)
    policy = store.facts.get(f"policy:{record.policy_version}")
    rows: dict[str, Any] = {
        "message": record.message_id,
        "person": record.person,
        "kind": f"{record.kind}, in {record.language}",
        "decided at": record.created_at.isoformat(),
        "delivery": queued.state if queued else "as a prompt's reminder",
        "policy": f"{record.policy_id} version {record.policy_version}"
        + (f" ({policy['policy']['variant']})" if policy else ""),
        "model": f"{record.model_id} version {record.model_version}" if record.model_id else "none",
        "data": f"{record.data_hash}, target {record.evidence.get('target')}",
        "survey": record.evidence.get("survey_version"),
        "flow run": record.flow_run_id,
        "task run": record.task_run_id,
        "ledger": "; ".join(f"{event} {at.isoformat()}" for event, at, _ in store.ledger.of(record.message_id)),
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


def _verdict(store: Store, record: MessageRecord, project: str) -> str:
    try:
        text = again(store, record, project)
    except StoreError as error:
        return f"Cannot be reproduced: {error}"
    if text is None:
        return "NOT REPRODUCED: from the same data this policy would not say it."
    if text != record.text:
        return f"NOT REPRODUCED: the text comes out different.\n{text}"
    return f"Reproduced bit by bit ({len(text.encode())} bytes)."


def again(store: Store, record: MessageRecord, project: str) -> str | None:
    """Text of a kept message, written again from the snapshot it came from.

    Raises
    ------
    StoreError
        The snapshot, the prompts or the definition of its survey are gone.
    """
    from flows.analyse.reports import reports_of
    from flows.notify.flow import policy_of, told_before

    policy: Policy = policy_of(store, project, record.policy_version).policy
    told = told_before(store, record.person, record.created_at, policy)
    if record.kind in REMINDERS:
        return _reminder(store, record, policy, told)
    survey = store.surveys.by_version(str(record.evidence["survey_version"]))
    data = store.snapshots.load(record.data_hash)
    target = str(record.evidence["target"])
    (report,) = reports_of(data, survey, target, record.data_hash, [record.person]) or (None,)
    if report is None:
        raise StoreError(f"snapshot {record.data_hash} holds no rows of {record.person}: they were erased")
    return insight_again(
        report, record.kind, record.language, record.evidence, policy, told=told, now=record.created_at
    )


def _reminder(store: Store, record: MessageRecord, policy: Policy, told: Sequence[Told]) -> str | None:
    prompts = store.prompts.of(record.person)
    times = {p.prompt_id: (p.sent_at, p.expires_at) for p in prompts if p.sent_at is not None}
    if gone := [ident for ident, *_ in record.evidence["prompts"] if ident not in times]:
        raise StoreError(f"{len(gone)} of the prompts it was decided upon are not in the store any more")
    kept = record.evidence
    return reminder_again(
        record.person, record.kind, record.language, kept, policy, times=times, told=told, now=record.created_at
    )


def preview() -> None:
    """Render the messages of a cycle to a page, sending nothing."""
    from flows.analyse.flow import analyse
    from flows.forecast.flow import forecast
    from flows.notify.flow import notify

    analysis: Any = analyse()
    ahead: Any = forecast(analysis)
    notify(analysis, ahead, dry_run=True)
    out.print(f"{product.load().home / 'preview' / 'messages.html'}", soft_wrap=True)


@policy_app.command("list")
def listed() -> None:
    """List the policies of the registry, and the comparison that runs."""
    from clearml_utils import registry
    from flows.notify.flow import COMPARISON
    from flows.notify.policy import NAME

    settings = product.load()
    table = Table("version", "variant", "stage", "digest", box=None, pad_edge=False)
    for version in registry.versions(NAME, settings.project):
        said = version.metadata
        table.add_row(str(version.version), said.get("variant"), version.stage, said.get("digest"))
    out.print(table)
    with Store.open(settings.database) as store:
        running = store.facts.get(COMPARISON)
    out.print(f"comparison {running['name']}: {', '.join(running['arms'])}" if running else "no comparison runs")


@policy_app.command()
def write(path: Annotated[Path, typer.Argument(help="Where to write it.")]) -> None:
    """Write the shipped policy to a file, to be changed and registered as a variant."""
    path.write_text(Policy().to_json(), encoding="utf-8")


@policy_app.command()
def register(path: Annotated[Path, typer.Argument(help="A policy as `moodflow policy write` writes it.")]) -> None:
    """Check a policy, its templates included, and register it as a new version."""
    from flows.notify.check import problems
    from flows.notify.flow import register as store_policy

    try:
        policy = Policy.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise CommandError(f"{path}: {error}") from error
    if found := problems(policy):
        raise CommandError(f"{path}: " + "; ".join(found))
    made = store_policy(policy, product.load().project)
    out.print(f"version {made.version} ({policy.variant})")


@policy_app.command()
def compare(
    name: Annotated[str, typer.Argument(help="Name of the comparison; another name draws people anew.")],
    versions: Annotated[list[str], typer.Argument(help="Registry versions, the champion first.")],
) -> None:
    """Draw every person one of several versions from now on."""
    from clearml_utils import registry
    from flows.notify.flow import COMPARISON
    from flows.notify.policy import NAME

    settings = product.load()
    known = {str(v.version) for v in registry.versions(NAME, settings.project)}
    if len(set(versions)) < 2 or set(versions) - known:
        raise CommandError(f"a comparison needs two or more registered versions; there are {', '.join(sorted(known))}")
    with Store.open(settings.database) as store:
        since = SharedClock(settings.home).now().isoformat()
        store.facts.set(COMPARISON, {"name": name, "arms": versions, "since": since})


@policy_app.command()
def compared(
    promote: Annotated[bool, typer.Option("--promote", help="Promote a challenger that has earned it.")] = False,  # noqa: FBT002 - a switch
) -> None:
    """Report the running comparison as experiments in ClearML."""
    from flows.analyse.flow import analyse
    from flows.notify.flow import compare_policies

    analysis: Any = analyse()
    verdicts: Any = compare_policies(analysis, promote=promote)
    for version, why_not in verdicts.items():
        out.print(f"version {version}: {why_not}")


@policy_app.command()
def rollback(reason: str = "rollback") -> None:
    """Make the champion before the present one champion again."""
    from clearml_utils import registry
    from flows.notify.policy import NAME

    back = registry.rollback(NAME, product.load().project, reason)
    out.print(f"champion: version {back.version}")
