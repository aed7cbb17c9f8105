"""`moodflow compare`: experiments, or versions of a model, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import settings as product
from flows.commands.errors import SettingError

if TYPE_CHECKING:
    from clearml_utils import Comparison


def compare(
    experiments: Annotated[list[str] | None, typer.Argument(help="Ids of ClearML tasks.")] = None,
    model: Annotated[str | None, typer.Option(help="Versions of this model instead.")] = None,
    versions: Annotated[list[int] | None, typer.Option("--version", help="Which of them; all by default.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the table and bars here.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep the comparison as a ClearML task.")] = False,  # noqa: FBT002 - an option
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,  # noqa: FBT002 - an option
) -> None:
    """Compare experiments, or model versions: metrics with their distance from the first, and what differs."""
    from clearml_utils import TrackingError, compare_experiments, compare_models

    project = product.load().project
    if not experiments and model is None:
        raise SettingError("name two experiments by their ClearML ids, or a model: moodflow compare --model NAME")
    try:
        found = compare_models(model, project, versions) if model else compare_experiments(experiments or [])
        kept = found.record(project) if record else None
        link = None if model else deep_link(experiments or [])
    except TrackingError as error:
        raise SettingError(str(error)) from error
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        found.write_html(html)
    said = found.as_dict() | {"deltas": deltas(found), "page": link, "task": kept}
    print(json.dumps(said, indent=2)) if as_json else _show(found, said)


def deltas(found: Comparison) -> dict[str, dict[str, float]]:
    """Distance of every metric from the first row's: `{metric: {row: distance}}`; rows without it left out."""
    first, *rest = found.rows
    base = found.metrics[first]
    return {
        name: {row: found.metrics[row][name] - base[name] for row in rest if name in found.metrics[row]}
        for name in found.metric_names
        if name in base
    }


def deep_link(experiments: list[str]) -> str:
    """Address of the same comparison in ClearML's web app."""
    from clearml.backend_api import Session

    return f"{Session.get_app_server_host().rstrip('/')}/projects/*/compare-experiments;ids={','.join(experiments)}"


def _show(found: Comparison, said: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    out = Console()
    table = Table("", *found.rows, title=found.title, title_justify="left")
    for name in found.metric_names:
        table.add_row(name, *(_number(found, row, name) for row in found.rows))
    for name in found.differ:
        table.add_row(f"[dim]{name}[/]", *(found.facts[row].get(name, "") for row in found.rows))
    out.print(table)
    for what in ("page", "task"):
        if said[what]:
            out.print(f"{what}: {said[what]}", soft_wrap=True)


def _number(found: Comparison, row: str, name: str) -> str:
    value = found.metrics[row].get(name)
    if value is None:
        return ""
    base = found.metrics[found.rows[0]].get(name)
    low, high = (found.metrics[row].get(f"{name}_{end}") for end in ("low", "high"))
    text = f"{value:.6g}" + (f" [{low:.4g}, {high:.4g}]" if low is not None and high is not None else "")
    return text if base is None or row == found.rows[0] else f"{text} ({value - base:+.4g})"
