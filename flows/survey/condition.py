"""`ask_if`: comparisons of earlier answers (and of `day` and `beep`) joined by `and`, `or`.

worry >= 4
beep == 11
worry >= 4 and (mood < 3 or beep == 1)
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, options: options is not None and value in options,
}


@dataclass(frozen=True)
class Condition:
    """When an item is asked. Unanswered items make a comparison false."""

    text: str

    def names(self) -> set[str]:
        """Items (and `day`, `beep`) it looks at."""
        return {node.id for node in ast.walk(self._tree()) if isinstance(node, ast.Name)}

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these answers."""
        return bool(_value(self._tree(), values))

    def _tree(self) -> ast.expr:
        return parse(self.text)


def parse(text: str) -> ast.expr:
    """Read a condition.

    Raises
    ------
    ValueError
        It is something else than comparisons joined by `and`, `or`, `not`.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no condition: {error.msg}; write for example: worry >= 4") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.BoolOp(values=parts):
            for part in parts:
                _check(part, text)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            _check(part, text)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
            _check_operand(left, text)
            _check_operand(right, text)
        case _:
            raise ValueError(f"{text!r} is no condition: compare items with values, joined by and, or, not")


def _check_operand(node: ast.expr, text: str) -> None:
    match node:
        case ast.Name() | ast.Constant(value=int() | float() | str()):
            return
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return
    raise ValueError(f"{text!r} is no condition: {ast.unparse(node)!r} is neither an item nor a number nor a text")


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.BoolOp(op=op, values=parts):
            results = (_value(part, values) for part in parts)
            return all(results) if isinstance(op, ast.And) else any(results)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not _value(part, values)
        case ast.UnaryOp(operand=ast.Constant(value=number)):
            return -number  # type: ignore[operator]  # checked to be a number
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compare(op, _value(left, values), _value(right, values))
        case ast.Name(id=name):
            return values.get(name)
        case ast.Constant(value=constant):
            return constant
    raise AssertionError(ast.dump(node))  # pragma: no cover - `parse` lets nothing else through


def _compare(op: ast.cmpop, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    try:
        return OPERATORS[type(op)](left, right)
    except TypeError:  # a text against a number
        return False
