"""`make report`: numbers and pictures of the text are those of the run, and a disagreement ends in an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.commands import report
from flows.commands.errors import StateError
from flows.commands.report import ReportError, disagreements, render

TEXT = """# Отчёт
Людей: <!--n:run.people-->?<!--/n-->, секунд: <!--n:demo.wall_s-->?<!--/n-->, сообщений: <!--n:run.messages-->?<!--/n-->.

<!--numbers-->
<!--/numbers-->

<!--p:chat|Чат-->
<!--/p-->

<!--p:alert|Оповещение-->
<!--/p-->
"""
IMAGES = {"chat": {"source": "local Telegram"}, "alert": {"source": "local Telegram", "missing": "no stack"}}
SUMMARY = {"people": 7, "sheet_rows": 90, "messages": {"insight": 3, "prompt": 4}, "addresses": {"ClearML": "http://x"},
           "models": [{"name": "m", "version": 1, "stage": "champion", "id": "x"}]}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder after a demo of seven people and its pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODFLOW_HOME", str(tmp_path / "home"))
    for folder in ("home", "docs/images", "build/bench"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "REPORT.md").write_text(TEXT)
    (tmp_path / "docs/images/images.json").write_text(json.dumps(IMAGES))
    (tmp_path / "home/summary.json").write_text(json.dumps(SUMMARY))
    (tmp_path / "build/bench/demo.json").write_text('{"wall_s": 81.8}')
    return tmp_path


def test_the_report_is_written_from_a_run(here: Path):
    """Numbers, the table, pictures with what is behind them and the reason of a missing one are written; a check agrees."""
    report.report()
    text = (here / "REPORT.md").read_text()
    for words in ("-->7<!--/n-->", "-->81.8<!--", "| Участников | 7 |", "3 insight, 4 prompt", "m v1 (champion)"):
        assert words in text, words
    assert "](docs/images/chat.png)" in text
    assert "*Оповещение: снимка `alert` нет (no stack).*" in text
    assert "http://x" not in (here / "docs/report_run.json").read_text(), "addresses differ from run to run"
    report.report(check=True)


def test_what_disagrees_is_named(here: Path):
    """After another run the check fails, names the number and the line of the table, and changes nothing."""
    report.report()
    before = (here / "REPORT.md").read_text()
    (here / "home/summary.json").write_text(json.dumps(SUMMARY | {"people": 8}))
    with pytest.raises(ReportError, match=r"run\.people: text 7, run 8"):
        report.report(check=True)
    assert (here / "REPORT.md").read_text() == before


def test_a_benchmark_that_did_not_run_keeps_its_figures(here: Path):
    """Figures of an earlier benchmark stay in the report's numbers."""
    report.report()
    (here / "build/bench/demo.json").unlink()
    report.report()
    assert "-->81.8<!--" in (here / "REPORT.md").read_text()


def test_without_a_run_it_says_what_to_do(here: Path):
    """No summary: an error that names `make demo`."""
    (here / "home/summary.json").unlink()
    with pytest.raises(StateError, match="make demo"):
        report.report()


def test_a_picture_and_a_table_that_change_are_told():
    """A line of the table, a caption and a picture that the text does not show are each named."""
    run = {"run": SUMMARY, "demo": {"wall_s": 81.8}}
    text = render(TEXT, run, IMAGES)
    assert disagreements(text, run, IMAGES) == []
    changed = text.replace("| Участников | 7", "| Участников | 9").replace("нет (no stack)", "есть")
    wrong = disagreements(changed, run, IMAGES | {"sheet": {"source": "local Sheets"}})
    assert [line.partition(":")[0] for line in wrong] == ["- table", "- picture sheet", "- picture alert"]


def test_a_number_that_no_run_left_is_an_error():
    """A key of the text that the run has not is named, with what to run."""
    with pytest.raises(ReportError, match=r"bench\.nothing"):
        render("<!--n:bench.nothing-->1<!--/n-->", {"run": SUMMARY}, {})
