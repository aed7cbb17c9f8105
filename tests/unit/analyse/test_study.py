"""Published CSV files are read as they come; what cannot be read is said with file, row and column."""

import io

import numpy as np
import pandas as pd
import pytest

from flows.analyse import commands
from flows.analyse.errors import StudyError, TargetError
from flows.analyse.indices import indices
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


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "utf-16-le", "utf-16-be"])
def test_cyrillic_names_and_files_without_a_mark(encoding):
    """Russian column names are read from the code pages in use and from UTF-16 without its mark."""
    frame = read("человек;person;тревога;грусть\nа;1;2,5;3\nб;2;1;4\n", encoding, target="тревога")
    assert frame.data["тревога"].tolist() == [2.5, 1.0]
    assert "грусть" in frame.data


@pytest.mark.parametrize(
    "text",
    [
        '"person" "day" "beep" "na"\n"1" 1 1 1 2.5\n"2" 1 1 2 NA\n',
        '"person"\t"day"\t"beep"\t"na"\n"1"\t1\t1\t1\t2.5\n"2"\t1\t1\t2\tNA\n',
        '"","person","day","beep","na"\n"1",1,1,1,2.5\n"2",1,1,2,NA\n',
        "sep=;\nperson;day;beep;na\n1;1;1;2,5\n1;1;2;\n",
        "person,day,beep,na\n1,1,1,2.5,\n1,1,2,,\n",
    ],
    ids=["write.table", "write.table-tab", "write.csv", "excel", "trailing"],
)
def test_what_other_programs_write(text):
    """Row names of R, Excel's first line and a delimiter at the end of rows shift no column and are no items."""
    frame = read(text)
    assert frame.data["person"].tolist() == ["1", "1"]
    assert frame.data["beep"].tolist() == [1, 2]
    assert frame.data["na"].tolist()[0] == 2.5
    assert np.isnan(frame.data["na"].tolist()[1])
    assert frame.schema.items == ()


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


def test_people_keep_the_names_the_file_gives_them(monkeypatch):
    """Leading zeros stay, blanks around a name and 7.0 for 7 make nobody new, and numbers and words mix in any piece."""
    monkeypatch.setattr("flows.analyse.table.CHUNK", 2)
    people = ["007", "010 ", "010", "P3", "3", "3.0"]
    frame = read("person,day,beep,na\n" + "".join(f"{p},1,{b},2\n" for b, p in enumerate(people, 1)))
    assert frame.data["person"].tolist() == ["007", "010", "010", "3", "3", "P3"]


def test_a_missing_target_names_what_there_is():
    """Without the target and its items the error lists the numeric columns."""
    with pytest.raises(TargetError, match=r"'mood'.*sad, angry, na"):
        read(PLAIN, target="mood")
    with pytest.raises(TargetError, match=r"'mood' .that column holds no numbers"):
        read("person,day,beep,sad,mood\n1,1,1,2,\n1,1,2,2,\n", target="mood")


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


def test_items_are_cut_to_the_scale_before_their_mean_is_taken():
    """An answer the scale cannot hold empties the mean it would be part of, though that mean is on the scale."""
    frame = read("person,day,beep,sad,angry\n1,1,1,9,1\n1,1,2,3,5\n", items=("sad", "angry"), scale=(1, 7))
    assert np.isnan(frame.data["na"][0])
    assert frame.data["na"][1] == 4


def test_all_on_the_floor_is_no_scale_of_two_answers():
    """Where everybody always answers 1 the guess is a scale that begins there, not one that ends there."""
    assert panel(read("person,day,beep,na\n1,1,1,1\n1,1,2,1\n")).scale == (1.0, 5.0)


@pytest.mark.parametrize(("code", "kept"), [(-99, False), (999, False), (7, True)])
def test_codes_for_a_missing_answer(code, kept):
    """A number far off the scale of all others that stands for "not answered" empties its cell; an answer does not."""
    text = "person,day,beep,na\n" + "".join(f"1,{b // 9},{b % 9 + 1},{b % 6 + 1}\n" for b in range(60))
    frame = read(text + f"1,9,1,{code}\n")
    assert bool(np.isfinite(frame.data["na"].iloc[-1])) is kept
    assert rules(frame).get("code for a missing answer", 0) == (0 if kept else 1)


def test_a_slider_that_is_nearly_always_low_has_no_codes():
    """On a slider 99 is an answer, also beside many low ones."""
    text = "person,day,beep,na\n" + "".join(f"1,{b // 9},{b % 9 + 1},{b % 12}\n" for b in range(80))
    assert read(text + "1,9,1,99\n").data["na"].iloc[-1] == 99


def test_a_mean_over_different_scales_is_told():
    """Where the items of a computed target lie on different scales the table of quality says so, with the scales."""
    frame = read(
        "person,day,beep,sad,vas\n" + "".join(f"1,1,{b},{b % 5 + 1},{b % 7 * 15}\n" for b in range(1, 30)),
        items=("sad", "vas"),
    )
    found = frame.quality[frame.quality["rule"] == "items on different scales"].iloc[0]
    assert found["example"] == "sad 1 to 5, vas 0 to 100"


def test_items_on_another_scale_do_not_stretch_that_of_the_target():
    """Items given beside a target of the file are on their own scale: neither is cut to the other's."""
    frame = read(
        "person,day,beep,na,vas\n" + "".join(f"1,1,{b},{b % 5 + 1},{b % 7 * 15}\n" for b in range(1, 30)),
        items=("vas",),
    )
    assert panel(frame).scale == (1.0, 5.0)
    assert frame.data["vas"].max() == 90


def test_of_two_rows_of_a_beep_the_answered_one_counts():
    """An empty row of a beep does not take the place of the answer to it."""
    more = "".join(f"1,1,{b},5\n" for b in range(2, 9))
    assert read(f"person,day,beep,na\n1,1,1,\n1,1,1,4\n{more}").data["na"].tolist() == [4, *[5] * 7]


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


def test_days_begin_where_beeps_begin_again():
    """Without day numbers and clock a beep number that does not go on begins a day; pairs are those within it."""
    frame = read("person,beep,na\n" + "".join(f"{p},{b},{b % 5 + 1}\n" for p in (1, 2) for b in (1, 2, 3, 1, 2, 4)))
    beeps = panel(frame)
    assert np.diff(np.flatnonzero(np.diff(beeps.day, prepend=-1))).tolist() == [3, 3, 3]
    over = read("person,obs,na\n" + "".join(f"{p},{b},{b % 5 + 1}\n" for p in (1, 2) for b in range(1, 7)))
    assert len(set(panel(over).day)) == 12


def test_a_row_without_its_number_costs_its_pairs_and_no_other():
    """One row without day or beep number among numbered ones is kept for the level, and the others keep their pairs."""
    rows = [f"1,{d},{b},{(d * b) % 5 + 1}" for d in range(1, 7) for b in range(1, 6)]
    whole, cut = (read("person,day,beep,na\n" + "\n".join(r) + "\n") for r in (rows, [*rows[:-1], "1,6,?,3"]))
    full, one = (indices(panel(f)).iloc[0] for f in (whole, cut))
    assert (one["n"], one["n_pairs"]) == (full["n"], full["n_pairs"] - 1)
    lost = read("person,day,beep,na\n" + "\n".join([*rows[:-1], "1,,5,3"]) + "\n")
    assert rules(lost)["row without its day number"] == 1
    assert indices(panel(lost)).iloc[0]["n_pairs"] == full["n_pairs"] - 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("03.05.2024 09:00", "04.05.2024 09:00"), ("03/05/2024 09:00", "14/05/2024 09:00"), ("5/3/2024", "5/14/2024")],
)
def test_days_and_months_are_told_apart(first, second):
    """Points part day and month in this order; otherwise a number above 12 anywhere tells the order for all rows."""
    frame = read(f"id,timestamp,na\nx,{first},3\nx,{second},1\n")
    assert frame.data["answered_at"].dt.month.tolist() == [5, 5]
    assert frame.data["answered_at"].dt.day.tolist()[0] == 3


def test_a_column_named_like_a_time_that_holds_none_is_passed_over():
    """Of the columns that may be the time of the answer the first that holds times is it (`answered` is yes or no)."""
    frame = read("participant,day_n,obs_n_day,answered,start,na\n5,1,1,TRUE,1714546800,2\n5,1,2,TRUE,1714550400,3\n")
    assert frame.data["answered_at"].dt.hour.tolist() == [7, 8]
    assert frame.data["beep"].tolist() == [1, 2]


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
    with pytest.raises(StudyError, match="every row lies in the future"):
        read("id,timestamp,na\nx,2124-05-01 09:00,5\n", now=dt.datetime(2025, 1, 1))


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
    monkeypatch.setattr("flows.analyse.table.CHUNK", 100)
    pieces = read(text, only=())
    assert "free" not in pieces.data
    assert "sad" not in pieces.data
    np.testing.assert_array_equal(pieces.data["na"], whole.data["na"])
    assert pieces.data["na"].notna().sum() == 40 * 7 * 5


def test_mixed_types_over_pieces_are_read_alike(monkeypatch):
    """Text that first shows in a later piece of a numeric column empties its cell and no other."""
    monkeypatch.setattr("flows.analyse.table.CHUNK", 10)
    rows = [f"1,{k // 5 + 1},{k % 5 + 1},{k % 7 + 1}" for k in range(50)]
    rows[33] = "1,7,4,lots"
    frame = read("person,day,beep,na\n" + "\n".join(rows) + "\n")
    assert frame.data["na"].isna().sum() == 1
    assert rules(frame)["text in a numeric column"] == 1


def test_of_a_large_file_only_what_is_needed_is_read(tmp_path, monkeypatch):
    """Beyond a number of rows only the target and its items are read, and the indices are those of the whole file."""
    path = tmp_path / "large.csv"
    rows = [
        f"{p},{d},{b},{(p + d * b) % 5 + 1},{(p * b + d) % 5 + 1},{d}"
        for p in range(9)
        for d in range(5)
        for b in (1, 2, 3)
    ]
    table = pd.read_csv(io.StringIO("person,day,beep,sad,angry,other\n" + "\n".join(rows)))
    table.assign(na=table[["sad", "angry"]].mean(axis=1)).to_csv(path, index=False)
    whole = commands.open_study(path, "na", None, None)
    monkeypatch.setattr(commands, "LARGE", 10)
    part = commands.open_study(path, "na", None, None)
    assert part[1].names == ("sad", "angry")
    pd.testing.assert_frame_equal(indices(part[1]), indices(whole[1], whole[0].data[["sad", "angry"]].to_numpy()))


def test_a_file_that_memory_cannot_hold_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """What a file needs is told from its size, with what is free and what to do, before anything is read of it."""
    path = tmp_path / "huge.csv"
    path.write_text(PLAIN + "1,1,3,2,2,2\n" * 1000)
    monkeypatch.setattr(commands, "LARGE", 10)
    with pytest.raises(
        StudyError, match=r"huge.csv: about .* rows need about .* GB of memory.*part the file by people"
    ):
        commands.open_study(path, "na", None, None, row=1 << 40)
