"""Formula text to a tree, by precedence: comparison, `&`, `+ -`, `* /`, `^`, sign, `%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from server.sheets.formulas.values import fail

TOKEN = re.compile(
    r"""\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)(?![0-9A-Za-z_:$])"""
    r"""|(?P<text>"(?:[^"]|"")*")"""
    r"""|(?P<error>\#(?:REF!|N/A|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|ERROR!))"""
    r"""|(?P<ref>(?:'(?:[^']|'')*'!|[A-Za-z_\u0080-\uffff][\w.]*!)?(?:\$?[A-Za-z]{1,3}\$?[0-9]+(?::\$?[A-Za-z]{1,3}(?:\$?[0-9]+)?)?"""
    r"""|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}(?:[0-9]+)?|\$?[0-9]+:\$?[0-9]+))(?![\w(!.])"""
    r"""|(?P<call>[A-Za-z_][\w.]*)\s*\("""
    r"""|(?P<name>(?:'(?:[^']|'')*'!|[A-Za-z_\u0080-\uffff][\w.]*!)?[A-Za-z_\u0080-\uffff][\w.]*)"""
    r"""|(?P<op><=|>=|<>|[-+*/^&=<>%(),;{}]))\s*"""
)
LEVELS = [{"=", "<>", "<", ">", "<=", ">="}, {"&"}, {"+", "-"}, {"*", "/"}, {"^"}]


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of a formula: what it is, its text or value, and its parts."""

    kind: str
    value: object = None
    parts: tuple[Node, ...] = ()


@lru_cache(maxsize=4096)
def parse(formula: str) -> Node:
    """The tree of a formula that starts with `=`.

    Raises
    ------
    Stop
        `#ERROR!` where it cannot be read.
    """
    reader = _Reader(_tokens(formula[1:]))
    node = reader.binary(0)
    if reader.peek() is not None:
        raise _unreadable()
    return node


def _unreadable() -> Exception:
    return fail("#ERROR!", "Formula parse error.")


def _tokens(source: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(source):
        match = TOKEN.match(source, at)
        if not match or match.end() == at or match.lastgroup is None:
            raise _unreadable()
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> tuple[str, str] | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, text: str) -> bool:
        if self.peek() == ("op", text):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise _unreadable()

    def binary(self, level: int) -> Node:
        if level == len(LEVELS):
            return self.signed()
        left = self.binary(level + 1)
        while (token := self.peek()) and token[0] == "op" and token[1] in LEVELS[level]:
            self.at += 1
            left = Node("binary", token[1], (left, self.binary(level + 1)))
        return left

    def signed(self) -> Node:
        if self.take("-"):
            return Node("negative", None, (self.signed(),))
        if self.take("+"):
            return self.signed()
        node = self.atom()
        while self.take("%"):
            node = Node("percent", None, (node,))
        return node

    def atom(self) -> Node:
        token = self.peek()
        if token is None:
            raise _unreadable()
        self.at += 1
        kind, text = token
        if kind == "op":
            return self._bracket(text)
        if kind == "call":
            return Node("call", text.upper(), self._arguments(")"))
        if kind == "number":
            return Node("value", float(text) if re.search(r"[.eE]", text) else int(text))
        if kind == "text":
            return Node("value", text[1:-1].replace('""', '"'))
        if kind == "name" and text.upper() in {"TRUE", "FALSE"}:
            return Node("value", text.upper() == "TRUE")
        return Node(kind, text)

    def _bracket(self, text: str) -> Node:
        if text == "(":
            node = self.binary(0)
            self.expect(")")
            return node
        if text == "{":
            return self._array()
        raise _unreadable()

    def _array(self) -> Node:
        rows, row = [], [self.binary(0)]
        while not self.take("}"):
            if self.take(";"):
                rows.append(Node("row", None, tuple(row)))
                row = [self.binary(0)]
            else:
                self.expect(",")
                row.append(self.binary(0))
        return Node("array", None, (*rows, Node("row", None, tuple(row))))

    def _arguments(self, end: str) -> tuple[Node, ...]:
        if self.take(end):
            return ()
        parts: list[Node] = []
        while True:
            missing = self.peek() in {("op", ","), ("op", ";"), ("op", end)}
            parts.append(Node("value", None) if missing else self.binary(0))
            if self.take(end):
                return tuple(parts)
            if not (self.take(",") or self.take(";")):
                raise _unreadable()
