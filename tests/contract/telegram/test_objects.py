"""Every object the server returns is one python-telegram-bot knows: nothing missing, nothing unknown."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    InputPollOption,
    MenuButtonCommands,
    MessageEntity,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
    ReplyParameters,
    TelegramObject,
    Update,
)

from tests.contract.telegram.conftest import TOKEN, Local

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.xdist_group("telegram-objects")
KEYS = InlineKeyboardMarkup(
    [[InlineKeyboardButton("да", callback_data="y"), InlineKeyboardButton("сайт", url="http://e.org/")]]
)


def picture(width: int = 640, height: int = 480) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, "PNG")
    return data.getvalue()


def unknown(thing: Any, path: str = "") -> list[str]:
    """Fields anywhere in `thing` that PTB has no name for."""
    if isinstance(thing, list | tuple):
        return [found for n, item in enumerate(thing) for found in unknown(item, f"{path}[{n}]")]
    if not isinstance(thing, TelegramObject):
        return []
    here = [f"{path}.{name}" for name in thing.api_kwargs]
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    inside = [n for n in slots if not n.startswith("_") and n != "api_kwargs"]
    return here + [found for n in inside for found in unknown(getattr(thing, n, None), f"{path}.{n}")]


def play(local: Local, *calls: Any, token: str = TOKEN) -> list[Any]:
    """Make calls one after another, each a function of the bot; their results, every one checked."""

    async def run() -> list[Any]:
        results = []
        async with local.bot(token) as bot:
            for call in calls:
                result = await call(bot)
                assert unknown(result) == []
                results.append(result)
        return results

    return asyncio.run(run())


@pytest.mark.parametrize(
    "send",
    [
        lambda b, c: b.send_message(c, "привет /help @you #tag https://e.org a@e.org", reply_markup=KEYS),
        lambda b, c: b.send_message(
            c, "клавиатура", reply_markup=ReplyKeyboardMarkup([["1", "2"]], one_time_keyboard=True)
        ),
        lambda b, c: b.send_message(c, "убрать", reply_markup=ReplyKeyboardRemove()),
        lambda b, c: b.send_message(c, "x", entities=[MessageEntity("bold", 0, 1)], protect_content=True),
        lambda b, c: b.send_photo(c, picture(), caption="<b>график</b>", parse_mode="HTML", reply_markup=KEYS),
        lambda b, c: b.send_document(c, b"a,b\n1,2\n", filename="я.csv", caption="данные"),
        lambda b, c: b.send_voice(c, b"OggS....", duration=3),
        lambda b, c: b.send_audio(c, b"ID3....", duration=3, performer="p", title="t"),
        lambda b, c: b.send_video(c, b"....", duration=3, width=10, height=10),
        lambda b, c: b.send_animation(c, b"....", duration=3, width=10, height=10),
        lambda b, c: b.send_video_note(c, b"....", duration=3, length=100),
        lambda b, c: b.send_sticker(c, b"RIFF...."),
        lambda b, c: b.send_location(c, 55.75, 37.61),
        lambda b, c: b.send_venue(c, 55.75, 37.61, "Дом", "Улица"),
        lambda b, c: b.send_contact(c, "+7000", "Аня"),
        lambda b, c: b.send_dice(c),
        lambda b, c: b.send_poll(c, "Чай?", [InputPollOption("да"), InputPollOption("нет")], is_anonymous=False),
        lambda b, c: b.send_poll(c, "2+2?", ["3", "4"], type="quiz", correct_option_ids=[1], explanation="счёт"),
        lambda b, c: b.send_media_group(c, [InputMediaPhoto(picture()), InputMediaPhoto(picture(), caption="две")]),
        lambda b, c: b.send_media_group(c, [InputMediaDocument(b"1"), InputMediaDocument(b"2")]),
        lambda b, c: b.get_chat(c),
        lambda b, c: b.get_chat_member(c, c),
        lambda b, c: b.get_user_profile_photos(c),
        lambda b, _: b.get_me(),
        lambda b, _: b.get_webhook_info(),
        lambda b, _: b.get_my_default_administrator_rights(),
        lambda b, c: b.get_chat_menu_button(c),
    ],
)
def test_what_a_call_returns_is_complete(telegram: Local, send: Any) -> None:
    """A result parses into PTB's object with every required field and no unknown one."""
    person = telegram.person()
    [result] = play(telegram, lambda bot: send(bot, person))
    for message in result if isinstance(result, tuple) else [result]:
        if hasattr(message, "message_id"):
            assert (message.chat.id, message.from_user.is_bot) == (person, True)


def test_every_update_is_complete(telegram: Local) -> None:
    """Each kind of update a person can cause parses into PTB's `Update` of that kind."""
    token = "4243:updates"
    person = telegram.person(token=token, last_name="К", username="anya", language_code="ru")
    kinds = [*Update.ALL_TYPES]
    [question, poll] = play(
        telegram,
        lambda b: b.send_message(person, "?", reply_markup=KEYS),
        lambda b: b.send_poll(person, "Чай?", ["да", "нет"], is_anonymous=False),
        token=token,
    )
    telegram.raw("getUpdates", token, allowed_updates=kinds)
    it = {"user_id": person, "bot": token}
    sent = telegram.client("send", **it, text="/start@local4243_bot x 🙂 #tag")["message_id"]
    telegram.client("edit", **it, message_id=sent, text="иначе")
    for body in (
        {"voice": {"duration": 2}}, {"sticker": "🙂"}, {"photo": {}}, {"document": {"name": "a.txt"}}, {"text": "f", "forward": True},
        {"location": {"latitude": 1.0, "longitude": 2.0}}, {"contact": {"phone_number": "1", "first_name": "x"}},
        {"text": "ответ", "reply_to": sent},
    ):  # fmt: skip
        telegram.client("send", **it, **body)
    telegram.client("tap", **it, message_id=question.message_id, data="y")
    telegram.client("tap", **it, message_id=99999, data="gone", force=True)
    telegram.client("vote", **it, message_id=poll.message_id, options=[1])
    telegram.client("react", **it, message_id=poll.message_id, emoji=["👍"])
    telegram.client("block", **it)
    telegram.client("unblock", **it)
    group = telegram.client("group", **it, title="Мы", members=[person])["chat_id"]
    telegram.client("send", **it, chat_id=group, text="/now")
    telegram.client("migrate", chat_id=group)

    [updates] = play(telegram, lambda b: b.get_updates(timeout=0, allowed_updates=kinds), token=token)
    seen = {kind for kind in Update.ALL_TYPES for update in updates if getattr(update, kind) is not None}
    assert seen == {
        "message",
        "edited_message",
        "callback_query",
        "poll",
        "poll_answer",
        "message_reaction",
        "my_chat_member",
    }
    taps = [u.callback_query for u in updates if u.callback_query]
    assert [tap.message.is_accessible for tap in taps] == [True, False]
    blocked, unblocked, joined = (u.my_chat_member.new_chat_member.status for u in updates if u.my_chat_member)
    assert (blocked, unblocked, joined) == ("kicked", "member", "member")


def test_files_come_back_as_they_went(telegram: Local) -> None:
    """A photo's bytes download unchanged, its small size is a JPEG of the size it said, and a file_id sends again."""
    person = telegram.person()
    data = picture(900, 300)

    async def run() -> None:
        async with telegram.bot() as bot:
            message = await bot.send_photo(person, data, caption="раз")
            small, large = message.photo
            assert (large.width, large.height, large.file_size) == (900, 300, len(data))
            assert bytes(await (await large.get_file()).download_as_bytearray()) == data
            thumbnail = Image.open(io.BytesIO(await (await small.get_file()).download_as_bytearray()))
            assert (thumbnail.size, thumbnail.format) == ((small.width, small.height), "JPEG")
            again = await bot.send_photo(person, large.file_id)
            assert again.photo[-1].file_unique_id == large.file_unique_id
            document = await bot.send_document(person, b"x" * 3_000_000, filename="большой.bin")
            assert document.document.file_name == "большой.bin"
            got = await (await document.document.get_file()).download_as_bytearray()
            assert len(got) == 3_000_000

    asyncio.run(run())


def test_editing_deleting_forwarding_pinning(telegram: Local) -> None:
    """Edits keep what they do not name, deletions reach people, forwards say where from, a pin shows in the chat."""
    person = telegram.person()

    async def run() -> None:
        async with telegram.bot() as bot:
            first = await bot.send_message(person, "раз", reply_markup=KEYS)
            edited = await first.edit_text("*два*", parse_mode="MarkdownV2", reply_markup=KEYS)
            assert (edited.text, edited.entities[0].type, edited.reply_markup) == ("два", "bold", KEYS)
            assert (await edited.edit_reply_markup(None)).reply_markup is None
            photo = await bot.send_photo(person, picture(), caption="подпись")
            assert (await photo.edit_caption("другая")).caption == "другая"
            other = await photo.edit_media(InputMediaPhoto(picture(100, 50), caption="новая"))
            assert (other.photo[-1].width, other.caption) == (100, "новая")
            forwarded = await bot.forward_message(person, person, first.message_id)
            assert forwarded.forward_origin.sender_user.id == bot.id
            copied = await bot.copy_message(person, person, photo.message_id, caption="копия")
            assert copied.message_id > forwarded.message_id
            reply = await bot.send_message(person, "ответ", reply_parameters=ReplyParameters(first.message_id))
            assert reply.reply_to_message.text == "два"
            assert await bot.pin_chat_message(person, first.message_id)
            assert (await bot.get_chat(person)).pinned_message.message_id == first.message_id
            assert await bot.unpin_chat_message(person)
            assert (await bot.get_chat(person)).pinned_message is None
            assert await bot.delete_messages(person, [first.message_id, 98765])
            assert await reply.delete()

    asyncio.run(run())
    shown = telegram.http.get(f"/client/chats/{person}/messages", params={"bot": TOKEN}).json()["messages"]
    assert [m.get("text") or m.get("caption") for m in shown] == ["/start", "новая", "два", "копия"]


def test_commands_and_descriptions_by_scope_and_language(telegram: Local) -> None:
    """Commands are kept by scope and language apart; texts fall back to the ones without a language."""
    person = telegram.person()

    async def run(bot: Bot) -> None:
        await bot.set_my_commands([BotCommand("now", "Answer now")])
        await bot.set_my_commands([BotCommand("now", "Ответить")], language_code="ru")
        await bot.set_my_commands([BotCommand("stop", "Stop")], scope=BotCommandScopeAllPrivateChats())
        await bot.set_my_commands([BotCommand("mine", "Mine")], scope=BotCommandScopeChat(person))
        assert [c.description for c in await bot.get_my_commands(language_code="ru")] == ["Ответить"]
        assert [c.command for c in await bot.get_my_commands(BotCommandScopeAllPrivateChats())] == ["stop"]
        assert [c.command for c in await bot.get_my_commands(BotCommandScopeChat(person))] == ["mine"]
        assert await bot.get_my_commands(language_code="de") == ()
        await bot.delete_my_commands()
        assert await bot.get_my_commands() == ()
        await bot.set_my_description("d")
        await bot.set_my_description("о", language_code="ru")
        await bot.set_my_short_description("s")
        await bot.set_my_name("Настроение")
        assert (await bot.get_my_description("ru")).description == "о"
        assert (await bot.get_my_description("de")).description == "d"
        assert (await bot.get_my_short_description()).short_description == "s"
        assert (await bot.get_my_name()).name == (await bot.get_me()).first_name == "Настроение"
        await bot.set_chat_menu_button(person, MenuButtonCommands())
        assert (await bot.get_chat_menu_button(person)).type == "commands"

    async def initialised() -> None:
        async with telegram.bot() as bot:
            await run(bot)

    asyncio.run(initialised())


def test_the_four_ways_to_pass_parameters(telegram: Local) -> None:
    """Query, form, multipart and JSON say the same; a method's name has no case."""
    person, url = telegram.person(), f"/bot{TOKEN}/sendMessage"
    fields = {"chat_id": str(person), "text": "привет"}
    answers = [
        telegram.http.get(url, params=fields),
        telegram.http.post(url, data=fields),
        telegram.http.post(url, data=fields, files={"unused": b"x"}),
        telegram.http.post(url.lower().replace(TOKEN.lower(), TOKEN), json={**fields, "chat_id": person}),
    ]
    assert [(a.status_code, a.json()["result"]["text"]) for a in answers] == [(200, "привет")] * 4


def test_the_coverage_page_is_served(telegram: Local) -> None:
    """`/coverage` is COVERAGE.md."""
    page = telegram.http.get("/coverage")
    assert page.text == (ROOT / "server/telegram/COVERAGE.md").read_text()


def test_pages_of_other_hosts_get_nothing(telegram: Local) -> None:
    """A foreign Host name, or a form post a foreign page could make, is refused on the people's side."""
    foreign = telegram.http.get("/client/users", headers={"Host": "evil.example"})
    form = telegram.http.post("/client/start", content="{}", headers={"Content-Type": "text/plain"})
    assert (foreign.status_code, form.status_code) == (400, 400)
