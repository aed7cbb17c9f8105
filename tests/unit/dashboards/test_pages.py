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
    assert "| changes | 2 |" in written["Wellbeing of the group"]
    assert "objects=t1" in written["Wellbeing of the group"]
    assert "75% of 40 prompts" in written["Data quality and compliance"]


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
