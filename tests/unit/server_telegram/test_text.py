"""Parse modes and found entities: Telegram's results and Telegram's errors."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram.helpers import escape_markdown

from server.telegram.errors import BadRequest
from server.telegram.text import formatted
from server.telegram.text.entities import detect, utf16

readable = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1)


def shape(entities: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(e["type"], e["offset"], e["length"]) for e in entities]


@pytest.mark.parametrize(
    ("mode", "sent", "text", "entities"),
    [
        ("HTML", "<b>a <i>b</i></b>", "a b", [("bold", 0, 3), ("italic", 2, 1)]),
        ("HTML", "🙂<u>x</u><s>y</s>", "🙂xy", [("underline", 2, 1), ("strikethrough", 3, 1)]),
        ("html", "1 &lt; 2 &amp; &#1103; &#x2014; &nbsp;", "1 < 2 & я — &nbsp;", []),
        ("HTML", '<a href="http://e.org/?a=1&amp;b=2">x</a>', "x", [("text_link", 0, 1)]),
        ("HTML", '<span class="tg-spoiler">x</span> <tg-spoiler>y</tg-spoiler>', "x y", [("spoiler", 0, 1), ("spoiler", 2, 1)]),
        ("HTML", '<pre><code class="language-py">x</code></pre>', "x", [("pre", 0, 1)]),
        ("HTML", "<blockquote expandable>x</blockquote>", "x", [("expandable_blockquote", 0, 1)]),
        ("HTML", "<CODE>x</cOde>", "x", [("code", 0, 1)]),
        ("MarkdownV2", "*a _b_*", "a b", [("bold", 0, 3), ("italic", 2, 1)]),
        ("MarkdownV2", "__u__ ~s~ ||p|| `c*`", "u s p c*", [("underline", 0, 1), ("strikethrough", 2, 1), ("spoiler", 4, 1), ("code", 6, 2)]),
        ("MarkdownV2", "5\\.5 \\!", "5.5 !", []),
        ("MarkdownV2", "```py\nx = 1\n```", "x = 1", [("pre", 0, 5)]),
        ("MarkdownV2", "[x](http://e.org/\\))", "x", [("text_link", 0, 1)]),
        ("MarkdownV2", ">a\n>b\nc", "a\nb\nc", [("blockquote", 0, 3)]),
        ("Markdown", "*b* _i_ `c` [x](http://e.org)", "b i c x", [("bold", 0, 1), ("italic", 2, 1), ("code", 4, 1), ("text_link", 6, 1)]),
        ("Markdown", "a\\_b 5.5!", "a_b 5.5!", []),
        ("", "  *plain* \n", "*plain*", []),
    ],
)  # fmt: skip
def test_markup(mode: str, sent: str, text: str, entities: list[object]) -> None:
    """Markup becomes entities with offsets in UTF-16 units; the rest is text."""
    got, found = formatted(sent, mode)
    assert (got, shape(found)) == (text, entities)


@pytest.mark.parametrize(
    ("mode", "sent", "error"),
    [
        ("MarkdownV2", "a-b", "Character '-' is reserved and must be escaped with the preceding '\\'"),
        ("MarkdownV2", "(x)", "Character '(' is reserved and must be escaped with the preceding '\\'"),
        ("MarkdownV2", "яя_x", "Can't find end of Italic entity at byte offset 4"),
        ("MarkdownV2", "||x", "Can't find end of Spoiler entity at byte offset 0"),
        ("MarkdownV2", "```py\nx", "Can't find end of PreCode entity at byte offset 0"),
        ("MarkdownV2", "[x](http://e", "Can't find end of a URL at byte offset 4"),
        ("Markdown", "5*3", "Can't find end of the entity starting at byte offset 1"),
        ("HTML", "a < b", 'Unsupported start tag "" at byte offset 2'),
        ("HTML", "a <3", "Unclosed start tag at byte offset 2"),
        ("HTML", "<h1>x</h1>", 'Unsupported start tag "h1" at byte offset 0'),
        ("HTML", "x</b>", "Unexpected end tag at byte offset 1"),
        ("HTML", "<b>x</i>", 'Unmatched end tag, expected "</b>", found "</i>" at byte offset 4'),
        ("HTML", "<b>x</b", "Unclosed end tag at byte offset 4"),
        ("HTML", "<i><b>x</b>", 'Can\'t find end tag corresponding to start tag "i"'),
        ("HTML", "<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_markup_that_cannot_be_read(mode: str, sent: str, error: str) -> None:
    """The error names what and at which byte, in TDLib's words."""
    with pytest.raises(BadRequest) as refused:
        formatted(sent, mode)
    assert refused.value.description == f"Bad Request: can't parse entities: {error}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/start", [("bot_command", 0, 6)]),
        ("/start@x_bot арг", [("bot_command", 0, 12)]),
        ("путь/не_команда //x", []),
        ("см. /help, @anna_b и #тег", [("bot_command", 4, 5), ("mention", 11, 7), ("hashtag", 21, 4)]),
        ("https://e.org/a?b=1. a@e.org $USD", [("url", 0, 19), ("email", 21, 7), ("cashtag", 29, 4)]),
        ("🙂 /x", [("bot_command", 3, 2)]),
        ("3.5 и 10:30", []),
    ],
)
def test_what_telegram_finds_by_itself(text: str, found: list[object]) -> None:
    """Commands, mentions, tags, links and addresses are found as TDLib's expressions find them."""
    assert shape(detect(text)) == found


@given(readable)
def test_escaped_text_survives_html(text: str) -> None:
    """Whatever is escaped arrives as it was."""
    assert formatted(f"<b>{html.escape(text)}</b>", "HTML")[0] == text


@given(readable)
def test_escaped_text_survives_markdown(text: str) -> None:
    """What PTB's own helper escapes arrives as it was."""
    assert formatted(escape_markdown(text, version=2), "MarkdownV2")[0] == text


@given(
    st.text(st.sampled_from("ab<>/&;\"'=* _~`|[]()!\\\n>я🙂"), max_size=40),
    st.sampled_from(["HTML", "Markdown", "MarkdownV2", ""]),
)
def test_any_text_parses_or_is_refused(text: str, mode: str) -> None:
    """No text breaks a parser, and every entity lies within the text."""
    try:
        got, entities = formatted(text, mode)
    except BadRequest:
        return
    assert all(e["offset"] >= 0 and e["length"] > 0 and e["offset"] + e["length"] <= utf16(got) for e in entities)
