"""A page with every message of a cycle, for people to review before anything is sent."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from importlib import resources

import jinja2

from flows.notify.chart import Painter
from flows.notify.deliver import Outcome
from flows.notify.wording import plain


def page(outcomes: Sequence[Outcome], painter: Painter) -> str:
    """HTML: each message as its reader would see it, its evidence, then what was not said and what went wrong."""
    source = resources.files(__package__).joinpath("templates/preview.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    messages = [
        {
            "draft": d,
            "text": plain(d.text),
            "chart": base64.b64encode(painter.png(d.chart)).decode() if d.chart else None,
        }
        for outcome in outcomes
        for d in outcome.drafts
    ]
    skips = Counter((skip.kind, skip.reason) for outcome in outcomes for skip in outcome.skips)
    problems = [(outcome.person, problem) for outcome in outcomes for problem in outcome.problems]
    return template.render(messages=messages, skips=sorted(skips.items()), problems=problems, people=len(outcomes))
