"""A new stack's Prefect begins with a migrated database; one that is there is never touched."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from flows.commands.prefect_seed import plant_seed, seed_path


@pytest.fixture
def seed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "installation"))
    path = seed_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a migrated database")
    return path


def test_a_new_home_begins_with_a_copy(seed, tmp_path):
    """A home without a database gets the installation's; the installation keeps its own."""
    assert plant_seed(tmp_path / "prefect")
    assert (tmp_path / "prefect" / "prefect.db").read_bytes() == seed.read_bytes() == b"a migrated database"


def test_a_database_that_is_there_stays(seed, tmp_path):
    """A Prefect that has run here keeps what it knows."""
    (tmp_path / "prefect.db").write_bytes(b"runs")
    assert not plant_seed(tmp_path)
    assert (tmp_path / "prefect.db").read_bytes() == b"runs"


def test_an_installation_without_one_leaves_it_to_prefect(tmp_path, monkeypatch):
    """Installed by other means than make: Prefect makes its database itself."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert not plant_seed(tmp_path / "prefect")
    assert not (tmp_path / "prefect").exists()


def test_the_seed_is_prefects_newest_schema():
    """What `make install` made is at the last of the installed Prefect's migrations."""
    if not seed_path().is_file():
        pytest.skip("this installation has no seed: it was not made by `make`")
    from alembic.script import ScriptDirectory
    from prefect.server import database as prefect_database

    migrations = Path(prefect_database.__file__).parent / "_migrations"
    newest = ScriptDirectory(migrations, version_locations=[migrations / "versions" / "sqlite"]).get_current_head()
    with sqlite3.connect(f"file:{seed_path()}?mode=ro", uri=True) as database:
        (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        (runs,) = database.execute("SELECT count(*) FROM flow_run").fetchone()
    assert (found, runs) == (newest, 0)
