"""A policy checked before anybody gets it: every template, in every language, filled with facts of every form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from flows.notify import locale
from flows.notify.errors import MessageError, WordingError
from flows.notify.policy import Policy
from flows.notify.templates import LANGUAGES
from flows.notify.wording import write

_DAY, _TIME = "2026-05-04", "2026-05-04T09:30:00+00:00"
_LEVEL = {"polarity": "negative", "lo": 1.0, "hi": 7.0}
_SPAN = {"start": _DAY, "end": "2026-05-18"}
_USUAL = {"usual": 3.0, "low": 2.5, "high": 3.5}
SAMPLES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "change": [({"at": _TIME, "before": 3.0, "after": a}, {"alpha": 0.05, "p": 0.01}) for a in (2.0, 4.0)],
    "trend": [({"start": _TIME, "end": _TIME, "per_week": s}, {"low": s - 0.1, "high": s + 0.1}) for s in (-0.5, 0.5)],
    "unusual_day": [({"day": _DAY, "value": v, **_USUAL}, {"one_in": 2, "p": 0.02}) for v in (1.5, 5.5)],
    "recovery": [({"day": _DAY, "unusual": _DAY, "value": 3.1, **_USUAL}, {})],
    "rhythm": [
        ({"kind": kind, "peak": 4.0, "amplitude": 0.4, "explained": 0.05, **_SPAN}, {"p": 0.01})
        for kind in ("daily", "weekly")
    ],
    "summary": [
        ({"value": 3.0, "usual": usual, "differs": differs, **_SPAN}, {"low": 2.5, "high": 3.5})
        for usual, differs in ((None, False), (3.0, True))
    ],
    "forecast": [
        ({"at": _TIME, "mean": 3.0, "low": 2.0, "high": 4.0, "coverage": 0.8}, {"model": "m", "version": "1"})
    ],
    "streak": [({"days": days, **_SPAN}, {}) for days in (7, 21, 22)],
    "compliance": [({"answered": n, "prompts": n, "share": 0.893, **_SPAN}, {}) for n in (20, 21, 22)],
    "missed": [({"missed": missed, "of": of, "since": _TIME}, {}) for missed, of in ((4, 4), (5, 8), (21, 21))],
    "reminder": [({"sent": _TIME, "until": _TIME}, {"prompt": "q"})],
}  # fmt: skip
"""Facts and evidence of every kind; counts are added in every plural form."""


def problems(policy: Policy) -> list[str]:
    """What is wrong with a policy's wording: a language missing or without forms, a kind missing, a bad template."""
    return [str(error) for error in _errors(policy)]


def _errors(policy: Policy) -> Iterator[MessageError]:
    for language in LANGUAGES:
        if language not in policy.wording:
            yield WordingError(f"no wording in language {language!r}: people who read it would be told nothing")
    for language, templates in policy.wording.items():
        try:
            locale.of(language)
        except MessageError as error:
            yield error
            continue
        for kind in policy.order:
            if error_of := _first(templates, kind, language):
                yield error_of


def _first(templates: Any, kind: str, language: str) -> MessageError | None:
    """First problem of one template over all samples and plural forms."""
    for facts, evidence in SAMPLES[kind]:
        for n in (1, 3, 5, 11, 21):
            counts = {"n": n, "days": n, "n_before": n, "n_after": n}
            try:
                write(
                    templates, kind, language=language, timezone=ZoneInfo("UTC"),
                    facts={**_LEVEL, **facts}, evidence={**counts, **evidence},
                )  # fmt: skip
            except MessageError as error:
                return error
    return None
