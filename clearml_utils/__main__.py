"""`python -m clearml_utils`: what has to be done outside a flow.

reconcile   settle what died silently
flush       deliver what dead processes left in the spool
status      what waits in the spool
compare     versions of a model, or experiments, side by side
versions    versions of a model
promote     make a version champion
rollback    make the champion before the present one champion again
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from clearml_utils import registry
from clearml_utils.compare import compare_experiments, compare_models
from clearml_utils.errors import RegistryError, TrackingError
from clearml_utils.options import Options
from clearml_utils.recorder import recorder
from clearml_utils.spool import waiting


def _reconcile(args: argparse.Namespace) -> dict[str, Any]:
    from clearml_utils.reconcile import reconcile  # noqa: PLC0415 - it imports Prefect's client

    report = reconcile(
        args.flow_run, stale_after=timedelta(minutes=args.stale_minutes), settle_prefect=not args.leave_prefect
    )
    return asdict(report)


def _flush(args: argparse.Namespace) -> dict[str, Any]:  # noqa: ARG001 - one signature for all commands
    rec = recorder()
    if not rec.on:
        return {"delivered": 0, "left": 0}
    adopted = rec.sender.adopt()
    rec.rest()
    return {"delivered": adopted, "left": waiting(rec.options.spool).total()}


def _status(args: argparse.Namespace) -> dict[str, Any]:  # noqa: ARG001 - one signature for all commands
    spool = Options.load().spool
    refused = spool / "refused.jsonl"
    return {
        "spool": str(spool),
        "waiting": waiting(spool).total() if spool.is_dir() else 0,
        "refused": len(refused.read_text().splitlines()) if refused.is_file() else 0,
    }


def _compare(args: argparse.Namespace) -> dict[str, Any]:
    found = compare_experiments(args.names) if args.experiments else compare_models(args.names[0], args.project)
    if args.html:
        found.write_html(args.html)
    if args.record:
        return {**found.as_dict(), "task": found.record(args.project)}
    return found.as_dict()


def _versions(args: argparse.Namespace) -> list[dict[str, Any]]:
    return [asdict(v) for v in registry.versions(args.name, args.project)]


def _promote(args: argparse.Namespace) -> dict[str, Any]:
    for version in registry.versions(args.name, args.project):
        if version.version == args.version:
            return asdict(registry.promote(version, args.reason))
    raise RegistryError(f"there is no version {args.version}", where=f"{args.project}/{args.name}")


def _rollback(args: argparse.Namespace) -> dict[str, Any]:
    return asdict(registry.rollback(args.name, args.project, args.reason))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clearml_utils", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    reconcile = commands.add_parser("reconcile", help="settle what died silently")
    reconcile.add_argument("--flow-run", help="only this flow run (Prefect id)")
    reconcile.add_argument(
        "--stale-minutes", type=float, default=10, help="silence after which another machine's run is dead"
    )
    reconcile.add_argument("--leave-prefect", action="store_true", help="do not tell Prefect about dead runs")
    reconcile.set_defaults(do=_reconcile)
    commands.add_parser("flush", help="deliver what dead processes left").set_defaults(do=_flush)
    commands.add_parser("status", help="what waits in the spool").set_defaults(do=_status)
    compare = commands.add_parser("compare", help="models or experiments side by side")
    compare.add_argument("names", nargs="+", help="a model's name, or ids of experiments")
    compare.add_argument("--project", default=Options.load().project)
    compare.add_argument("--experiments", action="store_true", help="the names are ids of ClearML tasks")
    compare.add_argument("--html", help="write a page with table and plots here")
    compare.add_argument("--record", action="store_true", help="store the comparison as a ClearML task")
    compare.set_defaults(do=_compare)
    for name, do in (("versions", _versions), ("promote", _promote), ("rollback", _rollback)):
        one = commands.add_parser(name)
        one.add_argument("name", help="the model's name")
        one.add_argument("--project", default=Options.load().project)
        if name == "promote":
            one.add_argument("version", type=int)
        if name != "versions":
            one.add_argument("--reason", default="by hand")
        one.set_defaults(do=do)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its result is JSON on stdout. Exit code 1 and one line on stderr where it failed."""
    args = _parser().parse_args(argv)
    do: Callable[[argparse.Namespace], Any] = args.do
    try:
        print(json.dumps(do(args), indent=2, default=str))
    except TrackingError as error:
        print(f"clearml_utils: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
