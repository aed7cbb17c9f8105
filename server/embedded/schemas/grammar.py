"""The notation of request schemas, and what checks a value against it.

A schema is a line of fields, ``name:type``; ``name!:type`` must be there, ``name!!:type`` too but is reported as the
endpoints report that know no types (subcode 11 and not 12).

=============  =====================================================================
type           value
=============  =====================================================================
``str``        text
``int``        whole number, or text that reads as one; no more than 64 bits
``num``        finite number
``bool``       anything, taken as true or false
``dict any``   object; anything
``strs``       text or a list of texts: how filters may be written
``page``       page number or size; told apart by the query that uses it
``params``     sections of named parameters, each an object
``[T] [T]+``   list, list of at least one
``{T}``        object with values of one type
``(a:T b:T)``  object with fields
``<a|b>``      one of these words; ``<name=a|b>`` is reported as the type `name`
``@name``      a structure of `STRUCTURES`
``~T``         as `T`, but reported as a problem of the stored document (subcode 800)
=============  =====================================================================

Nothing is rejected that is merely unknown: fields without a rule pass, null is no value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server.embedded.errors import ApiError, fail
from server.embedded.schemas.structures import STRUCTURES

Check = Callable[[Any], Any]
_TOKEN = re.compile(r"\s*([\[\](){}:~]|\]\+|@\w+|<[^>]*>|[\w.]+!{0,2}|\+)")
_INT64 = 2**63


class BadValueError(Exception):
    """A value is not what the schema says; the text is what stands after the field's name."""


class UncodedError(Exception):
    """A value of a kind that the official server fails on without a code of its own."""


@dataclass(frozen=True)
class Rule:
    """What one field of a request must be."""

    check: Check
    required: bool
    untyped: bool
    stored: bool


def _wrong(expected: str, value: Any) -> BadValueError:
    return BadValueError(repr((f'value is wrong, expected type "{expected}"', value)))


def _any(value: Any) -> Any:
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("str", value)
    return value


def _int(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UncodedError(str(error)) from error
    if not -_INT64 <= number < _INT64:
        raise _wrong("int", value)
    return number


def _num(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e300:
        raise _wrong("float, int", value)
    return value


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong("dict", value)
    return value


def _strs(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise _wrong("list", value)
    for item in value:
        if item is not None and not isinstance(item, str | int | float):
            raise BadValueError(f'all items must be instances of "str", and not "{type(item).__name__}"')
    return value


def _page(value: Any) -> int:
    if isinstance(value, float):
        raise UncodedError("slice indices must be integers or None or have an __index__ method")
    if not isinstance(value, int):
        raise UncodedError(f"'<' not supported between instances of '{type(value).__name__}' and 'int'")
    return max(min(value, 2**40), -1)


def _params(value: Any) -> Any:
    for section in _dict(value).values():
        for item in _source(section).values():
            _source(item)
    return value


def _source(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UncodedError(f"The source SON object needs to be of type 'dict' but a '{type(value)}' was found")
    return value


_PLAIN: Mapping[str, Check] = {
    "any": _any,
    "str": _str,
    "int": _int,
    "num": _num,
    "bool": bool,
    "dict": _dict,
    "strs": _strs,
    "page": _page,
    "params": _params,
}


def _list_of(check: Check, *, least: int = 0) -> Check:
    def run(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong("list", value)
        if len(value) < least:
            raise BadValueError(f"value '{value}' length is lower than allowed minimum '{least}'.")
        try:
            return [check(item) for item in value]
        except BadValueError as error:
            if check is _str:
                odd = next(item for item in value if not isinstance(item, str))
                raise BadValueError(f'all items must be instances of "str", and not "{type(odd).__name__}".') from error
            raise

    run.least = least  # type: ignore[attr-defined]
    return run


def _map_of(check: Check) -> Check:
    return lambda value: {key: None if item is None else check(item) for key, item in _dict(value).items()}


def _choice(words: str) -> Check:
    name, _, listed = words.rpartition("=")
    allowed = frozenset(listed.split("|"))

    def run(value: Any) -> Any:
        if isinstance(value, str) and value in allowed:
            return value
        raise _wrong(name, value) if name else BadValueError(f"value {value!r} is not a valid choice.")

    return run


def _object(rules: Mapping[str, Rule]) -> Check:
    def run(value: Any) -> dict[str, Any]:
        checked = dict(_dict(value))
        for name, item in checked.items():
            rule = rules.get(name)
            if rule is None or item is None:
                continue
            try:
                checked[name] = rule.check(item)
            except BadValueError as error:
                raise BadValueError(f"error for field '{name}': {error}.") from error
        for name, rule in rules.items():
            if rule.required and checked.get(name) is None:
                raise BadValueError(f"(\"error for field '{name}'.\", validationerror('field is required!'))")
        return checked

    return run


class _Reader:
    """Recursive descent over one schema line."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def fields(self, end: str = "") -> dict[str, Rule]:
        rules: dict[str, Rule] = {}
        while self.peek() not in (end, ""):
            name = self.next()
            if self.next() != ":":
                raise ValueError(f"{name} has no type")
            stored = self.peek() == "~"
            if stored:
                self.next()
            rules[name.rstrip("!")] = Rule(self.type(), "!" in name, name.endswith("!!"), stored)
        self.next()
        return rules

    def type(self) -> Check:
        word = self.next()
        if word == "[":
            inner = self.type()
            self.next()
            least = self.peek() == "+"
            if least:
                self.next()
            return _list_of(inner, least=int(least))
        if word == "{":
            inner = self.type()
            self.next()
            return _map_of(inner)
        if word == "(":
            return _object(self.fields(")"))
        if word.startswith("<"):
            return _choice(word[1:-1])
        if word.startswith("@"):
            return _object(_Reader(STRUCTURES[word[1:]]).fields())
        return _PLAIN[word]


def rules_of(line: str) -> dict[str, Rule]:
    """Read a schema line into the rule of each field."""
    return _Reader(line).fields()


def check_body(rules: Mapping[str, Rule], body: dict[str, Any]) -> None:
    """Check a request body in place: values are replaced by what they were read as.

    Raises
    ------
    ApiError
        The first problem, in the words of the official server: values first, then what is missing by name.
    """
    for name, value in body.items():
        rule = rules.get(name)
        if rule is not None:
            body[name] = _checked(rule, name, value)
    missing = sorted(name for name, rule in rules.items() if rule.required and name not in body)
    if missing:
        raise _missing(missing, rules[missing[0]])


def _checked(rule: Rule, name: str, value: Any) -> Any:
    if value is None:
        if rule.required and not rule.untyped:
            raise ApiError.raw("validation_error", f"Validation error (error for field '{name}': field is required!.)")
        return None
    try:
        return rule.check(value)
    except UncodedError as error:
        raise ApiError.raw("bad_request", str(error)) from error
    except BadValueError as error:
        if rule.stored:
            raise ApiError.raw(
                "data_validation_error", f"Data validation error: {name}={_stored(value, error)}"
            ) from error
        text = f"error for field '{name}': {error}.".lower()
        raise ApiError.raw("validation_error", f"Validation error ({text})") from error


def _stored(value: Any, error: BadValueError) -> str:
    text = str(error)
    if 'expected type "list"' in text:
        return "Only lists and tuples may be used in a list field"
    if 'expected type "dict"' in text:
        return "Only dictionaries may be used in a DictField"
    if 'expected type "str"' in text and not isinstance(value, str):
        return "StringField only accepts string values"
    return text


def _missing(names: list[str], first: Rule) -> ApiError:
    if first.untyped:
        return fail("missing_required_fields", missing=names)
    least = getattr(first.check, "least", 0)
    problem = f"value '[]' length is lower than allowed minimum '{least}'." if least else "field is required!"
    return ApiError.raw("validation_error", f"Validation error (error for field '{names[0]}'. {problem})")
