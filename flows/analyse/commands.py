"""`moodflow indices`, and how commands open a study."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import psutil
import typer
from rich.console import Console

from flows.analyse.errors import AnalysisError, StudyError
from flows.analyse.frame import Frame
from flows.analyse.panel import Panel, panel
from flows.analyse.study import read_frame
from flows.clock import SystemClock

Target = Annotated[str, typer.Option(help="Column to analyse.")]
Scale = Annotated[
    tuple[float, float] | None, typer.Option(help="Lowest and highest possible value; guessed without it.")
]
err = Console(stderr=True)


@contextmanager
def complain() -> Iterator[None]:
    """Print what is wrong with data or a file and leave with exit code 2."""
    try:
        yield
    except (AnalysisError, OSError) as error:
        err.print(f"moodflow: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None


LARGE = 5_000_000
"""Rows of a file from which only the target and its items are read, found in its first rows."""

HEAD = 16 << 20
"""Bytes of a large file from which the target's items are found."""

ROW = 350
"""Bytes a row may take while its file is read and indices are computed: 240 measured with files of 1 and 8 million."""


def open_study(
    file: Path, target: str, items: str | None, scale: tuple[float, float] | None, row: int = ROW
) -> tuple[Frame, Panel]:
    """Read a study; what was wrong in it goes to stderr.

    `row` is what a row takes in memory, in bytes.

    Raises
    ------
    StudyError
        The file needs more memory than is free.
    """
    names = tuple(n.strip() for n in items.split(",") if n.strip()) if items else None
    # times are local: wherever the study was, its answers are not later than the latest place on Earth has it now
    now = SystemClock().now().replace(tzinfo=None) + timedelta(hours=14)
    with file.open("rb") as source:
        only = None
        if _enough_room(source, file, row) > LARGE:
            source.seek(0)
            head = io.BytesIO(source.read(HEAD).rpartition(b"\n")[0])
            only = read_frame(head, str(file), target=target, items=names, scale=scale).schema.target(target).items
        frame = read_frame(source, str(file), target=target, items=names, scale=scale, only=only, now=now)
    for rule, rows, action, example in frame.quality.itertuples(index=False):
        where = f" (first: {example})" if example else ""
        err.print(f"{file}: {rule}: {rows} rows, {action}{where}", markup=False, soft_wrap=True)
    return frame, panel(frame)


def _enough_room(source: BinaryIO, file: Path, row: int) -> int:
    """Rows of a file by the length of its first ones, if there is memory enough for them."""
    start = source.read(1 << 16)
    rows = int(file.stat().st_size / max(len(start), 1) * max(start.count(b"\n"), 1))
    free = psutil.virtual_memory().available
    if rows > LARGE and rows * row > free:
        raise StudyError(
            f"{file}: about {rows / 1e6:.0f} million rows need about {rows * row / 2**30:.0f} GB of memory, and "
            f"{free / 2**30:.0f} GB are free; part the file by people and run each part, or use a larger machine"
        )
    return rows


def indices(
    file: Annotated[Path, typer.Argument(help="A study as CSV.")],
    target: Target = "na",
    items: Annotated[str | None, typer.Option(help="Items of the differentiation, parted by commas.")] = None,
    scale: Scale = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the table; the screen without it.")] = None,
) -> None:
    """Indices of state dynamics for every person of a study."""
    from flows.analyse.indices import indices as compute  # noqa: PLC0415 - a module of the same name

    with complain():
        frame, beeps = open_study(file, target, items, scale)
        made_of = list(frame.schema.target(target).items)
        table = compute(beeps, frame.data[made_of].to_numpy(dtype=float))
        if out is None:
            table.to_csv(sys.stdout, index=False)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            table.to_csv(out, index=False)
