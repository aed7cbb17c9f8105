"""COVERAGE.md: which endpoints of the API this server has, written from the registry.

python -m server.embedded.coverage          # write it
python -m server.embedded.coverage --check  # exit 1 when it is stale
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from server.embedded import services
from server.embedded.catalogue import ENDPOINTS
from server.embedded.endpoints import API_VERSION, REGISTRY

PATH = Path(__file__).with_name("COVERAGE.md")


def rendered() -> str:
    """Write the table."""
    services.load()
    by_service: dict[str, list[str]] = {}
    for name in sorted(ENDPOINTS):
        by_service.setdefault(name.partition(".")[0], []).append(name)
    have = sum(name in REGISTRY for name in ENDPOINTS)
    lines = [
        "# Endpoints",
        "",
        f"API {API_VERSION}: {have} of {len(ENDPOINTS)} endpoints. Written by `python -m server.embedded.coverage`;",
        "a test fails when it is stale. What is missing answers 501 `not implemented`, is logged, and is counted in",
        "`server.endpoints`.",
        "",
        "| service | implemented | missing |",
        "|---|---|---|",
    ]
    for service, names in sorted(by_service.items()):
        there = [name for name in names if name in REGISTRY]
        missing = ", ".join(name.partition(".")[2] for name in names if name not in REGISTRY)
        lines.append(f"| {service} | {len(there)} of {len(names)} | {missing} |")
    lines += ["", "| endpoint | since | writes |", "|---|---|---|"]
    for name in sorted(ENDPOINTS):
        found = REGISTRY.get(name)
        if found:
            lines.append(f"| {name} | {ENDPOINTS[name][0]} | {'yes' if found.write else ''} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file, or check it. Returns the exit status."""
    if "--check" in arguments:
        fresh = PATH.exists() and PATH.read_text() == rendered()
        print("fresh" if fresh else f"{PATH.name} is stale: run `python -m server.embedded.coverage`")
        return 0 if fresh else 1
    PATH.write_text(rendered())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
