"""Rows of the Sheet become a typed frame; whatever is wrong with them is dealt with by a rule and counted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.analyse.errors import SheetError
from flows.analyse.frame import KEYS, build_frame
from flows.survey.definition import load

SURVEY = load("mood")
HEADER = [*KEYS, *SURVEY.item_ids]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def row(person="a", day=1, beep=1, **cells):
    at = (START + timedelta(days=day - 1, hours=3 * (beep - 1))).strftime("%Y-%m-%dT%H:%M:%SZ")
    base = dict.fromkeys(HEADER, "")
    base |= dict.fromkeys(SURVEY.item_ids, "3")
    base |= {
        "response_id": f"{person}{day}{beep}", "prompt_id": f"q{person}{day}{beep}", "person": person, "study": "mood",
        "survey_version": SURVEY.version, "revision": "1", "status": "complete", "day": str(day), "beep": str(beep),
        "slot_at": at, "sent_at": at, "answered_at": at, "timezone": "Europe/Berlin",
    }  # fmt: skip
    return [{**base, **cells}[name] for name in HEADER]


def cut(cells, **changed):
    """A good row with some of its cells changed."""
    return [changed.get(name, cell) for name, cell in zip(HEADER, cells, strict=True)]


def frame(*rows, **options):
    return build_frame([HEADER, *rows], SURVEY, **options)


def rules(result):
    return dict(zip(result.quality["rule"], result.quality["rows"], strict=True))


def test_clean_rows_pass_unremarked():
    """Clean rows give one typed row each, the target being the mean of its items, and an empty quality table."""
    result = frame(row(sad="2", anxious="4", irritable="6"), row(beep=2))
    assert rules(result) == {}
    assert result.data["na"].tolist() == [4.0, 3.0]
    assert str(result.data["slot_at"].dtype).endswith("UTC]")


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"sad": "a lot"}, "text in a numeric column"),
        ({"sad": "2,5"}, "decimal comma"),
        ({"sad": "8"}, "off the scale"),
        ({"answered_at": "soon"}, "unreadable time"),
        ({"timezone": "Mars/Base"}, "unknown timezone"),
        ({"survey_version": "older"}, "another version of the survey"),
        ({"answered_at": "2026-03-02T08:00:00Z"}, "answered before its prompt"),
        ({"day": ""}, "no day or beep number"),
        ({"status": "partial"}, "partial response"),
        ({"person": ""}, "row without response or person"),
    ],
)
def test_each_fault_is_counted_once(cells, rule):
    """A row with one fault shows in the quality table under that rule, with one row, and its neighbour is kept."""
    result = frame(row(beep=2), cut(row(), **cells))
    assert rules(result).get(rule) == 1
    assert 2 in result.data["beep"].tolist() or rule == "no day or beep number"


def test_examples_name_the_place_and_never_the_answer():
    """The quality table, which leaves for ClearML, says where a fault is and not what was written there."""
    table = frame(row(sad="I hate my boss"), row(beep=2, anxious="77")).quality
    assert not table.astype(str).apply(lambda c: c.str.contains("boss|77")).any().any()
    assert "row 2, column sad" in table["example"].tolist()


def test_the_latest_revision_wins():
    """Of two revisions of a response the higher one counts, wherever it stands."""
    result = frame(row(sad="7", revision="2"), row(sad="1", revision="1"))
    assert result.data["sad"].tolist() == [7.0]
    assert rules(result)["response given twice"] == 1


def test_an_answer_of_the_future_is_left_out():
    """An answer later than the time of reading is left out and counted."""
    result = frame(row(), row(day=30), now=START + timedelta(days=1))
    assert len(result.data) == 1
    assert rules(result)["answer in the future"] == 1


def test_edits_by_hand_win_and_are_counted():
    """A cell that differs from what the bot wrote is used as it stands; rows added or removed are counted too."""
    wrote = {
        "a11": dict.fromkeys(SURVEY.item_ids, "3"),
        "gone": dict.fromkeys(SURVEY.item_ids, "3"),
    }
    result = frame(row(sad="5"), row(beep=2), recorded=wrote)
    assert result.data["sad"].tolist() == [5.0, 3.0]
    found = rules(result)
    assert (found["cell edited by hand"], found["row added by hand"], found["row removed by hand"]) == (1, 1, 1)


def test_a_day_with_a_clock_change_keeps_its_order():
    """Answers around a change of the clocks stay in the order of UTC and are counted."""
    early = {"slot_at": "2026-03-29T00:30:00Z", "answered_at": "2026-03-29T00:31:00Z"}
    late = {"slot_at": "2026-03-29T01:30:00Z", "answered_at": "2026-03-29T01:31:00Z"}
    result = frame(cut(row(beep=2), **late), cut(row(), **early))
    assert result.data["beep"].tolist() == [1, 2]
    assert rules(result)["day with a clock change"] == 2


def test_a_missing_item_empties_the_target_only():
    """A target is empty unless all of its items are there; the other items are kept."""
    result = frame(row(sad=""))
    assert np.isnan(result.data["na"][0])
    assert result.data["pa"][0] == 3.0


def test_the_hash_knows_content_and_not_order():
    """The data version is the same for the same rows in any order and another for any other cell."""
    one, two = row(), row(beep=2)
    assert frame(one, two).data_hash == frame(two, one).data_hash
    assert frame(one, two).data_hash != frame(one, row(beep=2, sad="4")).data_hash


def test_a_sheet_without_its_header_is_refused():
    """A header without the columns nothing can stand in for is an error that says so."""
    with pytest.raises(SheetError, match=r"row 1.*person"):
        build_frame([["response_id"], ["x"]], SURVEY)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), max_size=len(HEADER) + 2), max_size=8))
def test_no_cells_can_break_it(rows):
    """Whatever stands in the cells, a frame comes out whose answers are on the scale and whose rows are unique."""
    result = build_frame([HEADER, *rows, row()], SURVEY)
    values = result.data[list(SURVEY.item_ids)].to_numpy()
    assert np.all(np.isnan(values) | ((values >= 1) & (values <= 7)))
    assert not result.data.duplicated(["person", "day", "beep"]).any()
