"""What a constructed person is told, as text; `python -m tests.golden.render` writes the golden files anew for review."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from flows.notify.deliver import draft
from flows.notify.policy import Policy
from tests.golden.people import Constructed, everybody

FOLDER = Path(__file__).parent / "messages"
LANGUAGES = ("en", "ru")


def rendered(one: Constructed, language: str) -> str:
    """Every message with its evidence, then what was not said and why."""
    outcome = draft(one.report, replace(one.context, language=language), Policy())
    parts = [
        f"== {d.send.kind} ({d.send.subject}){', with a chart' if d.chart else ''}\n{d.text}\n"
        f"-- {json.dumps(d.send.evidence, ensure_ascii=False, sort_keys=True)}\n"
        for d in outcome.drafts
    ]
    parts += [f"not {skip.kind}: {skip.reason}\n" for skip in outcome.skips]
    parts += [f"problem: {problem}\n" for problem in outcome.problems]
    return "".join(parts)


def path(name: str, language: str) -> Path:
    return FOLDER / f"{name}.{language}.txt"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, one in everybody().items():
        for language in LANGUAGES:
            path(name, language).write_text(rendered(one, language), encoding="utf-8")


if __name__ == "__main__":
    main()
