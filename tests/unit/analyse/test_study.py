"""Published CSV files are read as they come; what cannot be read is said with file, row and column."""

import io

import numpy as np
import pytest

from flows.analyse.errors import StudyError, TargetError
from flows.analyse.panel import panel
from flows.analyse.study import read_frame, read_study

PLAIN = "person,day,beep,sad,angry,na\n1,1,1,2,4,3\n1,1,2,4,4,4\n2,1,1,1,1,1\n"


def read(text, encoding="utf-8", **options):
    return read_frame(io.BytesIO(text.encode(encoding)), "study.csv", **options)


def rules(frame):
    return dict(zip(frame.quality["rule"], frame.quality["rows"], strict=True))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_and_encodings(delimiter, encoding):
    """The same table comes out of any common delimiter and encoding."""
    frame = read(PLAIN.replace(",", delimiter).replace("sad", "süß"), encoding)
    assert frame.data["na"].tolist() == [3.0, 4.0, 1.0]
    assert "süß" in frame.data


def test_decimal_commas():
    """With semicolons between fields a comma between digits is a decimal comma."""
    assert read("person;day;beep;na\n1;1;1;2,5\n1;1;2;3,25\n").data["na"].tolist() == [2.5, 3.25]


def test_openesm_columns_and_missing_marks():
    """`id` stands for the person and NA for an empty cell, as in openESM."""
    frame = read("id\tday\tbeep\tna\nA7\t1\t1\tNA\nA7\t1\t2\t2\n")
    assert frame.data["person"].tolist() == ["A7", "A7"]
    assert np.isnan(frame.data["na"][0])


def test_text_among_numbers_costs_a_cell_and_not_the_row():
    """Text in a numeric column empties that cell, is counted with its place, and the row's other cells are kept."""
    frame = read("person,day,beep,sad,na\n1,1,1,oops,3\n1,1,2,2,3\n1,1,3,2,3\n")
    assert frame.data["na"].tolist() == [3, 3, 3]
    fault = frame.quality[frame.quality["rule"] == "text in a numeric column"].iloc[0]
    assert (fault["rows"], fault["example"]) == (1, "row 2, column sad")


def test_lines_with_too_many_fields_are_left_out():
    """A line with too many fields is left out and named; the others are kept."""
    frame = read(PLAIN + "2,1,2,9,9,9,9,9\n2,1,3,1,1,1\n")
    assert len(frame.data) == 4
    assert rules(frame)["row with too many fields"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("person,na\n", "no rows"),
        ("who,na\n1,2\n", "no column for the person"),
        ("just one column\n1\n", "one column only"),
        ("person,na,na\n1,2,3\n", "twice"),
    ],
)
def test_what_is_no_study_says_why(text, words):
    """A file that is no study raises, naming the file and what is missing."""
    with pytest.raises(StudyError, match=f"study.csv.*{words}"):
        read(text)


def test_a_binary_file_is_no_study():
    """A file with zero bytes is refused as no text."""
    with pytest.raises(StudyError, match="not a text table"):
        read_frame(io.BytesIO(b"PK\x03\x04\x00\x00\x00"), "study.xlsx")


def test_a_missing_target_names_what_there_is():
    """Without the target and its items the error lists the numeric columns."""
    with pytest.raises(TargetError, match=r"'mood'.*sad, angry, na"):
        read(PLAIN, target="mood")


def test_a_target_can_be_made_of_items():
    """Where the file has no such column, the target is the mean of the items, all of them present."""
    frame = read("person,day,beep,sad,angry\n1,1,1,2,4\n1,1,2,,4\n", items=("sad", "angry"))
    assert frame.data["na"][0] == 3
    assert np.isnan(frame.data["na"][1])


def test_the_scale_can_be_given_or_guessed():
    """The scale is the one given, else the smallest in use that holds all answers; what is off it is emptied."""
    text = "person,day,beep,na\n" + "".join(f"1,1,{b},{1 + b % 5}\n" for b in range(1, 11))
    assert panel(read(text)).scale == (1.0, 5.0)
    frame = read(text, scale=(1.0, 4.0))
    assert rules(frame)["off the scale"] == 2
    assert np.isnan(frame.data["na"]).sum() == 2


def test_duplicate_beeps_keep_the_first():
    """Of two rows of one beep the first counts, and the other is counted as left out."""
    text = "person,day,beep,na\n" + "".join(f"1,1,{b},{b % 5}\n" for b in range(1, 10)) + "1,1,3,0\n"
    frame = read(text)
    assert frame.data.loc[frame.data["beep"] == 3, "na"].tolist() == [3]
    assert rules(frame)["duplicate beep"] == 1


def test_periods_are_not_mixed():
    """The same day number in two periods is two days: no pair and no duplicate between them."""
    frame = read("person,period,day,beep,na\n1,0,1,1,2\n1,0,1,2,3\n1,1,1,1,4\n1,1,1,2,5\n")
    beeps = panel(frame)
    assert beeps.y.tolist() == [2, 3, 4, 5]
    assert beeps.day.tolist() == [0, 0, 1, 1]


def test_without_day_and_clock_nothing_is_one_beep_apart():
    """Rows without day number and clock keep their order and make no pairs; the quality table says so."""
    frame = read("person,na\n1,2\n1,3\n1,4\n")
    beeps = panel(frame)
    assert beeps.y.tolist() == [2, 3, 4]
    assert len(set(beeps.day)) == 3
    assert rules(frame)["no day number and no clock"] == 3


def test_events_are_numbered_by_the_clock():
    """Event-contingent reports without beep numbers are counted within the day in order of time."""
    frame = read("id,timestamp,na\nx,2024-05-01 18:00,3\nx,2024-05-01 09:00,1\nx,2024-05-02 09:00,5\n")
    assert frame.data["na"].tolist() == [1, 3, 5]
    assert frame.data["beep"].tolist() == [1, 2, 1]


def test_a_time_in_the_future_is_left_out():
    """Answers later than the time of reading are left out and counted."""
    import datetime as dt

    frame = read("id,timestamp,na\nx,2024-05-01 09:00,1\nx,2124-05-01 09:00,5\n", now=dt.datetime(2025, 1, 1))
    assert frame.data["na"].tolist() == [1]
    assert rules(frame)["answer in the future"] == 1


def test_a_study_for_replay_has_unique_days(tmp_path):
    """For a replay person, day and beep are unique over periods, and rows are named as the file numbers them."""
    path = tmp_path / "two.csv"
    path.write_text("person,period,day,beep,sad,na\n1,0,1,1,2,2\n1,1,1,1,4,4\n")
    study = read_study(path)
    assert not study.data.duplicated(["person", "day", "beep"]).any()
    assert study.data.index.tolist() == [2, 3]
    assert study.items == ("sad",)


def test_openesm_conventions():
    """A file as openESM publishes it: `id`, `day`, `beep`, `scheduled` and `start_time`, NA for missing, items on
    scales of their own; the target is read on its own scale and the mixed scales of others change nothing of it.
    """
    rows = ["id,day,beep,scheduled,start_time,sad,angry,stress_vas,na"]
    for b in range(1, 25):
        sad, angry = b % 5 + 1, (b + 2) % 5 + 1
        at = f"2024-05-{1 + (b - 1) // 4:02} {9 + 3 * ((b - 1) % 4):02}"
        rows.append(
            f"s1,{1 + (b - 1) // 4},{1 + (b - 1) % 4},{at}:00,{at}:04,{sad},{angry},{b * 4},{(sad + angry) / 2}"
        )
    rows.append("s1,7,1,2024-05-07 09:00,NA,NA,NA,NA,NA")
    frame = read("\n".join(rows) + "\n")
    beeps = panel(frame)
    assert frame.schema.target("na").items == ("sad", "angry")
    assert beeps.scale == (1.0, 5.0)
    assert np.isfinite(beeps.y).sum() == 24
    assert beeps.late[0] == 4.0
    assert frame.data["stress_vas"].max() == 96


def test_times_out_of_order_keep_day_and_beep():
    """Where the clock runs against day and beep numbers the numbers win, and the rows are counted."""
    frame = read(
        "id,day,beep,timestamp,na\nx,1,1,2024-05-01 12:00,1\nx,1,2,2024-05-01 09:00,2\nx,1,3,2024-05-01 15:00,3\n"
    )
    assert frame.data["na"].tolist() == [1, 2, 3]
    assert rules(frame)["time runs against day and beep"] == 1


def test_a_person_with_one_answer_has_a_level_and_nothing_else():
    """One answer gives a row with its level; what needs more is empty, and nobody else is touched."""
    from flows.analyse.indices import indices

    frame = read(
        "person,day,beep,na\n1,1,1,3\n"
        + "".join(f"2,{d},{b},{(d * b) % 5 + 1}\n" for d in range(1, 6) for b in range(1, 6))
    )
    table = indices(panel(frame)).set_index("person")
    assert (table.loc["1", "n"], table.loc["1", "mean"]) == (1, 3.0)
    assert table.loc["1", ["sd", "rmssd", "inertia"]].isna().all()
    assert table.loc["2", "n_pairs"] == 20


def test_a_large_file_is_read_in_pieces(monkeypatch):
    """A file of many rows is read piece by piece, only the columns asked for, and gives what one piece gives."""
    text = "person,day,beep,sad,free,na\n" + "".join(
        f"{p},{d},{b},{(p + d + b) % 7 + 1},text {b},{(p * d + b) % 7 + 1}\n"
        for p in range(40) for d in range(1, 8) for b in range(1, 6)
    )  # fmt: skip
    whole = read(text)
    monkeypatch.setattr("flows.analyse.study.CHUNK", 100)
    pieces = read(text, only=())
    assert "free" not in pieces.data
    assert "sad" not in pieces.data
    np.testing.assert_array_equal(pieces.data["na"], whole.data["na"])
    assert pieces.data["na"].notna().sum() == 40 * 7 * 5


def test_mixed_types_over_pieces_are_read_alike(monkeypatch):
    """Text that first shows in a later piece of a numeric column empties its cell and no other."""
    monkeypatch.setattr("flows.analyse.study.CHUNK", 10)
    rows = [f"1,{k // 5 + 1},{k % 5 + 1},{k % 7 + 1}" for k in range(50)]
    rows[33] = "1,7,4,lots"
    frame = read("person,day,beep,na\n" + "\n".join(rows) + "\n")
    assert frame.data["na"].isna().sum() == 1
    assert rules(frame)["text in a numeric column"] == 1
