"""`moodflow`, the command line. Heavy imports wait until a command needs them."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows import settings as product
from flows.commands import stack as stacks
from flows.commands.errors import CommandError

# commands of other parts, imported when called: name -> a function or a Typer app
ELSEWHERE = {
    "people": "flows.commands.research:people",
    "export": "flows.commands.research:export",
    "study": "flows.commands.research:study_app",
    "why": "flows.commands.messages:why",
    "preview": "flows.commands.messages:preview",
    "policy": "flows.commands.messages:policy_app",
    "indices": "flows.analyse.commands:indices",
    "backtest": "flows.forecast.commands:backtest",
    "models": "flows.commands.models:models",
    "dataset": "flows.commands.dataset:dataset",
    "compare": "flows.commands.compare:compare",
    "dashboards": "flows.commands.dashboards:dashboards",
    "report": "flows.commands.report:report",
    "screenshots": "flows.commands.screenshots:screenshots",
    "push": "flows.commands.push:push",
    "deploy": "flows.commands.deploy:deploy",
    "backup": "flows.commands.backup:backup",
    "restore": "flows.commands.backup:restore",
    "health": "flows.commands.health:health",
    "metrics": "flows.commands.health:metrics",
}


_USAGE: Any = typer.BadParameter.__mro__[1]  # typer carries a click of its own and names this class nowhere


class Commands(typer.core.TyperGroup):
    """The commands of this file, and those of other parts."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name every command."""
        return [*super().list_commands(ctx), *ELSEWHERE]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the command that is called."""
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = ELSEWHERE[cmd_name].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(cmd_name)(found)
            found = alone
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
out = Console()

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Webapp = Annotated[Path | None, typer.Option(help="A build of the official ClearML web app to serve.")]


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="A study to replay; simulated respondents without it.")] = None,
    persons: Annotated[int | None, typer.Option(min=1, help="How many people of it.")] = None,
    days: Annotated[int, typer.Option(min=3, help="Days of a simulated study.")] = 14,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    webapp: Webapp = None,
) -> None:
    """Run the whole path once: a study through Telegram, the Sheet, analysis and back."""
    from flows.commands.demo import run

    run(product.load(), data, persons=persons, days=days, keep=keep, webapp=webapp, console=out)


@app.command()
def up(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C.")] = False,
    webapp: Webapp = None,
    clearml_api_port: int = stacks.Ports.clearml_api,
    clearml_files_port: int = stacks.Ports.clearml_files,
    clearml_web_port: int = stacks.Ports.clearml_web,
    telegram_port: int = stacks.Ports.telegram,
    sheets_port: int = stacks.Ports.sheets,
    prefect_port: int = stacks.Ports.prefect,
) -> None:
    """Start the local stack, the bot and a worker, and deploy the flows."""
    from flows.commands.updown import up as start

    ports = stacks.Ports(
        clearml_api_port, clearml_files_port, clearml_web_port, telegram_port, sheets_port, prefect_port
    )
    start(product.load(), ports, foreground=foreground, webapp=webapp, console=out)


@app.command()
def down() -> None:
    """Stop the local stack."""
    from flows.commands.updown import down as stop

    stop(product.load(), console=out)


@app.command()
def status(as_json: Json = False) -> None:
    """Show what runs and what it holds."""
    from flows.commands.updown import status as show

    raise typer.Exit(show(product.load(), as_json=as_json, console=out))


@app.command()
def replay(
    data: Annotated[Path, typer.Argument(help="A study's CSV.")],
    persons: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Replay a study as respondents of the running stack, through the Telegram wire."""
    from flows.commands.demo import replay_into_running

    replay_into_running(product.load(), data, persons=persons, console=out)


@app.command()
def doctor(
    live: Annotated[bool, typer.Option("--live", help="Also ask the configured services.")] = False,
    as_json: Json = False,
) -> None:
    """Name what is missing on this machine, and how to get it."""
    from flows.commands.doctor import examine

    findings = examine(product.load(), live=live)
    if as_json:
        print(json.dumps([vars(f) for f in findings], indent=2))
    else:
        table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
        for f in findings:
            table.add_row(
                "ok" if f.ok else ("MISSING" if f.needed else "note"), f.what, f.found, "" if f.ok else f.remedy
            )
        out.print(table)
    raise typer.Exit(0 if all(f.ok or not f.needed for f in findings) else 1)


def spread(arguments: Sequence[str], option: str) -> list[str]:
    """Let an option take several values in a row: `--train A B` as `--train A --train B`."""
    out: list[str] = []
    taking = False
    for argument in arguments:
        if argument.startswith("-"):
            taking = argument == option
            out.append(argument)
        elif taking and out[-1] != option:
            out += [option, argument]
        else:
            out.append(argument)
    return out


def main() -> None:
    """Run the command line; a known error is one text, not a traceback."""
    # a shell that starts it in the background has it ignore Ctrl-C; an explicit SIGINT shall stop it all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        settings = product.load()
        stacks.adopt(settings.home)
        os.environ.setdefault("CLEARML_UTILS_PROJECT", settings.project)
        sys.exit(app(spread(sys.argv[1:], "--train"), standalone_mode=False) or 0)
    except CommandError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(error.code)
    except _USAGE as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        Console(stderr=True).print("stopped")
        sys.exit(130)


if __name__ == "__main__":
    main()
