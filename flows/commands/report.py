"""`make report`: the numbers of REPORT.md, from a run.

The report's prose names numbers as `<!--n:KEY-->VALUE<!--/n-->`, and one block between `<!--numbers-->` and
`<!--/numbers-->` is the run's summary as a table. Both are written from `docs/report_run.json`, which is what the last
demo and the benchmarks left, so that a reader of the repository can check the text against it without a run.

A picture is `<!--p:NAME|CAPTION-->` to `<!--/p-->`, written from the list of pictures: with what is behind it, or why
it is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import settings as product
from flows.commands import pictures
from flows.commands.errors import CommandError, StateError

REPORT, RUN, BENCH = Path("REPORT.md"), Path("docs/report_run.json"), Path("build/bench")
IMAGES = Path("docs/images/images.json")
_INLINE = re.compile(r"<!--n:([\w.]+)-->(.*?)<!--/n-->", re.DOTALL)
_BLOCK = re.compile(r"<!--numbers-->\n(.*?)<!--/numbers-->", re.DOTALL)
_PICTURE = re.compile(r"<!--p:([\w-]+)\|(.*?)-->\n(.*?)<!--/p-->", re.DOTALL)
_BEHIND = {
    pictures.VIEWER: "встроенный просмотрщик (built-in viewer), данные встроенного сервера",
    pictures.OFFICIAL: "официальное веб-приложение (official ClearML web app) поверх встроенного сервера",
    pictures.PREFECT: "Prefect, локальный сервер",
    pictures.TELEGRAM: "страница чата локального сервера (local Telegram)",
    pictures.SHEETS: "страница локального сервера (local Sheets)",
    pictures.TERMINAL: "вывод make demo в терминале",
}
Images = Mapping[str, Mapping[str, str]]
_COUNTS = {
    "people": "Участников", "prompts": "Опросов по состояниям", "sheet_rows": "Строк ответов в таблице",
    "flow_runs": "Запусков потоков в Prefect", "task_runs": "Запусков задач в Prefect",
    "clearml.controllers": "Контроллеров в ClearML", "clearml.children": "Дочерних задач в ClearML",
    "clearml.metrics": "Метрик в ClearML", "clearml.artifacts": "Артефактов в ClearML",
    "models": "Модели в реестре", "messages": "Доставлено сообщений",
}  # fmt: skip


class ReportError(CommandError):
    """The report and the run disagree."""


def report(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail where text and run disagree.")] = False,  # noqa: FBT002 - an option
) -> None:
    """Write the numbers of REPORT.md from the last demo run and the benchmarks."""
    summary = product.load().home / "summary.json"
    if not summary.is_file():
        raise StateError(f"{summary} is not there: run `make demo` first, its summary is what the report is about")
    before = json.loads(RUN.read_text()) if RUN.is_file() else {}
    run = before | collect(summary, BENCH)  # a benchmark that did not run since keeps its figures
    images: Images = json.loads(IMAGES.read_text()) if IMAGES.is_file() else {}
    text = REPORT.read_text()
    written = render(text, run, images)
    if check:
        wrong = disagreements(text, run, images)
        if wrong:
            raise ReportError("REPORT.md and the run disagree; `make report` rewrites it:\n" + "\n".join(wrong))
        return
    RUN.write_text(json.dumps(run, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    REPORT.write_text(written)
    print(f"{REPORT}: {len(_INLINE.findall(written))} numbers in the text, {len(_COUNTS)} lines in the table")


def collect(summary: Path, bench: Path) -> dict[str, Any]:
    """Read what the run and the benchmarks left; addresses, which differ from run to run, are left out."""
    said = json.loads(summary.read_text())
    said.pop("addresses", None)
    said["models"] = [{k: m[k] for k in ("name", "version", "stage")} for m in said.get("models", [])]
    return {"run": said} | {path.stem: json.loads(path.read_text()) for path in sorted(bench.glob("*.json"))}


def value(run: Mapping[str, Any], key: str) -> str:
    """Look a number up by its dotted key.

    Raises
    ------
    ReportError
        The run has no such number.
    """
    found: Any = run
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise ReportError(f"REPORT.md names {key}, which the run and the benchmarks did not leave: run them first")
        found = found[part]
    if isinstance(found, Mapping):
        return str(sum(int(number) for number in found.values()))
    return f"{found:.4g}" if isinstance(found, float) else str(found)


def render(text: str, run: Mapping[str, Any], images: Images) -> str:
    """Write the run's numbers and pictures into the report."""
    text = _PICTURE.sub(lambda m: f"<!--p:{m[1]}|{m[2]}-->\n{picture(m[1], m[2], images)}\n<!--/p-->", text)
    inline = _INLINE.sub(lambda m: f"<!--n:{m[1]}-->{value(run, m[1])}<!--/n-->", text)
    return _BLOCK.sub(lambda _: f"<!--numbers-->\n{block(run['run'])}\n<!--/numbers-->", inline)


def picture(name: str, caption: str, images: Images) -> str:
    """Write a picture with a caption that tells what is behind it; where there is none, that, and why."""
    said = images.get(name, {"missing": "not taken yet"})
    if "missing" in said:
        return f"*{caption}: снимка `{name}` нет ({said['missing']}).*"
    behind = _BEHIND[said["source"]] + (" (снимок прежнего запуска)" if "kept" in said else "")
    return f"![{caption}: {behind}](docs/images/{name}.png)\n\n*{caption}: {behind}.*"


def disagreements(text: str, run: Mapping[str, Any], images: Images) -> list[str]:
    """Name every number and picture of the text that is not the run's."""
    wrong = [
        f"- {key}: text {said}, run {value(run, key)}" for key, said in _INLINE.findall(text) if said != value(run, key)
    ]
    before = [line for found in _BLOCK.findall(text) for line in found.strip().splitlines()]
    after = block(run["run"]).splitlines()
    wrong += [f"- table: {line}" for line in before if line not in after]
    shown = {name for name, _, _ in _PICTURE.findall(text)}
    wrong += [f"- picture {name}: not in the text" for name in sorted(images.keys() - shown)]
    return wrong + [
        f"- picture {name}: the text does not say what the list of pictures says"
        for name, caption, said in _PICTURE.findall(text)
        if said.strip() != picture(name, caption, images)
    ]


def block(run: Mapping[str, Any]) -> str:
    """Write the run's counts as a Markdown table."""
    rows = ["| Что | Сколько |", "|---|---|"]
    for key, name in _COUNTS.items():
        found: Any = run
        for part in key.split("."):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        rows.append(f"| {name} | {_words(found)} |")
    return "\n".join(rows)


def _words(found: Any) -> str:
    if isinstance(found, Mapping):
        return ", ".join(f"{number} {name}" for name, number in sorted(found.items()) if number) or "нет"
    if isinstance(found, list):
        return ", ".join(f"{m['name']} v{m['version']} ({m['stage']})" for m in found) or "нет"
    return str(found)
