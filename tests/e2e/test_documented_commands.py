"""The documents' commands, run as they stand there; `tests/architecture/documented.py` is the list of which and where."""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests import services
from tests.architecture.documented import EXECUTED, ROOT, STACK, fences
from tests.e2e.test_whole_path import Demo, start, stop

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(1500)]
PATIENCE = 600
SERVERS = {
    "server.embedded": ("--api-port", "0", "--files-port", "0", "--web-port", "0"),
    "server.telegram": ("--port", "0"), "server.sheets": ("--port", "0"),
}  # fmt: skip
# one process runs them all: each would import the SDKs anew
RUNNER = """
import json, sys, traceback
for line in sys.stdin:
    program, *words = json.loads(line)
    print(f"\\n@@ ran {program} {words}", flush=True)
    try:
        if program == "moodflow":
            from flows.__main__ import main
            sys.argv = [program, *words]
            main()
        else:
            from clearml_utils.__main__ import main
            sys.exit(main(words))
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        code = "a traceback"
    print(f"\\n@@ ended {code}", flush=True)
"""


def clean(home: Path) -> dict[str, str]:
    hidden = ("MOODFLOW_", "CLEARML_", "PREFECT_")
    return {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | {
        "MOODFLOW_HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "160",
    }  # fmt: skip


def run(folder: Path, home: Path, commands: list[list[str]]) -> list[str]:
    """Run commands one after the other; what each printed. Each must exit 0."""
    given = "".join(json.dumps(command) + "\n" for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input=given, env=clean(home), cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    parts = [part.partition("\n@@ ended ") for part in ("\n" + done.stdout).split("\n@@ ran ")[1:]]
    assert [said[-3000:] for said, _, code in parts if code.strip() != "0"] == []
    assert len(parts) == len(commands), done.stdout[-3000:]
    return [said for said, _, _ in parts]


def a_study(path: Path) -> None:
    """Write a study of four people, twelve days of five beeps, as the documents' examples read it."""
    began = datetime(2026, 3, 2, 9, tzinfo=UTC)
    rows = ["person,day,beep,timestamp,na"]
    for person in range(4):
        for number in range(60):
            day, beep = divmod(number, 5)
            at = began + timedelta(days=day, hours=2 * beep, minutes=7 * person)
            value = 3 + person / 4 + math.sin(number / 3 + person) + 0.3 * math.cos(17.0 * number)
            rows.append(f"p{person},{day + 1},{beep + 1},{at:%Y-%m-%d %H:%M:%S},{value:.2f}")
    path.write_text("\n".join(rows) + "\n")


def test_commands_that_need_no_stack(tmp_path):
    """`moodflow indices` and `backtest` write the files that the documents name."""
    a_study(tmp_path / "study.csv")
    named = [c for c, where in EXECUTED.items() if where.endswith("::test_commands_that_need_no_stack")]
    assert len(named) == 3
    run(tmp_path, tmp_path / "home", [[*shlex.split(c), *(["--help"] if c == "moodflow" else [])] for c in named])
    assert (tmp_path / "indices.csv").read_text().startswith("person,n,n_pairs,mean,sd,")
    assert json.loads((tmp_path / "backtest.json").read_text())["persons"] == 4


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    """A small demo that is left running, as `make demo KEEP=1` leaves it."""
    found = start(tmp_path_factory.mktemp("documented") / "home", "--persons", "2", "--days", "5")
    yield found
    stop(found)


def test_commands_of_a_running_stack(demo: Demo, tmp_path):
    """Every command that the documents say of a running stack exits 0 and does what they say, in the folder it is run in."""
    tasks = [t["id"] for t in demo.tasks() if t["type"] != "controller"][:2]
    with demo.store() as store:
        message = store.messages.all()[0].message_id
    (survey,) = fences(ROOT / "docs" / "survey.md", "toml")
    (tmp_path / "my_study.toml").write_text(survey)
    policy = tmp_path / "policy.json"
    clearml = "python -m clearml_utils"
    policies = f"{clearml} versions|promote|rollback NAME --project P"
    project = ["--project", "Moodflow"]
    order: dict[str, list[list[str]]] = {
        "moodflow doctor --live": [],
        "moodflow why": [],
        "moodflow why MESSAGE_ID": [["moodflow", "why", message]],
        "moodflow compare --named candidate --html build/comparison.html": [
            ["moodflow", "compare", "--named", "c", "--html", "build/comparison.html"]
        ],
        "moodflow dashboards": [],
        "moodflow compare TASK_ID TASK_ID --html build/comparison.html": [
            ["moodflow", "compare", *tasks, "--html", "build/comparison.html"]
        ],
        "moodflow compare --model message-policy": [],
        "moodflow models --help": [],
        "moodflow models compare": [],
        "moodflow preview": [],
        "moodflow policy write FILE": [["moodflow", "policy", "write", str(policy)]],
        "moodflow policy register FILE": [["moodflow", "policy", "register", str(policy)]],
        "moodflow policy compare NAME 1 2": [["moodflow", "policy", "compare", "wording", "1", "2"]],
        "moodflow policy compared": [],
        f"{clearml} compare NAME --project P [--html page.html] [--record]": [
            ["clearml_utils", "compare", "message-policy", *project, "--html", "page.html", "--record"]
        ],
        policies: [
            ["clearml_utils", "versions", "message-policy", *project],
            ["clearml_utils", "promote", "message-policy", "2", *project],
            ["clearml_utils", "rollback", "message-policy", *project],
            ["clearml_utils", "promote", "message-policy", "2", *project],
        ],
        "moodflow policy rollback": [],
        "moodflow study check my_study.toml": [],
        "moodflow study open my_study.toml": [],
        "moodflow study open": [["moodflow", "study", "open", "my_study.toml"]],
        "moodflow people --study my_study": [],
        "moodflow export out/ --study my_study": [],
        "moodflow study end my_study --on 2027-03-31 --retention-days 365": [],
        "moodflow study rewrite-sheet": [],
    }
    assert order.keys() == {command for command, where in EXECUTED.items() if where == STACK}
    argvs = [argv for command, given in order.items() for argv in (given or [shlex.split(command)])]
    place = {command: argvs.index((given or [shlex.split(command)])[0]) for command, given in order.items()}
    said = run(tmp_path, demo.home, argvs)

    def words(command: str) -> str:
        return " ".join(said[place[command]].split())

    assert "Reproduced bit by bit" in words("moodflow why MESSAGE_ID")
    assert words("moodflow dashboards").count("/reports/") == 5
    assert "compare-tasks;ids=" in words("moodflow compare TASK_ID TASK_ID --html build/comparison.html")
    assert "<table>" in (tmp_path / "build" / "comparison.html").read_text()
    assert "<table>" in (tmp_path / "page.html").read_text()
    assert "v1 (champion)" in words("moodflow compare --model message-policy")
    assert "version 2" in words("moodflow policy register FILE")
    assert "champion: version 1" in words("moodflow policy rollback")
    assert (demo.home / "preview" / "messages.html").is_file()
    assert (tmp_path / "out" / "answers.csv").is_file()
    assert (tmp_path / "out" / "codebook.csv").is_file()


def test_the_local_stack_goes_up_and_down(tmp_path):
    """`moodflow up` starts everything, `status` shows it, `down` stops it: on free ports here."""
    home = tmp_path / "home"
    ports = ("clearml-api", "clearml-files", "clearml-web", "telegram", "sheets", "prefect")
    free = [word for name in ports for word in (f"--{name}-port", "0")]

    def moodflow(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flows", *words], env=clean(home), cwd=tmp_path, capture_output=True, text=True,
            check=False, timeout=PATIENCE,
        )  # fmt: skip

    up = moodflow("up", *free)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        shown = moodflow("status", "--json")
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert {"bot", "worker", "prefect"} <= json.loads((home / "stack.json").read_text())["processes"].keys()
    finally:
        down = moodflow("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not (home / "stack.json").exists()


@pytest.mark.parametrize("module", SERVERS)
def test_local_servers_start_as_documented(tmp_path, module):
    """Each local server says in one line of JSON where it is; only the ports differ from the documents'."""
    with services.running(module, tmp_path / "data", SERVERS[module]) as service:
        assert service.ready["urls"]["api"].startswith("http://127.0.0.1:")


def test_a_flow_of_ones_own_is_tracked_as_documented(demo: Demo, tmp_path):
    """The five lines, run with the configuration that the embedded server writes, are a run in ClearML."""
    prefect = json.loads((demo.home / "stack.json").read_text())["environment"]["PREFECT_API_URL"]
    first = fences(ROOT / "docs" / "track_your_own_flow.md", "python")[0]
    (tmp_path / "my_flow.py").write_text(first)
    with services.running("server.embedded", tmp_path / "data", SERVERS["server.embedded"]) as service:
        conf = tmp_path / "data" / "clearml.conf"
        env = clean(tmp_path / "home") | {
            "CLEARML_CONFIG_FILE": str(conf), "HOME": str(tmp_path), "PREFECT_API_URL": prefect,
        }  # fmt: skip
        command = [sys.executable, "-c", "from my_flow import hello; hello()"]
        subprocess.run(command, cwd=tmp_path, env=env, check=True, timeout=PATIENCE)
        assert conf.stat().st_mode & 0o777 == 0o600
        assert ">Prefect/hello<" in httpx.get(service.ready["urls"]["web"] + "/pipelines").text


def test_the_sheets_example_runs(tmp_path):
    """The README's lines make a spreadsheet with an unmodified gspread."""
    (body,) = fences(ROOT / "server" / "sheets" / "README.md", "python")
    with services.running("server.sheets", tmp_path / "data", SERVERS["server.sheets"]) as service:
        body = body.replace("http://127.0.0.1:8083", service.ready["urls"]["api"])
        body = body.replace(".moodflow/sheets/service-account.json", service.ready["credentials"])
        subprocess.run([sys.executable, "-c", body], cwd=tmp_path, env=clean(tmp_path), check=True, timeout=PATIENCE)
        assert "Answers" in httpx.get(service.ready["urls"]["page"]).text


def test_the_telegram_example_runs(tmp_path):
    """The README's lines make an application whose bot the local Telegram knows."""
    (body,) = fences(ROOT / "server" / "telegram" / "README.md", "python")
    with services.running("server.telegram", tmp_path / "data", SERVERS["server.telegram"]) as service:
        body = body.strip().replace("http://127.0.0.1:8082", service.ready["urls"]["api"])
        body = f"import asyncio\nfrom telegram.ext import Application\nbot = ({body}).build().bot\n"
        body += "async def ask():\n    async with bot:\n        print((await bot.get_me()).id)\nasyncio.run(ask())\n"
        done = subprocess.run(
            [sys.executable, "-c", body],
            env=clean(tmp_path),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        assert done.stdout.strip() == "123456"


def test_metrics_are_served(tmp_path):
    """`moodflow metrics --port` serves the numbers until Ctrl-C; the port is a free one here."""
    command = shlex.split("moodflow metrics --port 9464".replace("9464", "0"))[1:]
    with subprocess.Popen(
        [sys.executable, "-m", "flows", *command],
        env=clean(tmp_path / "home"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        health = json.loads(process.stdout.readline())["urls"]["health"]
        assert "moodflow_disk_free_mb" in httpx.get(health.replace("/health", "/metrics"), timeout=60).text
        process.terminate()
        assert process.wait(60) == 0


def test_a_password_is_hashed():
    """`python -m server.embedded hash-password` prints what the file of users holds."""
    import bcrypt

    done = subprocess.run(
        [sys.executable, "-m", "server.embedded", "hash-password"], input="correct horse\n", capture_output=True, text=True,
        cwd=ROOT, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert bcrypt.checkpw(b"correct horse", done.stdout.strip().splitlines()[-1].encode())


def ran(*module: str, cwd: Path = ROOT, **more: str) -> str:
    """What a module of ours prints, run by itself."""
    command = [sys.executable, "-m", *module]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_thresholds_are_made_by_the_command_named_beside_them():
    """With a few people instead of thousands: what `change.py` reads, thresholds that rise with inertia."""
    made = json.loads(ran("flows.analyse.calibration", "--people", "20", "--people-year", "10"))
    shipped = json.loads((ROOT / "flows" / "analyse" / "thresholds.json").read_text())
    assert made.keys() == shipped.keys()
    for name, table in made.items():
        assert table.keys() == shipped[name].keys()
        for row in (*table["early"], *table["late"]):
            assert len(row) == len(table["inertia"])
            assert row == sorted(row)
            assert row[0] > 0


@pytest.mark.parametrize("bench", ["server", "operate"])
def test_benchmarks_run_at_a_small_size(bench, tmp_path):
    """What `make bench-server` and `make bench-operate` run: each part does its work and leaves its figure."""
    ran(f"tests.benchmarks.{bench}", cwd=tmp_path, MOODFLOW_BENCH="short")
    found = json.loads((tmp_path / "build" / "bench" / "short" / f"{bench}.json").read_text())
    wanted = {
        "server": {"start_s", "restart_s", "events_per_s_1", "client_events_per_s_4", "rss_10k_mb", "page_ms_1k",
                   "histogram_1m_ms", "upload_mb_s", "download_mb_s"},
        "operate": {"first_cycle_s_20", "cycle_s_20", "dask_none_s", "dask_1_s", "dask_2_s"},
    }[bench]  # fmt: skip
    assert wanted <= found.keys()
    assert all(found[name] > 0 for name in wanted)


def test_what_the_bridge_needs_is_installed_by_pip():
    """`pip install prefect clearml`, from the index this environment was made from: what is there is found to do."""
    said = ran(
        "pip",
        "install",
        "--disable-pip-version-check",
        "prefect",
        "clearml",
        PIP_CONSTRAINT=str(ROOT / "constraints.txt"),
    )
    assert "Requirement already satisfied: prefect" in said
    assert "Requirement already satisfied: clearml" in said
