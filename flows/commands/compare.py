"""`moodflow compare` and `moodflow models compare`: experiments, or versions of a model, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import settings as product
from flows.commands.errors import ServiceError, SettingError

if TYPE_CHECKING:
    from clearml_utils import Comparison

Html = Annotated[Path | None, typer.Option(help="Write a page with numbers, curves and what differs here.")]
Record = Annotated[bool, typer.Option("--record", help="Keep the comparison as a ClearML task.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARKS = 24  # characters of a curve in the terminal


def compare(
    experiments: Annotated[list[str] | None, typer.Argument(help="Ids of ClearML tasks.")] = None,
    model: Annotated[str | None, typer.Option(help="Versions of this model instead.")] = None,
    versions: Annotated[list[int] | None, typer.Option("--version", help="Which of them; all by default.")] = None,
    named: Annotated[str | None, typer.Option(help="Instead of ids: the newest whose names begin so.")] = None,
    newest: Annotated[int, typer.Option(min=2, help="How many of these.")] = 3,
    html: Html = None,
    record: Record = False,  # noqa: FBT002 - an option
    as_json: Json = False,  # noqa: FBT002 - an option
) -> None:
    """Compare experiments, or model versions: numbers with their distance from the first, curves, what differs.

    Exit status: 0 compared, 2 something named is not there, 3 ClearML does not answer.
    """
    if model is None and named is None and len(set(experiments or [])) < 2:
        raise SettingError(
            "name two experiments by their ClearML ids, or what their names begin with: moodflow compare --named NAME,"
            " or a model: moodflow compare --model NAME"
        )
    with _told():
        chosen = _newest(named, newest) if named else experiments or []
    side_by_side(chosen, model, versions, html=html, record=record, as_json=as_json)


def _newest(named: str, count: int) -> list[str]:
    from clearml_utils import newest_experiments

    return newest_experiments(named, product.load().project, count)


def compare_versions(
    versions: Annotated[list[int] | None, typer.Argument(help="Numbers of versions; all by default.")] = None,
    model: Annotated[str | None, typer.Option(help="Name in the registry; the forecast model by default.")] = None,
    html: Html = None,
    record: Record = False,  # noqa: FBT002 - an option
    as_json: Json = False,  # noqa: FBT002 - an option
) -> None:
    """Compare versions of a model: numbers with their distance from the first, curves, what differs."""
    from flows.forecast.model import NAME

    side_by_side([], model or NAME, versions, html=html, record=record, as_json=as_json)


def side_by_side(
    experiments: Sequence[str],
    model: str | None,
    versions: Sequence[int] | None,
    *,
    html: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """Compare, and show it in every form that was asked for.

    Raises
    ------
    SettingError
        One of the compared is not there, or there are no credentials for ClearML.
    ServiceError
        ClearML does not answer.
    """
    from clearml_utils import compare_experiments, compare_models

    project = product.load().project
    with _told():
        found = compare_models(model, project, versions or None) if model else compare_experiments(experiments)
        kept = found.record(project) if record else None
        link = found.link(_web())
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        found.write_html(html, link)
    said = found.as_dict() | {"page": link, "task": kept}
    print(json.dumps(said, indent=2)) if as_json else show(found, said)


@contextmanager
def _told() -> Iterator[None]:
    """Tell what ClearML said as an error of the command line."""
    from clearml_utils import TrackingError, Unreachable

    try:
        yield
    except Unreachable as error:
        raise ServiceError(str(error)) from error
    except TrackingError as error:
        raise SettingError(str(error)) from error


def _web() -> str:
    from clearml.backend_api import Session

    return str(Session.get_app_server_host())


def show(found: Comparison, said: dict[str, Any]) -> None:
    """Print the comparison: numbers, curves, what differs, where more is to be seen."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Console()
    table = Table("", *found.rows, title=found.title, title_justify="left")
    for name in found.shown_metrics:
        table.add_row(name, *(number(found, row, name) for row in found.rows))
    for name, curves in found.curves.items():
        least, most = _span([y for _, values in curves.values() for y in values])
        drawn = (spark(curves[row][1], least, most) if row in curves else "" for row in found.rows)
        table.add_row(f"{name} by iteration", *drawn)
    for title, rows in found.sections.items():
        table.add_section()
        table.add_row(Text(f"{title} that differ", style="bold"))
        for name, values in rows.items():
            table.add_row(Text(name, style="dim"), *map(Text, values))
    out.print(table)
    for row, text in found.diffs.items():
        out.print(f"[bold]Source of {row}[/]", highlight=False)
        out.print(Text(text))
    for what in ("page", "task"):
        if said[what]:
            out.print(f"{what}: {said[what]}", soft_wrap=True)


def number(found: Comparison, row: str, name: str) -> str:
    """A number with its interval, and its distance from the first row's with the interval of that."""
    value = found.metrics[row].get(name)
    if value is None:
        return ""
    span, delta = found.interval(row, name), found.delta(row, name)
    text = f"{value:.6g}" + (f" \\[{span[0]:.4g}, {span[1]:.4g}]" if span else "")
    if delta is None:
        return text
    ends = "" if delta.low is None else f" \\[{delta.low:+.4g}, {delta.high:+.4g}]"
    return f"{text} ({delta.value:+.4g}{ends})"


def spark(values: Sequence[float], least: float, most: float) -> str:
    """Draw a curve in one line of text, on the scale that the curves beside it share.

    Examples
    --------
    >>> spark([0, 1, 2, 3], 0, 3)
    '▁▃▆█'
    """
    step = max(1.0, len(values) / _SPARKS)
    shown = [values[int(i * step)] for i in range(min(len(values), _SPARKS))]
    size = (most - least) or 1.0
    return "".join(_BLOCKS[min(7, int((v - least) / size * 7 + 0.5))] if math.isfinite(v) else " " for v in shown)


def _span(values: Sequence[float]) -> tuple[float, float]:
    finite = [v for v in values if math.isfinite(v)]
    return (min(finite), max(finite)) if finite else (0.0, 0.0)
