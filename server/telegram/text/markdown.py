"""MarkdownV2 and the older Markdown, with the errors TDLib gives (offsets are bytes of UTF-8)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.telegram.errors import BadRequest
from server.telegram.text.entities import Entity, utf16

RESERVED = frozenset("_*[]()~`>#+-=|{}.!\n")
_MENTION = re.compile(r"tg:(?://)?user\?id=(\d+)", re.IGNORECASE)
_EMOJI = re.compile(r"tg:(?://)?emoji\?id=(\d+)", re.IGNORECASE)
_NAMES = {
    "bold": "Bold", "italic": "Italic", "underline": "Underline", "strikethrough": "Strikethrough",
    "spoiler": "Spoiler", "code": "Code", "pre": "Pre", "text_link": "TextUrl", "custom_emoji": "CustomEmoji",
    "blockquote": "BlockQuote",
}  # fmt: skip
_OPENERS = {"*": "bold", "_": "italic", "~": "strikethrough", "[": "text_link", "`": "code"}
_CLOSERS = {
    "bold": "*", "italic": "_", "underline": "__", "strikethrough": "~", "spoiler": "||", "code": "`", "pre": "```",
    "text_link": "]", "custom_emoji": "]",
}  # fmt: skip


def unparsable(text: str, what: str, at: int | None = None) -> BadRequest:
    """The error, with the byte offset of character `at` where there is one."""
    where = "" if at is None else f" at byte offset {len(text[:at].encode())}"
    return BadRequest(f"can't parse entities: {what}{where}")


def link(url: str) -> Entity | None:
    """The entity a target makes: a mention of a person, an emoji, a link, or nothing at all."""
    if match := _MENTION.fullmatch(url):
        return {"type": "text_mention", "user": {"id": int(match[1]), "is_bot": False, "first_name": ""}}
    if match := _EMOJI.fullmatch(url):
        return {"type": "custom_emoji", "custom_emoji_id": match[1]}
    if re.fullmatch(r"(?:https?|ftp|tg|ton|tonsite)://\S+", url, re.IGNORECASE):
        return {"type": "text_link", "url": url}
    if re.fullmatch(r"[\w-]+(?:\.[\w-]+)+(?:[/?#]\S*)?", url):
        return {"type": "text_link", "url": f"http://{url}"}
    return None


@dataclass
class _Open:
    kind: str
    at: int
    begin: int
    language: str = ""
    expandable: bool = False


class _V2:
    """One pass over the text; `out` is what people see."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.i = 0
        self.out: list[str] = []
        self.length = 0
        self.stack: list[_Open] = []
        self.entities: list[Entity] = []
        self.line_start = True

    def put(self, char: str) -> None:
        self.out.append(char)
        self.length += 2 if ord(char) > 0xFFFF else 1

    def run(self) -> tuple[str, list[Entity]]:
        while self.i < len(self.text):
            self.step()
        while self.stack and self.stack[-1].kind == "blockquote":
            self.close(self.stack.pop())
        if self.stack:
            top = self.stack[-1]
            name = "PreCode" if top.language else _NAMES[top.kind]
            raise unparsable(self.text, f"Can't find end of {name} entity", top.at)
        return "".join(self.out), sorted(self.entities, key=lambda e: (e["offset"], -e["length"]))

    def step(self) -> None:
        char = self.text[self.i]
        following = self.text[self.i + 1 : self.i + 2]
        if char == "\\" and following and 0 < ord(following) <= 126:
            self.put(following)
            self.i += 2
            self.line_start = False
            return
        inside = self.stack[-1].kind if self.stack else ""
        if char not in ("`" if inside in ("code", "pre") else RESERVED):
            self.put(char)
            self.i += 1
            self.line_start = False
            return
        if char == "\n":
            self.newline()
        elif self.at_end(inside):
            self.end()
        else:
            self.begin(char)

    def newline(self) -> None:
        quote = self.stack[-1] if self.stack and self.stack[-1].kind == "blockquote" else None
        if quote and self.text[self.i + 1 : self.i + 2] != ">":
            self.close(self.stack.pop())
        elif quote:
            self.i += 1
        self.put("\n")
        self.i += 1
        self.line_start = not quote or quote not in self.stack

    def at_end(self, inside: str) -> bool:
        if inside == "blockquote":
            return self.text.startswith("||", self.i) and self.text[self.i + 2 : self.i + 3] in ("", "\n")
        mark = _CLOSERS.get(inside)
        if mark is None or not self.text.startswith(mark, self.i):
            return False
        return not (inside == "italic" and self.text.startswith("__", self.i))

    def begin(self, char: str) -> None:
        at = self.i
        kind, width = self.opening(char)
        self.i += width
        language = self.language() if kind == "pre" else ""
        self.stack.append(_Open(kind, at, self.length, language))
        self.line_start = False

    def opening(self, char: str) -> tuple[str, int]:
        for mark, kind in (("__", "underline"), ("||", "spoiler"), ("![", "custom_emoji"), ("```", "pre")):
            if self.text.startswith(mark, self.i):
                return kind, len(mark)
        if char in _OPENERS:
            return _OPENERS[char], 1
        if char == ">" and self.line_start:
            return "blockquote", 1
        raise unparsable(self.text, f"Character '{char}' is reserved and must be escaped with the preceding '\\'")

    def language(self) -> str:
        match = re.compile(r"[^\s`]+(?=\s)").match(self.text, self.i)
        if match:
            self.i = match.end()
        for newline in ("\r\n", "\n\r", "\n", "\r"):
            if self.text.startswith(newline, self.i):
                self.i += len(newline)
                break
        return match[0] if match else ""

    def end(self) -> None:
        opened = self.stack.pop()
        self.i += 2 if opened.kind == "blockquote" else len(_CLOSERS[opened.kind])
        opened.expandable = opened.kind == "blockquote"
        self.close(opened)

    def close(self, opened: _Open) -> None:
        entity: Entity | None = {"type": opened.kind}
        if opened.kind in ("text_link", "custom_emoji"):
            entity = link(self.target(opened))
            if opened.kind == "custom_emoji" and (entity or {}).get("type") != "custom_emoji":
                raise unparsable(self.text, "Custom emoji entity must contain a tg://emoji URL")
        elif opened.kind == "pre" and opened.language:
            entity = {"type": "pre", "language": opened.language}
        elif opened.expandable:
            entity = {"type": "expandable_blockquote"}
        if entity and self.length > opened.begin:
            self.entities.append({**entity, "offset": opened.begin, "length": self.length - opened.begin})

    def target(self, opened: _Open) -> str:
        if not self.text.startswith("(", self.i):
            if opened.kind == "custom_emoji":
                raise unparsable(self.text, "Custom emoji entity must contain a tg://emoji URL")
            seen = "".join(self.out).encode("utf-16-le")[opened.begin * 2 :]
            return seen.decode("utf-16-le")
        start = self.i + 1
        match = re.compile(r"((?:\\[\x01-\x7e]|[^)\\]|\\)*)\)", re.DOTALL).match(self.text, start)
        if match is None:
            raise unparsable(self.text, "Can't find end of a URL", start)
        self.i = match.end()
        return re.sub(r"\\([\x01-\x7e])", r"\1", match[1])


def parse_v2(text: str) -> tuple[str, list[Entity]]:
    """Text without MarkdownV2 markup, and its entities."""
    return _V2(text).run()


_V1 = {"_": "italic", "*": "bold", "`": "code", "[": "text_link"}


def parse_v1(text: str) -> tuple[str, list[Entity]]:
    """Text without legacy Markdown markup, and its entities; nothing nests, only ``_*`[`` are special."""
    out: list[str] = []
    entities: list[Entity] = []
    i = 0
    while i < len(text):
        char = text[i]
        if char == "\\" and text[i + 1 : i + 2] in tuple("_*`["):
            out.append(text[i + 1])
            i += 2
        elif char in _V1:
            inner, entity, i = _span_v1(text, i)
            begin = utf16("".join(out))
            out.append(inner)
            if entity and inner:
                entities.append({**entity, "offset": begin, "length": utf16(inner)})
        else:
            out.append(char)
            i += 1
    return "".join(out), entities


def _span_v1(text: str, at: int) -> tuple[str, Entity | None, int]:
    """(what people see, its entity, where to go on) of the span that opens at `at`."""
    kind = _V1[text[at]]
    mark = "```" if text.startswith("```", at) else "]" if kind == "text_link" else text[at]
    start = at + len(mark)
    end = text.find(mark, start)
    if end < 0:
        raise unparsable(text, "Can't find end of the entity starting", at)
    inner, after = text[start:end], end + len(mark)
    if mark == "```":
        match = re.match(r"(?:([^\s`]+)(?=\s))?\r?\n?(.*)", inner, re.DOTALL)
        language, code = (match[1], match[2]) if match else (None, inner)
        return code, {"type": "pre", "language": language} if language else {"type": "pre"}, after
    if kind != "text_link":
        return inner, {"type": kind}, after
    if not text.startswith("(", after):
        return inner, link(inner), after
    close = text.find(")", after)
    if close < 0:
        return inner, None, len(text)
    return inner, link(text[after + 1 : close]), close + 1
