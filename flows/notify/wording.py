"""Facts -> text in a person's language, checked and escaped by Telegram's rules (MarkdownV2)."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from flows.notify import locale
from flows.notify.errors import TooLongError, WordingError

CAPTION_LIMIT = 1024
TEXT_LIMIT = 4096
"""Telegram's limits, in UTF-16 code units of the text after its entities are parsed."""

_BOLD_ON, _BOLD_OFF = "\ue000", "\ue001"  # private use: what is bold survives the escaping of everything else
_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in "_*[]()~`>#+-=|{}.!\\"} | {_BOLD_ON: "*", _BOLD_OFF: "*"})
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"


def write(
    templates: Mapping[str, str],
    kind: str,
    *,
    language: str,
    timezone: ZoneInfo,
    facts: Mapping[str, Any],
    evidence: Mapping[str, Any],
) -> str:
    """Text of a message in MarkdownV2.

    Parameters
    ----------
    templates
        Kind -> template of this language.
    kind
        What to say.
    language
        Decides plural forms, decimal sign and dates.
    timezone
        The person's: times in `facts` are ISO-8601 UTC and shown as their local time.
    facts, evidence
        What was seen, and how sure it is. Numbers must be finite.

    Raises
    ------
    WordingError
        No such template, an error in it, or a fact it asks for is missing or not a number.
    TooLongError
        Beyond Telegram's limit.
    """
    if kind not in templates:
        raise WordingError(f"no wording for {kind!r} in {language!r}: add it to the policy's wording")
    _check_numbers(kind, facts, evidence)
    words = {**facts, "scale": scale_name(templates, facts)}
    try:
        text = _compiled(language, templates[kind]).render(f=words, e=evidence, zone=timezone).strip()
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise WordingError(f"wording of {kind!r} in {language!r} fails: {error}") from error
    return fitting(escape(text), CAPTION_LIMIT, kind)


def scale_name(templates: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    """Words for what was measured: the study's own label, or ours by polarity."""
    label = facts.get("label")
    if label:
        return templates.get("scale_label", "{label}").replace("{label}", isolated(str(label)))
    return templates.get(f"scale_{facts.get('polarity', 'negative')}", "")


def escape(text: str) -> str:
    """Escape everything Telegram reserves; what `b()` marked becomes bold."""
    return text.translate(_ESCAPES)


def plain(markdown: str) -> str:
    """What a reader sees of a MarkdownV2 text of ours."""
    return re.sub(r"\\(.)|\*", lambda found: found[1] or "", markdown)


def isolated(inserted: str) -> str:
    """Inserted words that cannot turn the sentence around them: control signs dropped, direction isolated."""
    clean = "".join(sign for sign in inserted if not unicodedata.category(sign).startswith(("Cc", "Co")))
    clean = re.sub("[\u202a-\u202e\u2066-\u2069]", "", clean).strip()
    turned = any(unicodedata.bidirectional(sign) in {"R", "AL", "AN"} for sign in clean)
    return f"{_ISOLATE}{clean}{_END_ISOLATE}" if turned else clean


def fitting(markdown: str, limit: int, kind: str) -> str:
    """`markdown` itself, where Telegram accepts its length."""
    if 2 * len(markdown) <= limit:
        return markdown  # not even if every sign counted twice
    length = len(plain(markdown).encode("utf-16-le")) // 2
    if length > limit:
        raise TooLongError(
            f"wording of {kind!r} gives {length} characters, Telegram takes {limit}: shorten the template"
        )
    return markdown


def _check_numbers(kind: str, facts: Mapping[str, Any], evidence: Mapping[str, Any]) -> None:
    for name, value in (*facts.items(), *evidence.items()):
        if isinstance(value, float) and not math.isfinite(value):
            raise WordingError(f"{name!r} of a {kind!r} message is {value}: it should have been skipped as unknown")


@lru_cache(maxsize=512)
def _compiled(language: str, source: str) -> jinja2.Template:
    """Compiling a template takes a hundred times as long as filling it; so, nearly, does a chain of namespaces."""
    made = _environment(language).from_string(source)
    made.globals = dict(made.globals)
    return made


@cache
def _environment(language: str) -> SandboxedEnvironment:
    """Templates come from the registry: sandboxed, strict about names, with one language's forms."""
    made = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    made.globals["b"] = lambda text: f"{_BOLD_ON}{text}{_BOLD_OFF}"
    made.filters |= _filters(locale.of(language))
    return made


def _filters(forms: locale.Forms) -> dict[str, Callable[..., str | float]]:
    @jinja2.pass_context
    def day(context: Context, moment: str) -> str:
        if len(moment) == len("2026-01-01"):
            return forms.day(date.fromisoformat(moment))
        return forms.day(_local(context, moment).date())

    @jinja2.pass_context
    def first(context: Context, moment: str, end: str) -> str:
        begins, ends = (day(context, one) for one in (moment, end))
        number, _, month = begins.partition(" ")
        return number if month == ends.partition(" ")[2] else begins

    @jinja2.pass_context
    def clock(context: Context, moment: str) -> str:
        return _local(context, moment).strftime("%H:%M")

    return {
        "num": forms.number,
        "percent": forms.percent,
        "plural": forms.plural,
        "day": day,
        "from": first,
        "clock": clock,
        "hour": forms.hour,
        "weekday": forms.weekday,
        "lower_first": lambda text: text[:1].lower() + text[1:],
        "upper_first": lambda text: text[:1].upper() + text[1:],
        "abs_low": lambda low, high: 0.0 if low * high < 0 else min(abs(low), abs(high)),
        "abs_high": lambda low, high: max(abs(low), abs(high)),
    }


def _local(context: Context, moment: str) -> datetime:
    zone: ZoneInfo = context["zone"]
    return datetime.fromisoformat(moment).astimezone(zone)
