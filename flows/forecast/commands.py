"""`moodflow backtest` and `moodflow models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows.analyse.commands import Scale, Target, complain, open_study

err = Console(stderr=True)
out = Console()
models = typer.Typer(no_args_is_help=True, help="Versions of the forecast model in the registry.")

ROW = 1500
"""Bytes a row is reckoned to take in a backtest, with its features and the forecasts of every method."""


def backtest(
    file: Annotated[Path, typer.Argument(help="A study as CSV.")],
    target: Target = "na",
    items: Annotated[str | None, typer.Option(help="Items the target is the mean of, parted by commas.")] = None,
    scale: Scale = None,
    train: Annotated[list[Path] | None, typer.Option(help="Fit pooled models on these studies only.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Forecast the last 30% of everybody's answers of a study by every method."""
    from flows.forecast.backtest import backtest as run  # noqa: PLC0415 - heavy

    with complain():
        panel = open_study(file, target, items, scale, ROW)[1]
        others = [open_study(path, target, None, None, ROW)[1] for path in train or ()]
        result = run(panel, others)
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(result.as_dict(), indent=1) + "\n")
    table = Table("method", "MAE", "RMSE", "skill", "s", title=f"{result.persons} people, {result.test_n} test answers")
    for name, s in sorted(result.scores.items(), key=lambda kv: -kv[1].skill):
        mark = " ".join(k for k, v in result.chosen.items() if v == name)
        table.add_row(f"{name} {f'({mark})' if mark else ''}", f"{s.mae:.4f}", f"{s.rmse:.4f}", f"{s.skill:.3f}",
                      f"{s.wall_s:.2f}")  # fmt: skip
    out.print(table)
    i = result.intervals
    out.print(
        f"80% interval: coverage {i.coverage:.3f}, worst tenth of people {i.person_p10_coverage:.3f}, "
        f"Winkler {i.winkler:.3f} (best constant width {i.best_constant_winkler:.3f}), width {i.width:.3f}"
    )


@models.command("list")
def list_versions() -> None:
    """Versions, their stage and their numbers."""
    from flows.forecast.flow import stored  # noqa: PLC0415 - loads both SDKs

    table = Table("version", "stage", "skill", "MAE", "coverage", "trained on", "created")
    for v in stored():
        numbers = [f"{v.metrics[k]:.3f}" if k in v.metrics else "-" for k in ("skill", "mae", "coverage")]
        table.add_row(str(v.version), v.stage, *numbers, v.metadata.get("data_hash", ""), v.created)
    out.print(table)


@models.command("card")
def show_card(version: Annotated[int, typer.Argument(help="Number of the version.")]) -> None:
    """The model card of a version."""
    from flows.forecast.flow import stored  # noqa: PLC0415 - loads both SDKs

    found = next((v for v in stored() if v.version == version), None)
    if found is None:
        err.print(f"no version {version}; see `moodflow models list`", style="red")
        raise typer.Exit(2)
    print(found.metadata.get("card", "this version has no card"))


@models.command("rollback")
def roll_back(reason: Annotated[str, typer.Option(help="Kept in the history.")] = "rollback") -> None:
    """Make the champion before the present one champion again."""
    from flows.forecast.flow import rollback  # noqa: PLC0415 - loads both SDKs

    now = rollback(reason)
    out.print(f"version {now.version} is champion again" if now else "no version is champion now")


@models.command("train")
def train_now() -> None:
    """Train on what the Sheet holds now; promoted only if better beyond its confidence interval."""
    from flows.forecast.flow import training  # noqa: PLC0415 - loads both SDKs

    champion: Any = training()
    out.print(f"champion: version {champion.version}")
