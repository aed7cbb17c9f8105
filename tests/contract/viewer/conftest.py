"""One filled server for the tests that only look, and the browser they look with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.contract.viewer.filled import Filled, fill
from tests.services import running

PORTS = ("--api-port", "0", "--files-port", "0", "--web-port", "0")
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Iterator[Filled]:
    """Start a server with experiments, models, a pipeline and a report in it."""
    with running("server.embedded", tmp_path_factory.mktemp("viewer"), PORTS) as service:
        yield fill(service)


@pytest.fixture
def get(filled: Filled) -> Iterator[Callable[[str], httpx.Response]]:
    """Get a page."""
    with httpx.Client(base_url=filled.web, timeout=30, follow_redirects=True) as client:
        yield client.get


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start headless Chromium; for a module only, since a running player keeps an event loop in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def look(filled: Filled, browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page that fails the test when it logs an error or asks any other host."""
    contexts: list[Any] = []
    wrong: list[str] = []
    urls = (filled.web, "data:")

    def opened(path: str, **options: Any) -> Any:
        context = browser.new_context(base_url=filled.web, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(urls) else wrong.append(r.url))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
