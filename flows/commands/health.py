"""`moodflow health` and `moodflow metrics`: how the installation is, for people, for scripts and for Prometheus."""

from __future__ import annotations

import json
import signal
import threading
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows import settings as product


def health(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,  # noqa: FBT002 - typer's
    only: Annotated[
        list[str] | None, typer.Option(help="Judge by this kind of trouble alone (bot, worker, ...); may be repeated.")
    ] = None,
) -> None:
    """Look at everything once; exit 0 if nothing is wrong, 1 if something is."""
    from flows.commands.metrics import observe
    from flows.monitor.checks import problems

    seen = observe(product.load())
    found = [problem for problem in problems(seen) if not only or problem.key.partition(":")[0] in only]
    if as_json:
        print(json.dumps({"healthy": not found, "numbers": seen.numbers(), "problems": [vars(p) for p in found]}))
        raise typer.Exit(1 if found else 0)
    table = Table("what", "value", box=None, pad_edge=False)
    for name, value in seen.numbers().items():
        table.add_row(name.replace("_", " "), f"{value:g}")
    for problem in found:
        table.add_row(f"[red]{problem.key}[/]", f"{problem.what}; next: {problem.do}")
    Console().print(table)
    raise typer.Exit(1 if found else 0)


def metrics(
    port: Annotated[int | None, typer.Option(help="Serve /health and /metrics there instead of printing once.")] = None,
) -> None:
    """Print the numbers in Prometheus' text format, or serve them on loopback until Ctrl-C."""
    from flows.commands.metrics import observe, serve, text

    settings = product.load()
    if port is None:
        print(text(observe(settings)).decode(), end="")
        return
    asked = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.set())
    server = serve(lambda: observe(settings), port)
    print(
        json.dumps({"service": "metrics", "urls": {"health": f"http://127.0.0.1:{server.server_address[1]}/health"}}),
        flush=True,
    )
    asked.wait()
    server.shutdown()
