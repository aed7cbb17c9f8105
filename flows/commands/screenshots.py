"""`make screenshots`: pictures of the running stack for REPORT.md, taken by a headless browser.

Every picture is of the run that is there, none is kept from an earlier one without saying so: `docs/images/images.json`
tells which server and web app is behind each, and what could not be taken and why. What has to happen for a picture
(a survey, a pipeline that runs, an alert) is acted out on the stack first: `flows.commands.scenes`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from httpx import HTTPError
from rich.console import Console

from flows import settings as product
from flows.commands import pictures, prefect_api, processes, scenes, stack
from flows.commands.errors import CommandError, ServiceError, StateError
from flows.commands.pictures import OFFICIAL, PREFECT, TELEGRAM, TERMINAL, VIEWER, Shot
from flows.commands.summary import Summary

IMAGES = Path("docs/images")
LIMIT = 150_000  # bytes of one picture
SIZE: Any = {"width": 1280, "height": 800}
WIDE: Any = {"width": 1680, "height": 1050}  # of the official web app, which is made for large screens
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETTLE_S = 8.0  # longest wait for a page to stop changing
LIVE_SETTLE_S = 2.0  # the same where what runs goes on meanwhile
SEE_MS = 90_000  # longest wait for what must be on a page
CHAT = dict.fromkeys(
    ("chat-1-consent", "chat-2-question", "chat-3-review", "chat-4-thanks", "chat-5-insight"), TELEGRAM
)
PIPELINE_RUNNING = {"viewer-pipeline-running": VIEWER, "webapp-pipeline-running": OFFICIAL}
LIVE = {*PIPELINE_RUNNING, "prefect-running"}
NO_BUILD = "no build of the official web app was named"
out = Console()
Outcome = dict[str, dict[str, str]]


def screenshots(
    webapp: Annotated[Path | None, typer.Option(help="A build of the official ClearML web app.")] = None,
    only: Annotated[str, typer.Option(help="Only these names, parted by commas; nothing is acted out.")] = "",
) -> None:
    """Take the pictures of REPORT.md from the running stack (`moodflow demo --keep`, `moodflow up`)."""
    settings = product.load()
    said = stack.read(settings.home)
    if said is None:
        raise StateError("no stack runs here: start one with `make demo KEEP=1` and take the pictures meanwhile")
    if webapp is not None and not (webapp / "index.html").is_file():
        raise StateError(f"{webapp} is no build of the web app: there is no index.html in it")
    environment = {**os.environ, **said["environment"]}
    wanted = {name for name in only.split(",") if name}
    with _browser() as page:
        camera = Camera(page, official=webapp is not None)
        if not wanted or "summary" in wanted:
            printed(settings.home, camera)
        if not wanted:
            act_out(scenes.Stage(settings.home, environment, said["urls"], page, camera.keep), camera, webapp)
        found = pictures.facts(settings.project)
        with prefect_api.client(environment) as api:
            shots = pictures.prefect_shots(said["urls"]["Prefect"], api)
        shots.append(pictures.sheet_shot(said["urls"].get("Sheets", "")))
        with web_apps(settings.home, webapp, said["urls"]["ClearML"]) as (viewer, official):
            shots += pictures.clearml_shots(VIEWER, viewer, found) + pictures.clearml_shots(OFFICIAL, official, found)
            for shot in shots:
                if not wanted or shot.name in wanted:
                    camera.take(shot)
    _tell(camera.outcome, keep=bool(wanted))


def printed(home: Path, camera: Camera) -> None:
    """Take `summary`: what `make demo` printed of the run that is there."""
    path = home / "summary.json"
    if not path.is_file():
        camera.outcome["summary"] = {"source": TERMINAL, "missing": "the stack was not started by make demo"}
        return
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(Summary(**json.loads(path.read_text())).as_table())
    camera.page.set_content(console.export_html(inline_styles=True))
    camera.page.add_style_tag(content="pre { display: inline-block; padding: 1rem; background: #f6f8fa }")
    camera.keep("summary", TERMINAL, "pre")


def act_out(stage: scenes.Stage, camera: Camera, webapp: Path | None) -> None:
    """Let happen on the stack what is to be pictured; what fails leaves its pictures out, with the reason."""
    training = stage.start("training/train")  # it also makes a second version of the model, to be compared
    with camera.scene({"prefect-running": PREFECT}):
        scenes.watched(stage, training)
    with camera.scene(CHAT):
        chat = scenes.survey(stage)
        before = scenes.pictures(stage, chat)
        stage.end(training)
        cycle = stage.start("cycle/cycle")
        with camera.scene(PIPELINE_RUNNING):
            controller = scenes.half_way(stage, cycle)
            with web_apps(stage.home, webapp, stage.urls["ClearML"]) as (viewer, official):
                _running(camera, controller, viewer, official, stage.urls["ClearML"])
        stage.end(cycle)
        scenes.insight(stage, chat, before)
    with camera.scene({"alert": TELEGRAM}):
        stage.end(stage.start("dashboards/dashboards"))
        scenes.alert(stage)


def _running(camera: Camera, controller: Any, viewer: str, official: str | None, live: str) -> None:
    """Take the graph of a pipeline in the middle of its way: first where it goes on, then where a copy of it waits."""
    path = f"{controller['project']['id']}/experiments/{controller['id']}"
    task = path.replace("/experiments/", "/tasks/")
    seen = ("text=/run info/i", "text=/updated .* ago/i")  # the graph, and the list beside it
    shots = [
        Shot("viewer-pipeline-running", f"{viewer}/pipelines/{path}", VIEWER, ("svg.graph .st-running",)),
        Shot("webapp-pipeline-running", official and f"{official}/pipelines/{task}", OFFICIAL, seen),
    ]
    for shot in sorted(shots, key=lambda shot: not str(shot.url).startswith(live)):
        camera.take(shot)


class Camera:
    """Takes pictures of a page and notes what became of each."""

    def __init__(self, page: Any, *, official: bool) -> None:
        self.page = page
        self.official = official
        self.outcome: Outcome = {}

    @contextmanager
    def scene(self, pictures_of: Mapping[str, str]) -> Iterator[None]:
        """Note why pictures are missing when what leads to them fails; go on with the others."""
        from playwright.sync_api import Error

        try:
            yield
        except (CommandError, Error, HTTPError) as error:
            reason = str(error).splitlines()[0]
            for name, source in pictures_of.items():
                self.outcome.setdefault(name, {"source": source, "missing": reason})

    def take(self, shot: Shot) -> None:
        """Open the page of a picture, wait for what must be seen on it, take it."""
        from playwright.sync_api import Error

        if shot.url is None:
            why = NO_BUILD if shot.source == OFFICIAL and not self.official else "the run has none"
            self.outcome[shot.name] = {"source": shot.source, "missing": why}
            return
        try:
            self.page.set_viewport_size(WIDE if shot.source == OFFICIAL else SIZE)
            self.page.goto(shot.url, timeout=60_000)
            for selector in shot.see:
                self.page.locator(selector).first.wait_for(timeout=SEE_MS)
            for part in self.page.locator(shot.click).all() if shot.click else ():
                part.click(timeout=5_000)
        except Error as error:
            lost = f"{' '.join(shot.see)} is not on the page" if "Timeout" in str(error) else str(error).splitlines()[0]
            self.outcome[shot.name] = {"source": shot.source, "missing": lost}
            return
        self.keep(shot.name, shot.source)

    def keep(self, name: str, source: str, part: str = "") -> None:
        """Take the picture of what the page, or a part of it, shows, once it stops changing."""
        if self.page.get_by_role("button", name="GET STARTED").is_visible():  # the web app greets a new browser
            self.page.keyboard.press("Escape")
        deadline, before = time.monotonic() + (LIVE_SETTLE_S if name in LIVE else SETTLE_S), b""
        shown = self.page.locator(part).first if part else self.page
        while (now := shown.screenshot()) != before and time.monotonic() < deadline:
            before = now
            self.page.wait_for_timeout(700)
        (IMAGES / f"{name}.png").write_bytes(small(now))
        self.outcome[name] = {"source": source}
        out.print(f"ok       {name}: {source}", highlight=False)


@contextmanager
def _browser() -> Iterator[Any]:
    """Start headless Chromium, signed in to the stack's ClearML.

    Raises
    ------
    ServiceError
        Playwright or Chromium is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ServiceError("playwright is not installed: pip install -e '.[test]'") from error
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ServiceError("no chromium on the PATH: apt-get install chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(viewport=SIZE, locale="ru-RU", color_scheme="light", reduced_motion="reduce")
        cookie: Any = {"name": "clearml_token_basic", "value": login_token(), "domain": "127.0.0.1", "path": "/"}
        context.add_cookies([cookie])
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def login_token() -> str:
    """Token of the stack's own key pair, for the web app's cookie."""
    from clearml.backend_api import Session

    return str(Session().token)


@contextmanager
def web_apps(home: Path, webapp: Path | None, live: str) -> Iterator[tuple[str, str | None]]:
    """Addresses of both web apps: the one that runs, and the other on a copy of what ClearML holds now."""
    import httpx

    shows_viewer = "ClearML viewer" in httpx.get(live, follow_redirects=True).text
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(home / "clearml", copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("clearml.db*"))
        source, target = sqlite3.connect(home / "clearml" / "clearml.db"), sqlite3.connect(copy / "clearml.db")
        with closing(source), closing(target):
            source.backup(target)
        started = [_serve(copy, webapp if shows_viewer else None)] if webapp or not shows_viewer else []
        try:
            other = started[0].ready["urls"]["web"] if started else None
            yield (live, other) if shows_viewer else (str(other), live)
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


def small(picture: bytes) -> bytes:
    """Write a picture no wider than the usual page, in as many colours and as large as the limit allows."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((SIZE["width"], image.height), Image.Resampling.LANCZOS)
    data = b""
    for colours, scale in ((128, 1.0), (48, 1.0), (48, 0.8), (24, 0.65)):
        size = (round(image.width * scale), round(image.height * scale))
        out = io.BytesIO()
        image.resize(size).quantize(colours).save(out, "PNG", optimize=True)
        data = out.getvalue()
        if len(data) <= LIMIT:
            break
    return data


def _tell(outcome: Outcome, *, keep: bool) -> None:
    """Write what is behind each picture; remove those of earlier runs that could not be taken now, and name them.

    Without a build of the official web app its pictures stay those of the earlier run, and the list says so.
    """
    path = IMAGES / "images.json"
    before: Outcome = json.loads(path.read_text()) if path.is_file() else {}
    for name, said in outcome.items():
        if said.get("missing") == NO_BUILD and (IMAGES / f"{name}.png").is_file():
            outcome[name] = {"source": said["source"], "kept": f"of an earlier run: {NO_BUILD}"}
    outcome = (before if keep else {}) | outcome
    path.write_text(json.dumps(outcome, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    for old in IMAGES.glob("*.png"):
        if "missing" in outcome.get(old.stem, {"missing": ""}):
            old.unlink()
    lacking = {name: said for name, said in outcome.items() if {"missing", "kept"} & said.keys()}
    out.print(f"{len(outcome) - len(lacking)} pictures in {IMAGES}, {len(lacking)} missing or of an earlier run")
    for name, said in sorted(lacking.items()):
        word, reason = ("MISSING", said["missing"]) if "missing" in said else ("KEPT", said["kept"])
        out.print(f"[red]{word:8}[/] {name}: {reason}", highlight=False)
