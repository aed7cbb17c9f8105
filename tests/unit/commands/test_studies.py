"""A study's file as a replay needs it: what is wrong is named by file, row and column, and what was good is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.commands import studies
from flows.commands.errors import CommandError

HEADER = "person,timestamp,scheduled,day,beep,tense,calm,na\n"
GOOD = "1,2026-01-05 10:02:00,2026-01-05 10:00:00,1,1,2,5,2\n1,2026-01-05 13:05:00,2026-01-05 13:00:00,1,2,3,4,3\n"


def read(tmp_path, text, **options):
    path = tmp_path / "study.csv"
    path.write_text(text)
    return studies.read(path, tmp_path / "home", **options)


def test_a_study_keeps_its_own_times(tmp_path):
    """Prompt and answer times of the file are those of the replay; a survey is written from its columns."""
    study = read(tmp_path, HEADER + GOOD)
    assert (study.people, study.answers) == (1, 2)
    beep = study.beeps[1, 1, 1]
    assert beep.scheduled == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert beep.answered == datetime(2026, 1, 5, 10, 2, tzinfo=UTC)
    assert beep.answers == {"tense": 2, "calm": 5}
    assert study.survey.endswith("study.toml")


def test_a_timestamp_that_is_none_is_named_and_the_rest_kept(tmp_path):
    """The row and column of an unreadable time are told; the row is answered at its prompt's time instead."""
    bad = "1,soon,2026-01-05 16:00:00,1,3,1,1,1\n"
    study = read(tmp_path, HEADER + GOOD + bad)
    assert any("row 4, column timestamp" in line and "unreadable time" in line for line in study.complaints)
    assert study.answers == 3


def test_an_answer_off_a_shipped_scale_is_named_and_the_rest_kept(tmp_path):
    """Row, column, value and scale are told; the other items of the row stay."""
    from flows.survey.definition import load

    survey = load("fried2021")
    items = list(survey.item_ids)
    header = ",".join(["person", "timestamp", "scheduled", "day", "beep", *items, "na"]) + "\n"
    row = ["1", "2026-01-05 10:02:00", "2026-01-05 10:00:00", "1", "1", *["3"] * len(items), "3"]
    wrong = row.copy()
    wrong[1:5] = ["2026-01-05 13:02:00", "2026-01-05 13:00:00", "1", "2"]
    wrong[5 + items.index("worry")] = "9"
    study = read(tmp_path, header + ",".join(row) + "\n" + ",".join(wrong) + "\n")
    assert study.survey == "fried2021"
    assert any("row 3, column worry" in line and "off the scale" in line for line in study.complaints)
    kept = study.beeps[1, 1, 2].answers
    assert "worry" not in kept
    assert len(kept) == len(items) - 1


def test_an_unusable_file_is_an_error(tmp_path):
    """No person column: an error that names file and row; nothing is written."""
    with pytest.raises(CommandError, match=r"study\.csv, row 1: no column for the person"):
        read(tmp_path, "day,beep,na\n1,1,2\n")


def test_simulated_people_are_drawn_the_same_twice(tmp_path):
    """The generator is seeded: two runs replay the same study."""
    one, two = (studies.simulated(tmp_path, persons=3, days=4) for _ in range(2))
    assert one.beeps == two.beeps
    assert one.people == 3
    assert 0 < one.answers < len(one.beeps)
    assert all(start < end <= start + timedelta(days=7) for start, end in one.stretches())
