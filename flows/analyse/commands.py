"""`moodflow indices`, and how commands open a study."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.analyse.errors import AnalysisError
from flows.analyse.frame import Frame
from flows.analyse.panel import Panel, panel
from flows.analyse.study import read_frame

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


def open_study(
    file: Path, target: str, items: str | None, scale: tuple[float, float] | None, *, everything: bool = True
) -> tuple[Frame, Panel]:
    """Read a study; what was wrong in it goes to stderr."""
    names = tuple(n.strip() for n in items.split(",") if n.strip()) if items else None
    with file.open("rb") as source:
        frame = read_frame(
            source, str(file), target=target, items=names, scale=scale, only=None if everything else names or ()
        )
    for rule, rows, action, example in frame.quality.itertuples(index=False):
        where = f" (first: {example})" if example else ""
        err.print(f"{file}: {rule}: {rows} rows, {action}{where}", markup=False, soft_wrap=True)
    return frame, panel(frame)


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
