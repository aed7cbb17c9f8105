"""`moodflow push`: the history moves to another ClearML server."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.commands.errors import CommandError, ServiceError, SettingError

_NAMES = ("API_HOST", "FILES_HOST", "API_ACCESS_KEY", "API_SECRET_KEY")


def push(
    to: Annotated[
        Path, typer.Option(help="File of NAME=value lines that name the target: CLEARML_API_HOST and so on; mode 0600.")
    ],
    project: Annotated[str | None, typer.Option(help="Only this ClearML project and those below it.")] = None,
) -> None:
    """Copy ClearML's history to another server; interrupted, run it again and it goes on."""
    from clearml_utils.endpoint import Address, Endpoint
    from clearml_utils.errors import TrackingError
    from clearml_utils.push import Moved, Push

    source = Address(*_values({name: os.environ.get(name, "") for name in map("CLEARML_{}".format, _NAMES)}, "source"))
    target = Address(*_values(_read(to), str(to)))
    if source.api.rstrip("/") == target.api.rstrip("/"):
        raise SettingError(f"source and target are the same server, {source.api}: nothing was done")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        line = bar.add_task("reading", total=None)

        def tell(done: int, total: int, name: str) -> None:
            bar.update(line, completed=done, total=total, description=name[:40])

        try:
            moved: Moved = Push(Endpoint(source), Endpoint(target), project=project, tell=tell).run()
        except TrackingError as error:
            raise ServiceError(f"{error} Run the same command again: it goes on where it ended.") from error
    for what, number in sorted(moved.copied.items()):
        print(f"copied   {number} {what}")
    for what, number in sorted(moved.present.items()):
        print(f"present  {number} {what}")
    print(f"events   {dict(moved.events)}; every one read back and compared")
    print(f"files    {moved.files} ({moved.bytes / 2**20:.1f} MB), every one read back and compared")
    for task, why in moved.skipped.items():
        print(f"left out {task}: {why}")
    for url in moved.missing:
        print(f"missing  {url}: the source does not hold it")
    if moved.missing:
        raise CommandError(f"{len(moved.missing)} files the source names are not there; everything else was copied")


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise SettingError(f"{path} is missing: write CLEARML_API_HOST, CLEARML_FILES_HOST and the two keys into it")
    if path.stat().st_mode & 0o077:
        raise SettingError(f"{path} holds a secret and is open to others: chmod 600 {path}")
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string("[all]\n" + path.read_text())
    except configparser.Error as error:
        raise SettingError(f"{path}: expected NAME=value lines ({error})") from error
    return dict(parser["all"])


def _values(given: dict[str, str], where: str) -> list[str]:
    missing = [f"CLEARML_{name}" for name in _NAMES if not given.get(f"CLEARML_{name}")]
    if missing:
        raise SettingError(f"{where} lacks {', '.join(missing)}")
    return [given[f"CLEARML_{name}"].strip().strip('"') for name in _NAMES]
