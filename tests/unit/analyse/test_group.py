"""What is said of the group: levels by day and indices over people, nothing of fewer than five of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.analyse.group import by_day, day_figure, over_people
from flows.analyse.panel import Panel

DAY = 20_000 * 24.0


def a_panel(people: int, beeps: list[tuple[int, float]]) -> Panel:
    """Make a panel in which everybody answers these (hour, value); person i says i more."""
    n = len(beeps)
    code = np.repeat(np.arange(people), n)
    hours = np.tile([DAY + hour for hour, _ in beeps], people)
    y = np.tile([value for _, value in beeps], people) + code
    zeros = np.zeros(people * n, dtype=np.int64)
    names = np.array([f"p{i}" for i in range(people)], dtype=object)
    return Panel(names, code, zeros, zeros, hours, hours * np.nan, y, np.empty((people * n, 0)), (), (0.0, 9.0), "na")


def test_a_days_level_is_the_mean_of_peoples_own_means():
    """Somebody who answers more often counts no more; the interval is that of the spread over people."""
    panel = a_panel(6, [(9, 1.0), (21, 3.0), (33, 2.0)])
    often = panel.take(np.r_[0, 0, 0, 0, np.arange(len(panel))])
    (first, second) = by_day(often).to_dict("records")
    own = np.arange(6) + 2.0
    own[0] = (1.0 * 5 + 3.0) / 6
    assert (first["date"], second["date"], first["people"]) == ("2024-10-04", "2024-10-05", 6)
    assert first["mean"] == pytest.approx(own.mean())
    assert first["high"] - first["mean"] == pytest.approx(1.96 * own.std(ddof=1) / 6**0.5)


def test_a_day_of_four_people_is_left_out():
    """Five who answered are shown, four are not, however many take part."""
    panel = a_panel(5, [(9, 1.0), (33, 2.0)])
    panel.y[-1] = np.nan
    assert by_day(panel)["date"].tolist() == ["2024-10-04"]
    assert len(by_day(a_panel(4, [(9, 1.0)]))) == 0


def test_the_figure_carries_the_interval():
    """A point for each day with its interval, and the scale in the axis's name."""
    days = by_day(a_panel(6, [(9, 1.0), (33, 2.0)]))
    figure = day_figure(days, "na", (0.0, 9.0))
    (line,) = figure["data"]
    assert (line["x"], len(line["error_y"]["array"])) == (["2024-10-04", "2024-10-05"], 2)
    assert figure["layout"]["yaxis"]["title"]["text"] == "na, scale 0 to 9"


def test_an_index_that_few_have_is_left_out_and_nobody_is_the_extreme():
    """Of an index that four have nothing is said; smallest and largest values, which are one person's, are not told."""
    table = pd.DataFrame({"sd": [1.0, 2, 3, 4, 5], "inertia": [1.0, 2, 3, 4, np.nan]})
    found = over_people(table)
    assert found["index"].tolist() == ["sd"]
    assert not {"min", "max"} & set(found.columns)
    assert len(over_people(table.head(4))) == 0
