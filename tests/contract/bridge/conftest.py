"""Real Prefect, the real SDK session, and a ClearML endpoint: fresh recorder and spool for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.bridge.reading import Reader


@pytest.fixture
def tracked(
    prefect_server: str, clearml_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    """Tracking on, into the session's server, with a spool of the test's own; what ClearML then says of a run."""
    from clearml_utils import recorder

    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLEARML_UTILS_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    recorder.reset()
    yield Reader()
    recorder.reset()
