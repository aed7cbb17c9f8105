"""The page where a person chats with a bot, driven in a real browser against a real PTB bot."""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, ReplyKeyboardMarkup, Update
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, ContextTypes, MessageHandler, filters

from tests.contract.telegram.conftest import TOKEN, Local

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
    pytest.mark.xdist_group("telegram-page"),
]
Context = ContextTypes.DEFAULT_TYPE


async def greet(update: Update, _: Context) -> None:
    keys = [[InlineKeyboardButton(str(n), callback_data=f"mood:{n}") for n in range(1, 6)]]
    await update.message.reply_html("<b>Как настроение</b> сейчас? /help", reply_markup=InlineKeyboardMarkup(keys))


async def tapped(update: Update, _: Context) -> None:
    query = update.callback_query
    await query.answer("Записано")
    await query.edit_message_text(f"Настроение: {query.data[-1]} из 5")
    picture = Image.new("RGB", (800, 400), "white")
    ImageDraw.Draw(picture).line([(40, 360), (300, 120), (760, 200)], fill="steelblue", width=8)
    data = io.BytesIO()
    picture.save(data, "PNG")
    await query.message.reply_photo(data.getvalue(), caption="Ваша неделя")


async def ask(update: Update, _: Context) -> None:
    keyboard = ReplyKeyboardMarkup([["Да", "Нет"]], resize_keyboard=True, one_time_keyboard=True)
    await update.message.reply_text("Точно?", reply_markup=keyboard)


async def echo(update: Update, _: Context) -> None:
    await update.message.reply_text(f"Вы сказали: {update.message.text or 'не текст'}", reply_to_message_id=1)


@asynccontextmanager
async def chatting(api: str):
    """A small PTB bot that is polling."""
    builder = Application.builder().token(TOKEN).base_url(f"{api}/bot").base_file_url(f"{api}/file/bot")
    app = builder.build()
    for handler in (
        CommandHandler("start", greet),
        CommandHandler("ask", ask),
        CallbackQueryHandler(tapped),
        MessageHandler(filters.ALL, echo),
    ):
        app.add_handler(handler)
    async with app:
        await app.bot.set_my_commands([BotCommand("ask", "Спросить ещё раз")])
        await app.bot.set_my_description("Спрашивает, как вы.")
        await app.start()
        await app.updater.start_polling(timeout=10)
        try:
            yield app.bot
        finally:
            await app.updater.stop()
            await app.stop()


def in_browser(api: str, scenario: Callable[..., Awaitable[None]], **context: Any) -> None:
    """Run a scenario on the page, and fail on any error the page logs or any host but this one."""

    async def run() -> None:
        from playwright.async_api import async_playwright

        async with chatting(api) as bot, async_playwright() as player:
            browser = await player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = await (await browser.new_context(**context)).new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
            page.on("request", lambda r: None if r.url.startswith((api, "blob:", "data:")) else wrong.append(r.url))
            await page.goto(f"{api}/chat")
            await scenario(page, bot)
            await browser.close()
            assert wrong == []

    asyncio.run(run())


async def start(page: Any, name: str = "Аня") -> None:
    await page.locator("#new").click()
    await page.locator("#person-name").fill(name)
    await page.locator("#person-language").select_option("ru")
    await page.locator("#person-start").click()


def test_a_person_answers_by_tapping_and_gets_a_chart(fresh: Local, tmp_path: Path) -> None:
    """A person starts the bot in Russian, taps an inline key, sees the notice, the edit and the chart, and writes."""

    async def scenario(page: Any, _: Any) -> None:
        await start(page)
        key = page.locator(".key", has_text="4")
        await key.click()
        await page.get_by_text("Настроение: 4 из 5").wait_for()
        await page.get_by_text("Записано").wait_for()
        image = page.locator(".bubble img")
        await image.wait_for()
        from playwright.async_api import expect

        await expect(image).to_have_js_property("naturalWidth", 800)
        assert await key.count() == 0, "the edited message has no keys"
        await page.locator("#text").fill("спасибо 🙂")
        await page.keyboard.press("Enter")
        await page.get_by_text("Вы сказали: спасибо 🙂").wait_for()
        assert await page.locator(".message.out .text").all_inner_texts() == ["/start", "спасибо 🙂"]
        assert await page.locator(".bubble strong").count() == 0
        await page.screenshot(path=tmp_path / "chat.png")
        await page.reload()
        await page.get_by_text("Ваша неделя").wait_for()

    in_browser(fresh.api, scenario, locale="ru-RU", viewport={"width": 1100, "height": 760})


def test_commands_and_reply_keyboards_work_on_a_phone(fresh: Local, tmp_path: Path) -> None:
    """On a phone the chat takes the whole screen; the command menu and reply keyboard send what they show."""

    async def scenario(page: Any, _: Any) -> None:
        await start(page, "Ben")
        await page.get_by_text("Как настроение").wait_for()
        assert not await page.locator("#side").is_visible()
        await page.locator("#menu").click()
        await page.get_by_text("Спросить ещё раз").click()
        await page.locator("#keyboard .key", has_text="Да").click()
        await page.get_by_text("Вы сказали: Да").wait_for()
        assert not await page.locator("#keyboard").is_visible(), "one_time_keyboard goes away"
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0
        await page.screenshot(path=tmp_path / "phone.png")
        await page.locator("#back").click()
        await page.locator(".row").wait_for()

    viewport = {"width": 390, "height": 780}
    in_browser(fresh.api, scenario, locale="en-GB", viewport=viewport, has_touch=True, color_scheme="dark")


def test_blocking_and_voting(fresh: Local) -> None:
    """Block and unblock change what the page lets a person do; a vote shows its share; markup cannot inject."""

    async def scenario(page: Any, bot: Any) -> None:
        await start(page)
        await page.get_by_text("Как настроение").wait_for()
        chat_id = (await page.evaluate("location.hash")).split("/")[1]
        await bot.send_poll(chat_id, "Чай?", ["да", "нет"], is_anonymous=False)
        await page.locator(".option", has_text="да").click()
        await page.locator(".option", has_text="100%").wait_for()
        await bot.send_message(chat_id, "<img src=x onerror=alert(1)>")
        await page.get_by_text("<img src=x onerror=alert(1)>").wait_for()
        await page.locator("#block").click()
        await page.get_by_text("вы заблокировали бота").wait_for()
        assert await page.locator("#compose").get_attribute("inert") is not None
        await page.locator("#block").click()
        await page.locator("#compose:not([inert])").wait_for()

    in_browser(fresh.api, scenario, locale="ru-RU")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(fresh: Local, scheme: str) -> None:
    """No violation of the WCAG 2 A and AA rules that axe knows, in either colour scheme."""
    from axe_playwright_python.base import AXE_FILE_PATH

    axe = Path(AXE_FILE_PATH).read_text()

    async def scenario(page: Any, _: Any) -> None:
        await start(page)
        await page.locator(".key", has_text="5").click()
        await page.locator(".bubble img").wait_for()
        # evaluated by the browser's inspector, not as a script of the page, whose policy forbids foreign scripts
        await page.evaluate(axe)
        found = await page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []

    in_browser(fresh.api, scenario, locale="ru-RU", color_scheme=scheme)
