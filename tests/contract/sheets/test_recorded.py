"""What Google answered to gspread's own tests, asked of the local endpoint again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contract.sheets.replay import Replay

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("MOODFLOW_SHARED", ROOT.parent / "shared"))
FILES = sorted((SHARED / "recorded" / "sheets").glob("*.jsonl"))

OUT_OF_SCOPE = {
    "ClientTest.test_open_all_has_metadata": "opens files that the recorded account had before the record began",
    "ClientTest.test_openall": "opens files that the recorded account had before the record began",
}
"""Files with calls that cannot be asked again, and why; their other calls are compared like all the rest."""


@pytest.mark.xdist_group("sheets")
@pytest.mark.skipif(not FILES, reason="the recorded answers are not beside this checkout")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_answers_are_given_again(path, root, token):
    """Status and every field agree with the record; ids are mapped, and times, fonts and addresses are only there."""
    replay = Replay(root, token)
    assert replay.run(path) == []
    assert bool(replay.outside) == (path.stem in OUT_OF_SCOPE)


@pytest.mark.xdist_group("sheets")
@pytest.mark.skipif(not FILES, reason="the recorded answers are not beside this checkout")
def test_a_wrong_answer_is_noticed(root, token):
    """The replay tells a value, a missing field, an extra field and a wrong status from the record."""
    replay = Replay(root, token)
    assert replay.compare({"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 2]}, "")
    assert replay.compare({"a": 1}, {}, "")
    assert replay.compare({}, {"a": 1}, "")
    assert replay.compare({"values": [[1]]}, {"values": [[True]]}, "")
    replay.call(
        1, {"method": "GET", "path": "/v4/spreadsheets/none", "query": "", "body": None, "status": 200, "answer": {}}
    )
    assert replay.differences
