"""A private store with the daily survey open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.store import Store
from tests.unit.bot.hands import NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "private.db") as opened:
        opened.surveys.open("mood", NOW)
        yield opened
