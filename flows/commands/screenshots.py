"""`make screenshots`: pictures of the running stack for REPORT.md, taken by a headless browser.

Every picture is of the run that is there, none is kept from an earlier one without saying so: `docs/images/images.json`
tells which server and web app is behind each, and what could not be taken and why.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows import settings as product
from flows.commands import processes, stack
from flows.commands.errors import ServiceError, StateError

IMAGES = Path("docs/images")
LIMIT = 150_000  # bytes of one picture
SIZE: Any = {"width": 1280, "height": 800}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETTLE_MS = 3_500  # charts of the web apps draw after the last request
OFFICIAL = "official ClearML web app"
VIEWER = "built-in viewer"


@dataclass(frozen=True)
class Shot:
    """One picture to take.

    Attributes
    ----------
    name
        File name without its ending.
    url
        What to open, None where the run has nothing of the kind.
    source
        Which web app shows it.
    see
        Text that must be on the page: a picture of an error or of an empty page is no picture.
    """

    name: str
    url: str | None
    source: str
    see: str = ""


def screenshots(
    webapp: Annotated[Path | None, typer.Option(help="A build of the official ClearML web app.")] = None,
    only: Annotated[str, typer.Option(help="Only these names, parted by commas.")] = "",
) -> None:
    """Take the pictures of REPORT.md from the running stack (`moodflow demo --keep`, `moodflow up`)."""
    settings = product.load()
    said = stack.read(settings.home)
    if said is None:
        raise StateError("no stack runs here: start one with `make demo KEEP=1` and take the pictures meanwhile")
    found = facts(settings.project)
    shots = prefect_shots(said["urls"]["Prefect"]) + local_shots(said["urls"], found)
    with _web_apps(settings.home, webapp) as (viewer, official):
        shots += clearml_shots(VIEWER, "viewer", viewer, found)
        shots += clearml_shots(OFFICIAL, "webapp", official, found)
        outcome = take([shot for shot in shots if not only or shot.name in only.split(",")], login_token())
    _tell(outcome, keep=bool(only))


def facts(project: str) -> dict[str, Any]:
    """Ids of what there is to picture: the newest pipeline, the tasks with most metrics, models, reports."""
    from clearml.backend_api.session.client import APIClient

    session = APIClient().session

    def ask(endpoint: str, **body: Any) -> Any:
        service, _, action = endpoint.partition(".")
        return session.send_request(service, action, method="post", json=body).json()["data"]

    fields = ["id", "name", "project", "parent", "last_metrics", "type"]
    root = ask("projects.get_all", name=f"^{project}$", only_fields=["id"])["projects"]
    under = {"name": f"^{project}(/.*)?$", "search_hidden": True, "only_fields": ["id", "name"]}
    below = ask("projects.get_all", **under)["projects"]
    inside = [p["id"] for p in below]
    cycles = {p["id"] for p in below if p["name"].endswith("/cycle")}
    tasks = ask("tasks.get_all", project=inside or [""], search_hidden=True, only_fields=fields, page=0, page_size=500,
                order_by=["-last_update"])["tasks"]  # fmt: skip
    models = ask("models.get_all", only_fields=["id", "name", "project"], order_by=["-created"])["models"]
    reports = ask("reports.get_all_ex", only_fields=["id", "name", "project.id"])["tasks"]
    controllers = [t for t in tasks if t["type"] == "controller" and t["project"] in cycles]
    rich = sorted((t for t in tasks if t["type"] != "report"), key=lambda t: -len(t.get("last_metrics") or {}))
    stems: dict[str, list[dict[str, Any]]] = {}
    for task in rich:
        stems.setdefault(task["name"].rpartition("-")[0], []).append(task)
    alike = max((g for stem, g in stems.items() if stem and len(g) > 1), key=len, default=rich)
    return {"root": root[0]["id"] if root else None, "tasks": rich, "cycle": controllers[:1], "models": models,
            "reports": reports, "alike": alike[:3]}  # fmt: skip


def clearml_shots(source: str, prefix: str, base: str | None, found: dict[str, Any]) -> list[Shot]:
    """Pages of ClearML, in one of its two web apps."""
    task = found["tasks"][0] if found["tasks"] else None
    model = found["models"][0] if found["models"] else None
    one = f"/projects/{task['project']}/experiments/{task['id']}" if task else None
    version = f"/projects/{model['project']}/models/{model['id']}/general" if model else None
    same = [m["id"] for m in found["models"] if model and m["name"] == model["name"]]
    cycle = found["cycle"][0] if found["cycle"] else None
    graph = f"/pipelines/{cycle['project']}/experiments/{cycle['id']}" if cycle else None
    report = found["reports"][0] if found["reports"] else None
    paths: dict[str, tuple[str | None, str]] = {
        "projects": ("/projects" if prefix == "viewer" else "/dashboard", "Moodflow"),
        "credentials": ("/settings/workspace-configuration", "redential"),
        "experiments": (f"/projects/{found['root'] if prefix == 'viewer' else '*'}/experiments", ""),
        "experiment": (f"{one}/hyper-params/hyper-param/Args" if one else None, ""),
        "comparison": (f"/projects/*/compare-experiments;ids={','.join(t['id'] for t in found['alike'])}/details"
                       if len(found["alike"]) > 1 else None, found["alike"][0]["name"] if found["alike"] else ""),
        "scalars": (f"{one}/info-output/metrics/scalar" if one else None, ""),
        "plots": (f"{one}/info-output/metrics/plots" if one else None, "" if prefix == "viewer" else "js-plotly-plot"),
        "report": (f"/reports/{report['project']['id']}/{report['id']}" if report else None, ""),
        "models": ("/models" if prefix == "viewer" else f"/projects/{found['root']}/models", ""),
        "model": (version, ""),
        "model-comparison": (f"/projects/*/compare-models;ids={','.join(same[:3])}" if len(same) > 1 else None, ""),
        "pipeline": (graph, ""),
        "queues": ("/workers-and-queues/queues", "ueue"),
    }  # fmt: skip
    return [
        Shot(f"{prefix}-{name}", f"{base}{path}" if base and path else None, source, see)
        for name, (path, see) in paths.items()
    ]


def prefect_shots(base: str) -> list[Shot]:
    """Pages of Prefect."""
    names = {"runs": "Runs", "deployments": "Deployments", "automations": "Automations"}
    return [Shot(f"prefect-{path}", f"{base}/{path}", "Prefect", see) for path, see in names.items()]


def local_shots(urls: dict[str, str], found: dict[str, Any]) -> list[Shot]:  # noqa: ARG001 - one signature for all
    """The chat page of the person with most messages, and the Sheet's answers."""
    import httpx

    chat = sheet = None
    if "Telegram" in urls and urls["Telegram"].startswith("http://127"):
        root = urls["Telegram"].removesuffix("/chat")
        chats = httpx.get(f"{root}/client/chats").json()
        listed = chats["chats"] if isinstance(chats, dict) else chats
        full = max(listed, key=lambda c: _pictures(root, c), default=None)
        chat = f"{root}/chat#{full['bot_id']}/{full['chat_id']}" if full else None
    if "Sheets" in urls and urls["Sheets"].startswith("http://127"):
        sheet = _sheet(urls["Sheets"])
    return [Shot("chat", chat, "local Telegram"), Shot("sheet", sheet, "local Sheets")]


def _pictures(root: str, chat: dict[str, Any]) -> tuple[int, int]:
    import httpx

    got = httpx.get(f"{root}/client/chats/{chat['chat_id']}/messages").json()
    messages = got["messages"] if isinstance(got, dict) else got
    return sum("photo" in message for message in messages), len(messages)


def _sheet(root: str) -> str:
    """Address of the first spreadsheet's page on the local endpoint."""
    import re

    import httpx

    book = re.search(r'href="/?(\?id=[^"]+)"', httpx.get(f"{root}/").text)
    if book is None:
        return f"{root}/"
    answers = re.search(r'href="/?(\?[^"]+)">answers<', httpx.get(f"{root}/{book[1]}").text)
    return f"{root}/{(answers or book)[1]}".replace("&amp;", "&")


def login_token() -> str:
    """Token of the stack's own key pair, for the web app's cookie."""
    from clearml.backend_api import Session

    return str(Session().token)


@contextmanager
def _web_apps(home: Path, webapp: Path | None) -> Iterator[tuple[str, str | None]]:
    """Serve a copy of the run in both web apps: the running server shows only one of them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(home / "clearml", copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("clearml.db*"))
        source, target = sqlite3.connect(home / "clearml" / "clearml.db"), sqlite3.connect(copy / "clearml.db")
        with closing(source), closing(target):
            source.backup(target)
        started = [_serve(copy, None)]
        try:
            started += [_serve(copy, webapp)] if webapp else []
            urls = [child.ready["urls"]["web"] for child in started]
            yield urls[0], urls[1] if len(urls) > 1 else None
        finally:
            processes.stop_all(started)


def _serve(data: Path, webapp: Path | None) -> processes.Child:
    command = [sys.executable, "-m", "server.embedded", "--data", str(data)]
    command += ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
    command += ["--webapp", str(webapp)] if webapp else []
    name = "webapp" if webapp else "viewer"
    child = processes.launch(name, command, data / "logs", dict(os.environ), pipe=True)
    child.ready = processes.await_line(child)
    return child


def take(shots: list[Shot], token: str) -> dict[str, dict[str, str]]:
    """Take the pictures. Returns by name what is behind it, and what is missing and why."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ServiceError("playwright is not installed: pip install -e '.[test]'") from error
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ServiceError("no chromium on the PATH: apt-get install chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    outcome: dict[str, dict[str, str]] = {}
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(viewport=SIZE, locale="ru-RU", color_scheme="light")
        context.add_cookies([{"name": "clearml_token_basic", "value": token, "domain": "127.0.0.1", "path": "/"}])
        page = context.new_page()
        for shot in shots:
            outcome[shot.name] = _one(page, shot)
        browser.close()
    return outcome


def _one(page: Any, shot: Shot) -> dict[str, str]:
    from playwright.sync_api import Error

    said = {"source": shot.source}
    if shot.url is None:
        return said | {"missing": "the run has none"}
    try:
        page.goto(shot.url, timeout=60_000)
        page.wait_for_load_state("networkidle", timeout=20_000)
    except Error as error:
        if "Timeout" not in str(error):
            return said | {"missing": str(error).splitlines()[0]}
    welcome = page.get_by_role("button", name="GET STARTED")  # the web app greets a browser it has not seen
    if welcome.is_visible():
        page.keyboard.press("Escape")
    page.wait_for_timeout(SETTLE_MS)
    if shot.see and shot.see not in page.content():
        return said | {"missing": f"{shot.see!r} is not on the page"}
    data = small(page.screenshot)
    (IMAGES / f"{shot.name}.png").write_bytes(data)
    return said


def small(picture: Callable[[], bytes]) -> bytes:
    """Write a picture with as many colours, and if need be as large, as the limit allows."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture())).convert("RGB")
    data = b""
    for colours, scale in ((128, 1.0), (48, 1.0), (48, 0.8), (24, 0.65)):
        size = (round(image.width * scale), round(image.height * scale))
        out = io.BytesIO()
        image.resize(size).quantize(colours).save(out, "PNG", optimize=True)
        data = out.getvalue()
        if len(data) <= LIMIT:
            break
    return data


def _tell(outcome: dict[str, dict[str, str]], *, keep: bool) -> None:
    path = IMAGES / "images.json"
    before = json.loads(path.read_text()) if keep and path.is_file() else {}
    path.write_text(json.dumps(before | outcome, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    out = Console()
    for name, said in outcome.items():
        out.print(f"{'MISSING' if 'missing' in said else 'ok':8} {name}: {said.get('missing', said['source'])}")
