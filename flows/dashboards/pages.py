"""The reports' texts: Markdown with tables, and charts embedded as ClearML's web app embeds them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

SMALLEST = 5  # people: of a smaller group an average says something about each of them


@dataclass(frozen=True)
class Chart:
    """A plot or scalar of a ClearML task, shown live in a report."""

    task: str
    metric: str
    variant: str
    kind: str = "plot"


@dataclass(frozen=True)
class Version:
    """A model or policy version as the registry tells it."""

    name: str
    version: int
    stage: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Numbers:
    """What the reports are written from.

    Attributes
    ----------
    people
        People in the analysis; 0 where there was none yet.
    indices
        Aggregates of the last analysis by name.
    charts
        Charts by page name.
    statuses
        Flow runs in ClearML: `{flow: {status: runs}}`.
    delivered
        Messages by kind.
    prompts
        Prompts by state.
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
        "Wellbeing of the group": _wellbeing(numbers, web),
        "Data quality and compliance": _quality(numbers, web),
        "Forecast quality by version": _versions("forecast model", numbers.models),
        "Operations": _operations(numbers),
        "Message policies": _policies(numbers),
    }


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
    body = table(["of the last analysis", "value"], sorted(numbers.indices.items()))
    note = f"{numbers.people} people. Averages over people; nothing here is about one of them."
    return "\n\n".join([note, body, *_charts(numbers, "wellbeing", web)])


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


def _versions(what: str, versions: Sequence[Version]) -> str:
    if not versions:
        return f"No {what} has been registered yet."
    names = sorted({name for version in versions for name in version.metrics})
    rows = [
        [v.name, v.version, v.stage, *(v.metrics.get(n, "") for n in names)]
        for v in sorted(versions, key=lambda v: (v.name, -v.version))
    ]
    return table(["model", "version", "stage", *names], rows)


def _operations(numbers: Numbers) -> str:
    states = sorted({state for row in numbers.statuses.values() for state in row})
    if not states:
        return "No flow has run yet."
    rows = [[flow, *(row.get(state, 0) for state in states)] for flow, row in sorted(numbers.statuses.items())]
    return table(["flow", *states], rows)


def _policies(numbers: Numbers) -> str:
    body = _versions("message policy", numbers.policies)
    if not numbers.delivered or numbers.people < SMALLEST:
        return body
    return body + "\n\n" + table(["messages delivered", "number"], sorted(numbers.delivered.items()))
