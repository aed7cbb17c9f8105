"""Where the Sheet ends, as docs/scale.md has it, is computed from the columns the product writes."""

from __future__ import annotations

import re
from pathlib import Path

from flows.clients.sheets import HEADERS
from flows.collect.rows import KEYS
from flows.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text()
CELLS = 10_000_000


def number(text: str) -> int:
    return int(re.sub(r"[^\d]", "", text))


def test_the_table_of_the_sheets_end_is_what_the_columns_give():
    """Answers that fit, and days of three studies, follow from the key columns, the items and the prompts' columns."""
    prompt = len(HEADERS["prompts"])
    assert f"`{len(KEYS)} + items` cells" in PAGE
    assert f"prompt {prompt} more" in PAGE
    rows = re.findall(r"^\| (\d+)[^|]*\| ([\d,]+) \|(.*)\|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for items, fit, days in rows:
        answers = CELLS // (len(KEYS) + int(items) + prompt)
        assert number(fit) == answers
        studies = [(50, 5), (200, 5), (1000, 10)]
        assert [number(cell) for cell in days.split("|")] == [answers // (people * beeps) for people, beeps in studies]


def test_a_new_spreadsheet_is_begun_before_the_end():
    """The product's own limit is below Google's."""
    assert Settings.model_fields["sheet_cells"].default < CELLS
    assert f"{Settings.model_fields['sheet_cells'].default:,}" in PAGE
