"""`python -m server.embedded`: the ClearML-compatible server, three ports in one process."""

from __future__ import annotations

from server.embedded.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
