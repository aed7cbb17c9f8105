"""HTML as the Bot API reads it: a dozen tags, four named references, TDLib's errors (offsets are bytes of UTF-8)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from server.telegram.text.entities import Entity, utf16
from server.telegram.text.markdown import link, unparsable

_KINDS = {
    "a": "text_link", "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "s": "strikethrough",
    "strike": "strikethrough", "del": "strikethrough", "u": "underline", "ins": "underline", "tg-spoiler": "spoiler",
    "span": "spoiler", "tg-emoji": "custom_emoji", "pre": "pre", "code": "code", "blockquote": "blockquote",
}  # fmt: skip
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|(lt|gt|amp|quot));?")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_NAME = re.compile(r"[^\s>/=\"']*")
_SPACE = re.compile(r"\s*")


@dataclass
class _Open:
    tag: str
    begin: int
    attributes: dict[str, str] = field(default_factory=dict)


def unescape(text: str) -> str:
    """Replace the references the Bot API knows; others stay as they are."""
    return _REFERENCE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1], 16) if match[1] else int(match[2])
    return chr(code) if 0 < code < 0x10FFFF and not 0xD800 <= code < 0xE000 else match[0]


def parse(text: str) -> tuple[str, list[Entity]]:
    """Text without tags, and its entities."""
    out, length = [], 0
    stack: list[_Open] = []
    entities: list[Entity] = []
    i = 0
    while i < len(text):
        tag_at = text.find("<", i)
        plain = unescape(text[i:] if tag_at < 0 else text[i:tag_at])
        out.append(plain)
        length += utf16(plain)
        if tag_at < 0:
            break
        if text.startswith("</", tag_at):
            i = _close(text, tag_at, stack, entities, "".join(out), length)
        else:
            i = _open(text, tag_at, stack, length)
    if stack:
        raise unparsable(text, f'Can\'t find end tag corresponding to start tag "{stack[-1].tag}"')
    return "".join(out), sorted(entities, key=lambda e: (e["offset"], -e["length"]))


def _open(text: str, at: int, stack: list[_Open], length: int) -> int:
    name = re.compile(r"[^\s>]*").match(text, at + 1)
    assert name is not None  # noqa: S101 - matches the empty string too
    i = name.end()
    if i >= len(text):
        raise unparsable(text, "Unclosed start tag", at)
    tag = name[0].lower()
    if tag not in _KINDS:
        raise unparsable(text, f'Unsupported start tag "{tag}"', at)
    opened = _Open(tag, length)
    i = _attributes(text, i, at, opened)
    if tag == "span" and opened.attributes.get("class") != "tg-spoiler":
        raise unparsable(text, 'Tag "span" must have class "tg-spoiler"', at)
    stack.append(opened)
    return i


def _attributes(text: str, i: int, at: int, opened: _Open) -> int:
    while True:
        i = _skip(text, i)
        if i >= len(text):
            raise unparsable(text, "Unclosed start tag", at)
        if text[i] == ">":
            return i + 1
        name = _NAME.match(text, i)
        if name is None or not name[0]:
            raise unparsable(text, f'Empty attribute name in the tag "{opened.tag}"', i)
        i = _skip(text, name.end())
        if i < len(text) and text[i] != "=":
            if opened.tag == "blockquote" or text[i] in "> ":
                opened.attributes[name[0].lower()] = ""
                continue
            raise unparsable(text, f'Expected equal sign in declaration of an attribute of the tag "{opened.tag}"', at)
        value, i = _value(text, _skip(text, i + 1), at, opened.tag)
        opened.attributes[name[0].lower()] = unescape(value)


def _value(text: str, i: int, at: int, tag: str) -> tuple[str, int]:
    if i >= len(text):
        raise unparsable(text, "Unclosed start tag", at)
    quote = text[i]
    if quote in "\"'":
        end = text.find(quote, i + 1)
        if end < 0:
            raise unparsable(text, "Unclosed start tag", at)
        return text[i + 1 : end], end + 1
    bare = re.compile(r"[\w.-]*", re.ASCII).match(text, i)
    if bare is None or not bare[0] or (bare.end() < len(text) and text[bare.end()] not in "> \n\t"):
        raise unparsable(text, f'Unexpected end of name token in the tag "{tag}"', i)
    return bare[0].lower(), bare.end()


def _skip(text: str, i: int) -> int:
    match = _SPACE.match(text, i)
    return match.end() if match else i


def _close(text: str, at: int, stack: list[_Open], entities: list[Entity], seen: str, length: int) -> int:
    if not stack:
        raise unparsable(text, "Unexpected end tag", at)
    end = text.find(">", at)
    if end < 0:
        raise unparsable(text, "Unclosed end tag", at)
    name = text[at + 2 : end].strip().lower()
    opened = stack.pop()
    if name and name != opened.tag:
        raise unparsable(text, f'Unmatched end tag, expected "</{opened.tag}>", found "</{name}>"', at)
    entity = _entity(opened, seen, stack, entities, length, text)
    if entity and length > opened.begin:
        entities.append({**entity, "offset": opened.begin, "length": length - opened.begin})
    return end + 1


def _entity(
    opened: _Open, seen: str, stack: list[_Open], entities: list[Entity], length: int, text: str
) -> Entity | None:
    inside = opened.attributes
    if opened.tag == "a":
        return link(inside.get("href") or seen.encode("utf-16-le")[opened.begin * 2 :].decode("utf-16-le"))
    if opened.tag == "tg-emoji":
        if not inside.get("emoji-id", "").isdigit():
            raise unparsable(text, "Invalid custom emoji identifier specified")
        return {"type": "custom_emoji", "custom_emoji_id": inside["emoji-id"]}
    if opened.tag == "blockquote":
        return {"type": "expandable_blockquote" if "expandable" in inside else "blockquote"}
    if opened.tag == "pre":
        return _pre(opened, entities, length)
    if opened.tag == "code" and stack and stack[-1].tag == "pre" and stack[-1].begin == opened.begin:
        # <pre><code class="language-x"> is one entity; what is left for `pre` is to say so
        stack[-1].attributes["_code"] = inside.get("class", "").removeprefix("language-")
        return {"type": "code"}
    return {"type": _KINDS[opened.tag]}


def _pre(opened: _Open, entities: list[Entity], length: int) -> Entity:
    language = opened.attributes.get("_code")
    whole = {"type": "code", "offset": opened.begin, "length": length - opened.begin}
    if language is not None and whole in entities:
        entities.remove(whole)
        if language:
            return {"type": "pre", "language": language}
    return {"type": "pre"}
