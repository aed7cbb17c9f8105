"""The reports' texts: aggregates only, tables that hold any name, links kept in a project's description."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.dashboards import pages
from flows.dashboards.pages import Chart, Numbers, Version

FULL = Numbers(
    project="Moodflow", people=12, indices={"people": 12.0, "changes": 2.0}, charts={"wellbeing": [Chart("t1", "indices", "table")]},
    statuses={"cycle": {"completed": 3, "failed": 1}}, models=[Version("forecast-na", 1, "retired", {"mae": 0.5}), Version("forecast-na", 2, "champion", {"mae": 0.4})],
    policies=[Version("message-policy", 1, "champion", {})], delivered={"insight": 7}, prompts={"answered": 30, "expired": 10},
)  # fmt: skip


@pytest.mark.parametrize("people", [0, 1, 4])
def test_nothing_is_shown_about_fewer_than_five(people):
    """The group's pages hold no number and no chart while fewer than five people take part."""
    written = pages.pages(replace(FULL, people=people), "http://web")
    for title in ("Wellbeing of the group", "Data quality and compliance"):
        assert "|" not in written[title]
        assert "iframe" not in written[title]
    assert "insight" not in written["Message policies"]


def test_five_people_are_enough():
    """From five people on the aggregates, the compliance and the charts are there."""
    written = pages.pages(replace(FULL, people=5), "http://web")
    assert "| people | 12 |" in written["Wellbeing of the group"]
    assert "objects=t1" in written["Wellbeing of the group"]
    assert "75% of 40 prompts" in written["Data quality and compliance"]


def test_a_few_of_many_are_not_counted_out():
    """Of how few people something holds, or how few messages went out, is not told, in the tables or in the charts."""
    few = replace(FULL, delivered={"insight": 70, "safety": 1})
    written = pages.pages(few, "http://web")
    assert "| changes | fewer than 5 |" in written["Wellbeing of the group"]
    assert "| safety | fewer than 5 |" in written["Message policies"]
    assert pages.figures(few)["Message policies"]["data"][0]["x"] == ["insight"]


def test_numbers_of_a_version_judged_on_few_people_are_not_shown():
    """Such a version is listed without its numbers, and left out of the chart; the others keep theirs."""
    small = Version("forecast-na", 3, "candidate", {"mae": 0.1}, people=4)
    found = replace(FULL, models=[*FULL.models, small])
    written = pages.pages(found, "http://web")["Forecast quality by version"]
    assert "| forecast-na | 3 | candidate |  |" in written
    assert "Numbers of 1 version(s)" in written
    assert len(pages.figures(found)["Forecast quality by version"]["data"][0]["x"]) == 2
    none = replace(found, people=4)
    assert "0.4" not in pages.pages(none, "http://web")["Forecast quality by version"]
    assert set(pages.figures(none)) == {"Operations"}, "what is about flows is about nobody"


def test_charts_draw_what_the_tables_say():
    """Prompts, errors with their intervals, runs by status and messages are drawn; an empty installation has no chart."""
    spread = {"mae": 0.4, "mae_low": 0.3, "mae_high": 0.6}
    drawn = pages.figures(
        replace(FULL, models=[Version("forecast-na", 2, "champion", spread)], delivered={"insight": 7})
    )
    assert drawn["Data quality and compliance"]["data"][0]["y"] == [30, 10]
    (bar,) = drawn["Forecast quality by version"]["data"]
    assert (bar["x"], bar["error_y"]["arrayminus"]) == (["forecast-na v2 (champion)"], [pytest.approx(0.1)])
    assert [(b["name"], b["y"]) for b in drawn["Operations"]["data"]] == [("completed", [3]), ("failed", [1])]
    empty = replace(FULL, people=0, models=[], policies=[], statuses={}, delivered={}, prompts={})
    assert pages.figures(empty) == {}


def test_versions_stand_newest_first_with_every_metric():
    """Forecast quality lists each version with its stage and metrics."""
    lines = pages.pages(FULL, "http://web")["Forecast quality by version"].splitlines()
    assert lines[2:] == ["| forecast-na | 2 | champion | 0.4 |", "| forecast-na | 1 | retired | 0.5 |"]


def test_a_name_with_a_bar_stays_in_its_cell():
    """Names from outside cannot break a table."""
    assert pages.table(["a"], [["x|y\nz"]]).splitlines()[-1] == "| x\\|y z |"


def test_a_projects_own_words_stay():
    """The list of reports is replaced, what people wrote above it is not."""
    first = pages.description("Our study.", {"A": "http://a"})
    again = pages.description(first, {"B": "http://b"})
    assert again == "Our study.\n\n## Reports\n\n- [B](http://b)"
