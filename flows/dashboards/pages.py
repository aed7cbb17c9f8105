"""The reports' texts: Markdown with tables, and charts embedded as ClearML's web app embeds them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

SMALLEST = 5  # people: of a smaller group an average says something about each of them
WELLBEING, QUALITY = "Wellbeing of the group", "Data quality and compliance"
FORECASTS, OPERATIONS, POLICIES = "Forecast quality by version", "Operations", "Message policies"


@dataclass(frozen=True)
class Chart:
    """A plot or scalar of a ClearML task, shown live in a report."""

    task: str
    metric: str
    variant: str
    kind: str = "plot"


@dataclass(frozen=True)
class Version:
    """A model or policy version as the registry tells it.

    Attributes
    ----------
    people
        Whose answers its numbers were computed on; None where the registry does not tell.
    """

    name: str
    version: int
    stage: str
    metrics: Mapping[str, float]
    people: int | None = None


@dataclass(frozen=True)
class Numbers:
    """What the reports are written from.

    Attributes
    ----------
    people
        People in the analysis; 0 where there was none yet.
    indices
        Of the last analysis: how many people there are, and of how many something holds.
    charts
        Charts by page name.
    statuses
        Flow runs in ClearML: `{flow: {status: runs}}`.
    delivered
        Messages by kind.
    prompts
        Prompts of the study by state.
    """

    project: str
    people: int
    indices: Mapping[str, float]
    charts: Mapping[str, Sequence[Chart]]
    statuses: Mapping[str, Mapping[str, int]]
    models: Sequence[Version]
    policies: Sequence[Version]
    delivered: Mapping[str, int]
    prompts: Mapping[str, int]


def pages(numbers: Numbers, web: str) -> dict[str, str]:
    """Write every report: title to Markdown.

    Parameters
    ----------
    web
        Root of the ClearML web app, for the embedded charts.
    """
    return {
        WELLBEING: _wellbeing(numbers, web),
        QUALITY: _quality(numbers, web),
        FORECASTS: _versions("forecast model", numbers.models, numbers.people),
        OPERATIONS: _operations(numbers),
        POLICIES: _policies(numbers),
    }


def figures(numbers: Numbers) -> dict[str, dict[str, Any]]:
    """Draw what a page is about in plotly's form: its title to its figure; none where there is nothing to draw."""
    enough = numbers.people >= SMALLEST
    many = {kind: count for kind, count in numbers.delivered.items() if count >= SMALLEST}
    found = {
        QUALITY: _bars("prompts", {"prompts": numbers.prompts}) if enough else None,
        FORECASTS: _errors([v for v in numbers.models if _told(v, numbers.people)]),
        OPERATIONS: _bars("flow runs", _by_status(numbers.statuses), stacked=True),
        POLICIES: _bars("messages delivered", {"messages": many}) if enough else None,
    }
    return {title: figure for title, figure in found.items() if figure is not None}


def _by_status(statuses: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    states = sorted({state for row in statuses.values() for state in row})
    return {state: {flow: row.get(state, 0) for flow, row in sorted(statuses.items())} for state in states}


def _bars(title: str, groups: Mapping[str, Mapping[str, int]], *, stacked: bool = False) -> dict[str, Any] | None:
    data = [
        {"type": "bar", "name": name, "x": list(counts), "y": list(counts.values())}
        for name, counts in groups.items()
        if counts
    ]
    layout = {"title": {"text": title}, "barmode": "stack" if stacked else "group", "xaxis": {"type": "category"}}
    return {"data": data, "layout": layout} if data else None


def _errors(versions: Sequence[Version]) -> dict[str, Any] | None:
    """Draw the mean absolute error of each version, with its interval where it has one."""
    shown = sorted((v for v in versions if "mae" in v.metrics), key=lambda v: (v.name, v.version))
    if not shown:
        return None
    bar: dict[str, Any] = {
        "type": "bar", "name": "MAE", "x": [f"{v.name} v{v.version} ({v.stage})" for v in shown],
        "y": [v.metrics["mae"] for v in shown],
    }  # fmt: skip
    if all({"mae_low", "mae_high"} <= v.metrics.keys() for v in shown):
        bar["error_y"] = {
            "type": "data", "symmetric": False, "array": [v.metrics["mae_high"] - v.metrics["mae"] for v in shown],
            "arrayminus": [v.metrics["mae"] - v.metrics["mae_low"] for v in shown],
        }  # fmt: skip
    layout = {"title": {"text": "mean absolute error, 95% interval"}, "xaxis": {"type": "category"}}
    return {"data": [bar], "layout": layout}


def _told(version: Version, people: int) -> bool:
    """Whether a version's numbers were computed on enough people to be shown."""
    return (people if version.people is None else version.people) >= SMALLEST


def description(base: str, links: Mapping[str, str]) -> str:
    """Write a project's description with links to its reports.

    Parameters
    ----------
    base
        What was written there by hand; an older list of reports in it is replaced.
    links
        Title of a report to its address.
    """
    mine = "\n".join(["## Reports", "", *(f"- [{title}]({url})" for title, url in links.items())])
    return "\n\n".join(part for part in (base.split("## Reports", maxsplit=1)[0].strip(), mine) if part)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def embed(chart: Chart, web: str) -> str:
    """Embed a chart as the web app's own reports do."""
    query = urlencode(
        {
            "type": chart.kind, "objectType": "task", "xaxis": "iter", "objects": chart.task, "metrics": chart.metric,
            "variants": chart.variant,
        }
    )  # fmt: skip
    return f'<iframe src="{web}/widgets/?{query}" width="100%" height="400"></iframe>'


def _charts(numbers: Numbers, page: str, web: str) -> list[str]:
    return [embed(chart, web) for chart in numbers.charts.get(page, ())]


def _too_few(numbers: Numbers) -> str | None:
    if numbers.people >= SMALLEST:
        return None
    if not numbers.people:
        return "Nothing has been analysed yet."
    return (
        f"Fewer than {SMALLEST} people take part: an average would say something about each of them, so none is shown."
    )


def _wellbeing(numbers: Numbers, web: str) -> str:
    closed = _too_few(numbers)
    if closed:
        return closed
    rows = [(name, _few(value)) for name, value in sorted(numbers.indices.items())]
    body = table(["of the last analysis", "people"], rows)
    note = f"{numbers.people} people. Averages over people; nothing here is about one of them."
    return "\n\n".join([note, body, *_charts(numbers, "wellbeing", web)])


def _few(count: float) -> str:
    """Write a number of people, or of messages to them; a few of them are a group under `SMALLEST` themselves."""
    return f"fewer than {SMALLEST}" if 0 < count < SMALLEST else f"{count:g}"


def _quality(numbers: Numbers, web: str) -> str:
    closed = _too_few(numbers)
    if closed:
        return closed
    over = sum(numbers.prompts.get(state, 0) for state in ("answered", "expired", "skipped"))
    share = (
        f"{numbers.prompts.get('answered', 0) / over:.0%} of {over} prompts that are over were answered."
        if over
        else ""
    )
    body = table(["state of prompts", "number"], sorted(numbers.prompts.items()))
    return "\n\n".join([part for part in (share, body, *_charts(numbers, "quality", web)) if part])


def _versions(what: str, versions: Sequence[Version], people: int) -> str:
    """Write the versions, the newest first; of those judged on too few people only that they exist."""
    if not versions:
        return f"No {what} has been registered yet."
    told = {id(v): v.metrics if _told(v, people) else {} for v in versions}
    names = sorted({name for metrics in told.values() for name in metrics})
    rows = [
        [v.name, v.version, v.stage, *(told[id(v)].get(n, "") for n in names)]
        for v in sorted(versions, key=lambda v: (v.name, -v.version))
    ]
    written = table(["model", "version", "stage", *names], rows)
    closed = sum(1 for v in versions if v.metrics and not told[id(v)])
    note = f"Numbers of {closed} version(s), computed on fewer than {SMALLEST} people, are not shown."
    return f"{written}\n\n{note}" if closed else written


def _operations(numbers: Numbers) -> str:
    states = sorted({state for row in numbers.statuses.values() for state in row})
    if not states:
        return "No flow has run yet."
    rows = [[flow, *(row.get(state, 0) for state in states)] for flow, row in sorted(numbers.statuses.items())]
    return table(["flow", *states], rows)


def _policies(numbers: Numbers) -> str:
    body = _versions("message policy", numbers.policies, numbers.people)
    if not numbers.delivered or numbers.people < SMALLEST:
        return body
    rows = [(kind, _few(count)) for kind, count in sorted(numbers.delivered.items())]
    return body + "\n\n" + table(["messages delivered", "number"], rows)
