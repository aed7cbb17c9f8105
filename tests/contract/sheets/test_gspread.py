"""gspread, unmodified, doing what people do with it."""

from __future__ import annotations

import gspread
import pytest
from gspread.utils import ExportFormat, PasteType

pytestmark = pytest.mark.xdist_group("sheets")


def refused(call, *args, **kwargs):
    """The message of the 400 that a call is answered with."""
    with pytest.raises(gspread.exceptions.APIError) as caught:
        call(*args, **kwargs)
    assert caught.value.code == 400
    assert caught.value.error["status"] == "INVALID_ARGUMENT"
    return caught.value.error["message"]


def test_raw_answers_are_kept_as_they_are(sheet):
    """Formulas, leading zeros, emoji and control characters come back as they went in."""
    row = ["=1+1", "0042", "NaN", "🌵\t\n", "'x", " a "]
    sheet.append_row(row)
    assert sheet.get_all_values() == [row]


def test_appends_grow_the_grid_and_say_where_they_went(book):
    """Below the last row the grid grows; the answer names the table and the rows written."""
    sheet = book.add_worksheet("small", 2, 2)
    answer = sheet.append_rows([[1, 2], [3, 4], [5, 6]])
    assert answer["updates"]["updatedRange"] == "small!A1:B3"
    answer = sheet.append_row([7, 8, 9])
    assert answer["tableRange"] == "small!A1:B3"
    properties = book.fetch_sheet_metadata()["sheets"][1]["properties"]["gridProperties"]
    assert (properties["rowCount"], properties["columnCount"]) == (4, 3)


def test_a_gap_shifts_an_append_unless_the_table_is_named(sheet):
    """The trap of values.append, and the way around it."""
    sheet.append_row(["a", "", "c"])
    assert sheet.append_row(["d"])["updates"]["updatedRange"] == "Sheet1!C2"
    sheet.clear()
    sheet.append_row(["a", "", "c"])
    assert sheet.append_row(["d"], table_range="A1")["updates"]["updatedRange"] == "Sheet1!A2"


def test_insert_rows_pushes_what_is_below_down(sheet):
    """INSERT_ROWS keeps a second table whole; OVERWRITE writes over it."""
    sheet.update([["a"], [""], ["below"]], "A1")
    sheet.append_rows([["b"], ["c"]], table_range="A1", insert_data_option="INSERT_ROWS")
    assert sheet.col_values(1) == ["a", "b", "c", "", "below"]
    sheet.append_rows([["d"], ["e"]], table_range="A1", insert_data_option="OVERWRITE")
    assert sheet.col_values(1) == ["a", "b", "c", "d", "e"]


def test_ranges_beyond_the_grid_are_refused(sheet):
    """Google's words for a range outside, a value too many and a name nobody gave."""
    expected = "Range (Sheet1!A1001) exceeds grid limits. Max rows: 1000, max columns: 26"
    assert refused(sheet.update, [[1]], "A1001") == expected
    expected = "Requested writing within range [Sheet1!A1:B1], but tried writing to column [C]"
    assert refused(sheet.update, [[1, 2, 3]], "A1:B1") == expected
    assert refused(sheet.spreadsheet.values_get, "Nowhere!A1") == "Unable to parse range: Nowhere!A1"


def test_the_ten_million_cell_limit_holds(book):
    """A sheet too large is refused and nothing is left of it."""
    message = refused(book.add_worksheet, "huge", 1_000_000, 11)
    assert message.endswith("above the limit of 10000000 cells.")
    assert [tab.title for tab in book.worksheets()] == ["Sheet1"]


def test_a_batch_happens_whole_or_not_at_all(book):
    """One wrong request undoes those before it, and the message names it."""
    requests = [{"addSheet": {"properties": {"title": "new"}}}, {"addSheet": {"properties": {"title": "Sheet1"}}}]
    assert refused(book.batch_update, {"requests": requests}).startswith(
        "Invalid requests[1].addSheet: A sheet with the name"
    )
    assert [tab.title for tab in book.worksheets()] == ["Sheet1"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"makeCoffee": {}}, "Unknown name \"makeCoffee\" at 'requests[0]': Cannot find field."),
        ({"addChart": {}}, "this local endpoint does not carry out addChart"),
        ({}, "No request set."),
    ],
)
def test_unknown_requests_are_refused_loudly(book, request_, words):
    """Kinds that do not exist, and kinds that this server does not carry out, are a 400 that says so."""
    assert words in refused(book.batch_update, {"requests": [request_]})


def test_formulas_follow_inserted_rows_and_renamed_sheets(book, sheet):
    """As in Sheets, references keep pointing at their cells."""
    other = book.add_worksheet("other", 5, 5)
    sheet.update([[5]], "A3")
    other.update([["=Sheet1!A3*2"]], "A1", value_input_option="USER_ENTERED")
    sheet.insert_row(["new"], 1)
    sheet.update_title("It's renamed")
    assert other.acell("A1", value_render_option="FORMULA").value == "='It''s renamed'!A4*2"
    assert other.acell("A1").value == "10"


def test_people_who_insert_columns_move_names_and_merges(book, sheet):
    """A named range and a merge stay with their cells."""
    sheet.update([["k", "v"], [1, 2]], "A1")
    sheet.define_named_range("B1:B2", "values_here")
    sheet.merge_cells("A4:B5")
    sheet.insert_cols([[]], 1)
    assert book.values_get("values_here")["values"] == [["v"], ["2"]]
    merge = book.fetch_sheet_metadata()["sheets"][0]["merges"][0]
    assert (merge["startColumnIndex"], merge["endColumnIndex"]) == (1, 3)


def test_a_file_is_copied_exported_and_shared(gc, book, sheet):
    """Drive's part: copies stand alone, CSV holds what is shown, permissions come and go."""
    sheet.update([["a,b", '"q"'], ["", 1]], "A1")
    copied = gc.copy(book.id, title="copy")
    sheet.update([["changed"]], "A1")
    assert copied.sheet1.acell("A1").value == "a,b"
    assert copied.export(ExportFormat.CSV) == b'"a,b","""q"""\r\n,1'
    copied.share("reader@example.org", perm_type="user", role="reader")
    assert {p["role"] for p in copied.list_permissions()} == {"owner", "reader"}
    copied.remove_permissions("reader@example.org")
    assert {p["role"] for p in copied.list_permissions()} == {"owner"}
    with pytest.raises(
        gspread.exceptions.APIError, match="exports text/csv and text/tab-separated-values, not application/pdf"
    ):
        copied.export(ExportFormat.PDF)
    gc.del_spreadsheet(copied.id)
    with pytest.raises(gspread.SpreadsheetNotFound):
        gc.open_by_key(copied.id)


def test_csv_takes_the_place_of_everything(gc, book):
    """import_csv leaves one sheet with the file's values, read as typed."""
    book.add_worksheet("second", 3, 3)
    gc.import_csv(book.id, "a,b\n1,=A2+1\n")
    assert book.sheet1.get_all_values() == [["a", "b"], ["1", "2"]]
    assert len(book.worksheets()) == 1


def test_find_replace_copy_and_sort(book, sheet):
    """Structure requests that change cells."""
    sheet.update([["b", 2], ["a", 10], ["", 1]], "A1")
    sheet.sort((1, "asc"), range="A1:B3")
    assert sheet.get_all_values() == [["a", "10"], ["b", "2"], ["", "1"]]
    sheet.copy_range("A1:B2", "D1", PasteType.normal)
    sheet.cut_range("A1:B2", "A5")
    assert sheet.get("A1:E6") == [
        ["", "", "", "a", "10"],
        ["", "", "", "b", "2"],
        ["", "1"],
        [],
        ["a", "10"],
        ["b", "2"],
    ]
    answer = book.batch_update({"requests": [{"findReplace": {"find": "A", "replacement": "z", "allSheets": True}}]})
    assert answer["replies"][0]["findReplace"]["occurrencesChanged"] == 2


def test_grid_data_shows_values_formats_and_errors(book, sheet):
    """includeGridData: what was entered, what it came to, and how it looks."""
    sheet.update([["50%", "=1/0"]], "A1", value_input_option="USER_ENTERED")
    sheet.format("A1", {"textFormat": {"bold": True}})
    data = book.fetch_sheet_metadata({"includeGridData": "true", "ranges": "A1:B1"})["sheets"][0]["data"][0]
    first, second = data["rowData"][0]["values"]
    assert first["userEnteredValue"] == {"numberValue": 0.5}
    assert first["formattedValue"] == "50%"
    assert first["effectiveFormat"]["textFormat"]["bold"] is True
    assert second["effectiveValue"]["errorValue"]["type"] == "DIVIDE_BY_ZERO"


def test_deleting_columns_and_rows_by_hand_keeps_the_rest(sheet):
    """Structure changed by people."""
    sheet.update([[1, 2, 3], [4, 5, 6], [7, 8, 9]], "A1")
    sheet.delete_columns(2)
    sheet.delete_rows(2)
    assert sheet.get_all_values() == [["1", "3"], ["7", "9"]]
    assert (sheet.row_count, sheet.col_count) == (999, 25)


def test_a_sheet_is_duplicated_with_its_formulas(sheet):
    """Gspread leaves the place open with a null; the copy has the values and a name of its own, once."""
    sheet.update([["a"], ["=1+1"]], "A1", raw=False)
    copy = sheet.duplicate(new_sheet_name="twin")
    assert copy.get_all_values() == [["a"], ["2"]]
    with pytest.raises(gspread.exceptions.APIError, match='name "twin" already exists'):
        sheet.duplicate(new_sheet_name="twin")


def test_a_tabs_colour_is_kept_in_steps_and_can_be_cleared(book, sheet):
    """Colours have 256 steps; a null takes the colour away, black stays a colour."""

    def shown():
        found = book.fetch_sheet_metadata({"fields": "sheets.properties.tabColorStyle"})
        return found["sheets"][0]["properties"]

    def paint(color):
        properties = {"sheetId": sheet.id, "tabColorStyle": {"rgbColor": color}}
        change = {"updateSheetProperties": {"properties": properties, "fields": "tabColorStyle"}}
        book.batch_update({"requests": [change]})

    paint({"red": 1, "green": 0, "blue": 0.5})
    assert shown() == {"tabColorStyle": {"rgbColor": {"red": 1, "blue": 0.49803922}}}
    paint(None)
    assert shown() == {}
    paint({"red": 0, "green": 0, "blue": 0})
    assert shown() == {"tabColorStyle": {"rgbColor": {}}}


def test_cells_that_are_null_are_neither_written_nor_counted(sheet):
    """Corners of a range: two cells, two rows, two columns."""
    sheet.update([["x"]], "B2")
    said = sheet.update([["a", None, None], [None, None, None], [None, None, "b"]], "A1")
    assert (said["updatedRange"], said["updatedRows"], said["updatedColumns"], said["updatedCells"]) == (
        "Sheet1!A1:C3", 2, 2, 2,
    )  # fmt: skip
    assert sheet.get_all_values() == [["a", "", ""], ["", "x", ""], ["", "", "b"]]


def test_a_warning_has_editors_as_a_protection_has(book, sheet):
    """The reply names those asked for, the sheet its owner too."""
    said = sheet.add_protected_range("A1:B2", warning_only=True)
    assert said["replies"][0]["addProtectedRange"]["protectedRange"]["editors"] == {}
    (listed,) = book.list_protected_ranges(sheet.id)
    assert listed["editors"]["users"]


def test_a_csv_becomes_a_sheet_of_its_own(gc, book):
    """As Google converts it: a new sheet of the usual size, in Google's own timezone; Drive's older answer is whole."""
    before = book.sheet1.id
    answer = gc.import_csv(book.id, "a,b\n1,2\n")
    assert (answer["title"], answer["userPermission"]["role"]) == (book.title, "owner")
    fresh = gc.open_by_key(book.id)
    assert fresh.sheet1.id != before
    assert (fresh.sheet1.row_count, fresh.sheet1.col_count) == (1000, 26)
    assert fresh.timezone == "America/Los_Angeles"
    assert fresh.sheet1.get_all_values() == [["a", "b"], ["1", "2"]]
