"""Every command that the documents name, and the one visible list of where each is executed.

A command is a line of a `console`, `sh` or `bash` block, a line of an indented block, or an inline code span, that begins
with a program people type. Notations of the same command are brought to one: `.venv/bin/python -m flows` is `moodflow`,
comments and what explains a command in its line are cut.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:moodflow|make|prefect|docker|curl|pip|git|psql|systemctl|python3?) ?")

RUNS = "tests/e2e/test_documented_commands.py::"
RUNBOOK = "tests/e2e/test_runbook.py::test_every_command_of_the_runbook_works"
DRY = "tests/architecture/test_documented.py::test_make_does_what_the_documents_say"
DEMO = "tests/e2e/test_whole_path.py::test_every_answer_reaches_the_sheet_once"
STARTS = RUNS + "test_local_servers_start_as_documented"
SHORT = RUNS + "test_benchmarks_run_at_a_small_size"
OFFICIAL = (
    "tests/contract/test_official_bootstrap.py::test_one_command_brings_it_up_and_the_second_time_changes_nothing"
)
STUDY = RUNS + "test_commands_of_a_running_stack"
STACK = STUDY
UP = RUNS + "test_the_local_stack_goes_up_and_down"
TRAINED = "tests/e2e/test_training_pipeline.py::test_the_training_"
FRESH = "tests/architecture/test_docs.py::test_the_configuration_page_is_fresh"

EXECUTED = {
    "make demo": DEMO, "make demo KEEP=1": DEMO, "make test": DRY, "make lint": DRY, "make check": DRY,
    "make report": "tests/unit/commands/test_report.py::test_the_report_is_written_from_a_run",
    "make report CHECK=1": "tests/unit/commands/test_report.py::test_what_disagrees_is_named",
    "make screenshots": "tests/unit/commands/test_screenshots.py::test_pictures_are_taken_and_what_is_missing_is_named",
    "make screenshots WEBAPP=DIR": DRY,
    "moodflow": RUNS + "test_commands_that_need_no_stack",
    "moodflow up": UP, "moodflow up --foreground": UP, "moodflow status": UP, "moodflow down": UP,
    "moodflow deploy": "tests/integration/operations/test_deploy.py",
    "moodflow doctor": RUNBOOK, "moodflow doctor --live": STACK, "moodflow health": RUNBOOK,
    "moodflow metrics": RUNBOOK, "moodflow metrics --port 9464": RUNS + "test_metrics_are_served",
    'moodflow backup "$BACKUPS"': RUNBOOK, 'moodflow restore "$BACKUP"': RUNBOOK,
    'moodflow push --to "$TARGET"': RUNBOOK, "moodflow push": RUNBOOK,
    "moodflow why": STACK, "moodflow why MESSAGE_ID": STACK, "moodflow preview": STACK, "moodflow dashboards": STACK,
    "moodflow compare --model message-policy": STACK,
    "moodflow compare --named candidate --html build/comparison.html": STACK,
    "moodflow compare TASK_ID TASK_ID --html build/comparison.html": STACK,
    "moodflow models --help": STACK, "moodflow models compare": STACK,
    "moodflow indices": "tests/e2e/test_documented_commands.py",  # the words alone, in prose
    "moodflow backtest": "tests/e2e/test_documented_commands.py",
    "moodflow indices study.csv --target na --out indices.csv": RUNS + "test_commands_that_need_no_stack",
    "moodflow backtest study.csv --target na --json backtest.json": RUNS + "test_commands_that_need_no_stack",
    "moodflow study check my_study.toml": STUDY, "moodflow study open my_study.toml": STUDY,
    "moodflow study open": STUDY, "moodflow study rewrite-sheet": STUDY,
    "moodflow study end my_study --on 2027-03-31 --retention-days 365": STUDY,
    "moodflow people --study my_study": STUDY, "moodflow export out/ --study my_study": STUDY,
    "moodflow policy write FILE": STACK, "moodflow policy register FILE": STACK,
    "moodflow policy compare NAME 1 2": STACK, "moodflow policy compared": STACK, "moodflow policy rollback": STACK,
    "python -m clearml_utils flush": RUNBOOK, "python -m clearml_utils reconcile": RUNBOOK,
    "python -m clearml_utils status": RUNBOOK,
    "python -m clearml_utils compare NAME --project P [--html page.html] [--record]": STACK,
    "python -m clearml_utils versions|promote|rollback NAME --project P": STACK,
    "python -m deployments.configuration_reference": FRESH,
    "python -m deployments.training_pipeline --study study.csv --local": TRAINED + "is_a_pipeline_of_clearml",
    "python -m deployments.training_pipeline --study study.csv --queue training": TRAINED + "is_enqueued_by_clearml_itself",
    "python -m deployments.training_schedule time --task ID --queue training --at 03:00": TRAINED + "is_enqueued_by_clearml_itself",
    "python -m deployments.training_schedule trigger --task ID --queue training": TRAINED + "is_enqueued_by_clearml_itself",
    "make audit": "tests/architecture/test_audit.py",  # against an advisory service of the test's own
    "make campaign": DRY,  # its tests run short in `make test`
    "make bench-operate": SHORT, "make bench-server": SHORT,
    "pip install prefect clearml": RUNS + "test_what_the_bridge_needs_is_installed_by_pip",
    "python -m flows.analyse.calibration": RUNS + "test_the_thresholds_are_made_by_the_command_named_beside_them",
    "python -m server.official up": OFFICIAL, "python -m server.official logs": OFFICIAL,  # its `docker` has no engine
    "python -m flows.bot": "tests/integration/survey/test_bot.py",
    "python -m server.embedded": STARTS, "python -m server.embedded --data DIR": STARTS,
    "python -m server.embedded --data .moodflow/clearml": STARTS,
    "python -m server.embedded backup --data DIR --to NEW": "tests/contract/test_embedded_operation.py",
    "python -m server.embedded hash-password": RUNS + "test_a_password_is_hashed",
    "python -m server.embedded.coverage": "tests/unit/server_embedded/test_coverage.py",
    "python -m server.sheets.coverage": "tests/contract/sheets/test_service.py",
    "python -m server.telegram.coverage": "tests/unit/server_telegram/test_parts.py",
    "python -m server.sheets --data .moodflow/sheets --port 8083": STARTS,
    "python -m server.telegram --data .moodflow/telegram": STARTS,
}  # fmt: skip

EXAMPLES = {
    ("clearml_utils/README.md", "python"): "tests/contract/bridge/test_readme.py::test_the_example_runs",
    ("docs/track_your_own_flow.md", "python"): "tests/architecture/test_docs.py::test_examples_of_tracking_run",
    ("REPORT.md", "python"): "tests/architecture/test_docs.py::test_examples_of_tracking_run",
    ("docs/survey.md", "toml"): STUDY,
    ("server/sheets/README.md", "python"): RUNS + "test_the_sheets_example_runs",
    ("server/telegram/README.md", "python"): RUNS + "test_the_telegram_example_runs",
}


def documents() -> list[Path]:
    """Every document of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def normal(line: str) -> str | None:
    """One notation of a command; None where the line is none.

    Examples
    --------
    >>> normal(".venv/bin/python -m flows status   # what runs"), normal("x = 1")
    ('moodflow status', None)
    """
    line = re.split(r"\s{2,}|\s+#\s", line.strip().removeprefix("$ "), maxsplit=1)[0]
    line = line.removeprefix(".venv/bin/").replace("python -m flows ", "moodflow ", 1)
    line = "moodflow" if line == "python -m flows" else line
    return line if PROGRAMS.match(line) and (" " in line or line == "moodflow") else None


def fences(path: Path, kind: str) -> list[str]:
    """Bodies of a document's blocks of one language."""
    return [body for k, body in FENCE.findall(path.read_text()) if k == kind]


def commands() -> dict[str, set[str]]:
    """Every documented command, and the documents that name it."""
    found: dict[str, set[str]] = {}
    for path in documents():
        text = path.read_text()
        blocks = [body for kind, body in FENCE.findall(text) if kind in {"console", "sh", "bash"}]
        rest = FENCE.sub("", text)
        lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"^    (\S.*)$", rest, re.MULTILINE) + re.findall(r"`([^`\n]+)`", rest)
        for line in lines:
            command = normal(line)
            if command is not None and command != "moodflow":
                found.setdefault(command, set()).add(str(path.relative_to(ROOT)))
    return found
