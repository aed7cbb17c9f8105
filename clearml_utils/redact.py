"""What must not leave the machine, taken out of parameters, logs and exceptions: by name, by type, by shape.

Values once seen under a secret name are remembered, so that the text of a later exception that quotes them is clean
too.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_args, get_origin

MASK = "<redacted>"
_NAME = re.compile(
    r"(?:^|[_\-.])(?:secret|token|passw(?:or)?d|passwd|pwd|passphrase|api_?key|access_?key|private_?key|credentials?"
    r"|authorization|auth|cookie|jwt|signature|dsn|chat_?id|user_?id|phone|e_?mail|address|first_?name|last_?name"
    r"|full_?name|username|birth(?:day|date)?|ssn|iban|answers?|responses?)(?:s)?(?:$|[_\-.])",
    re.IGNORECASE,
)
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JSON web token
    re.compile(r"(?<!\d)\d{6,12}:[\w-]{30,}"),  # Telegram bot token
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\b(?:ghp|gho|ghs|github_pat|glpat|sk|pk|xox[abp])[-_][\w-]{16,}"),
    re.compile(r"(?<=[Bb]earer )[\w.~+/=-]{8,}"),
    re.compile(r"(?<=[Bb]asic )[\w+/=-]{8,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(
        r"(?i)(?<![a-z])(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key)['\"]?\s*[=:]\s*['\"]?([^\s'\",;)}]{4,})"
    ),
    re.compile(
        r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]*\w"
    ),  # e-mail; looked for once a word, or long ones take for ever
    re.compile(r"(?<![\w.:-])\+\d[\d ()-]{8,14}\d(?![\w:-])"),  # telephone
)
_REMEMBERED = 4096


class Sensitive:
    """Marks a parameter as never to be recorded: `answers: Annotated[list[str], Sensitive]`."""


def is_secret_name(name: str) -> bool:
    """Whether a parameter or key of this name is masked whole.

    Examples
    --------
    >>> is_secret_name("telegram_token"), is_secret_name("chatId"), is_secret_name("tokenizer")
    (True, True, False)
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return bool(_NAME.search(snake))


def is_sensitive_annotation(annotation: Any) -> bool:
    """Whether a parameter's annotation forbids recording: `Sensitive` in `Annotated`, or a secret type."""
    if get_origin(annotation) is Annotated:
        first, *marks = get_args(annotation)
        return any(m is Sensitive or isinstance(m, Sensitive) for m in marks) or is_sensitive_annotation(first)
    if args := get_args(annotation):
        return any(is_sensitive_annotation(a) for a in args if a is not type(None))
    return isinstance(annotation, type) and (annotation is Sensitive or _secret_type(annotation))


def _secret_type(kind: type) -> bool:
    """Pydantic's and Prefect's secret types by name, so that neither has to be imported."""
    return any(base.__name__ in {"SecretStr", "SecretBytes", "Secret", "SecretDict"} for base in kind.__mro__)


class Redactor:
    """Masks secrets; remembers those it has seen, up to a few thousand."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        for name, value in (os.environ if environ is None else environ).items():
            if is_secret_name(name) and len(value) >= 8:
                self.remember(value)

    def remember(self, *secrets: str) -> None:
        """Mask these texts wherever they turn up from now on (shorter than six characters: no)."""
        with self._lock:
            for secret in secrets:
                if len(secret) >= 6:
                    self._seen[secret] = None
                    self._seen.move_to_end(secret)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def text(self, text: str) -> str:
        """`text` without what looks like, or is known to be, a secret."""
        with self._lock:
            seen = [s for s in self._seen if s in text] if self._seen else []
        for secret in sorted(seen, key=len, reverse=True):
            text = text.replace(secret, MASK)
        for shape in _SHAPES:
            text = shape.sub(_mask_match, text)
        return text

    def value(self, name: str, value: Any, annotation: Any = None) -> Any:  # noqa: PLR0911 - one line per kind
        """`value` of the parameter `name`, masked where its name, type or annotation says so."""
        if _secret_type(type(value)):
            self._learn(value)
            return MASK
        if is_secret_name(name) or is_sensitive_annotation(annotation):
            self._learn(value)
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"<{len(value)} bytes>"
        if isinstance(value, Mapping):
            return {str(k): self.value(str(k), v) for k, v in list(value.items())[:200]}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value("", v) for v in list(value)[:200]]
        if hasattr(type(value), "model_fields"):
            return {f: self.value(f, getattr(value, f, None)) for f in type(value).model_fields}
        return value

    def _learn(self, value: Any) -> None:
        self.remember(*_strings(value))


def _mask_match(match: re.Match[str]) -> str:
    if match.groups() and match.group(1):
        return match.group(0).replace(match.group(1), MASK)
    return MASK


def _strings(value: Any, depth: int = 3) -> Iterable[str]:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    elif callable(getattr(value, "get", None)) and _secret_type(type(value)):
        value = value.get()
    if isinstance(value, bytes):
        value = value.decode(errors="ignore")
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner, depth - 1)
    elif depth and isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from _strings(inner, depth - 1)
