"""A person chats with our bot on the local page, in Russian, in headless Chromium."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.survey.wire import world

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.xdist_group("survey-wire"),
]
PATIENCE = 60_000


async def press(page: Any, words: str) -> None:
    """Tap the newest key that says exactly this."""
    key = page.get_by_role("button", name=words, exact=True).last
    await key.wait_for(timeout=PATIENCE)
    await key.click()


async def write(page: Any, words: str) -> None:
    await page.locator("#text").fill(words)
    await page.keyboard.press("Enter")


async def survey(page: Any, given: str, times: int) -> None:
    """/now, the same answer to each of the six items, a last look, submit."""
    await write(page, "/now")
    for place in range(1, 7):
        await page.get_by_text(f"{place}/6").last.wait_for(timeout=PATIENCE)
        await press(page, given)
    await page.get_by_text("Проверьте и отправьте").last.wait_for(timeout=PATIENCE)
    await press(page, "✓ Отправить")
    await page.get_by_text("Спасибо, ответы записаны").nth(times - 1).wait_for(timeout=PATIENCE)


def test_a_whole_survey_in_russian_and_a_chart_back(tmp_path: Path) -> None:
    """Consent, country, timezone, two surveys by tapping, /stats: the chart arrives as a picture on the page."""
    with world(tmp_path) as w, w.store() as store:
        api = w.people.api

        async def run() -> None:
            from playwright.async_api import async_playwright

            async with async_playwright() as player:
                browser = await player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                page = await (await browser.new_context(locale="ru-RU")).new_page()
                page.set_default_timeout(PATIENCE)
                wrong: list[str] = []
                page.on("pageerror", lambda error: wrong.append(str(error)))
                page.on("request", lambda r: None if r.url.startswith((api, "blob:", "data:")) else wrong.append(r.url))
                await page.goto(f"{api}/chat")
                await page.locator("#new").click()
                await page.locator("#person-name").fill("Аня")
                await page.locator("#person-language").select_option("ru")
                await page.locator("#person-start").click()
                for words in ("✓ Согласен(на)", "RU", "Europe/Moscow"):
                    await press(page, words)
                await page.get_by_text("Готово. Часовой пояс: Europe/Moscow").wait_for()
                await survey(page, "4", 1)
                await survey(page, "2", 2)
                await write(page, "/stats")
                await page.get_by_text("ваши ответы, 2 шт.").wait_for()
                picture = page.locator(".bubble img")
                await picture.wait_for()
                width = await picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
                assert width > 400
                await page.screenshot(path=tmp_path / "chat.png")
                await browser.close()
                assert wrong == []

        asyncio.run(run())
        assert [r.status for r in store.responses.of()] == ["complete", "complete"]
        assert [set(r.answers.values()) for r in store.responses.of()] == [{4}, {2}]
