"""Prefect's server on SQLite is never stopped by the garbage collector, and its transactions wait for each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# A connection whose mutex is held while it waits for the write lock, and a dead cursor of it in a cycle: whoever
# collects that cursor waits too. The thread that serves makes garbage, commits, and only so ends everybody's wait.
SCENARIO = """
import gc, sqlite3, sys, threading, time
from flows.commands import prefect_app

prefect_app.EVERY, prefect_app.STARTED = 0.05, (0.05,)
path = sys.argv[1]
serving = sqlite3.connect(path, isolation_level=None)
serving.execute("PRAGMA journal_mode=WAL")
serving.execute("CREATE TABLE t (x)")
other = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
collections = []
gc.callbacks.append(lambda phase, _: collections.append(threading.current_thread().name) if phase == "start" else None)
prefect_app.collect_apart()

serving.execute("BEGIN IMMEDIATE")
waiting = threading.Thread(target=other.execute, args=("INSERT INTO t VALUES (1)",))
cycle = {"cursor": other.execute("VALUES (1), (2)")}
cycle["cursor"].fetchone()
cycle["itself"] = cycle
waiting.start()
time.sleep(0.5)  # nothing tells when a connection waits within SQLite
del cycle, collections[:]
while not collections:
    garbage = [[] for _ in range(1000)]
served = waiting.is_alive()
serving.execute("COMMIT")
waiting.join()
print("served" if served else "stopped", set(collections))
"""


def test_the_thread_that_serves_goes_on_while_the_collector_waits_for_a_connection(tmp_path: Path) -> None:
    """It commits, the other connection writes, and only the collector's own thread has collected."""
    command = [sys.executable, "-c", SCENARIO, str(tmp_path / "t.db")]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert ended.stdout == "served {'garbage collector'}\n"


# Two of Prefect's transactions read, then write, one between the other's two steps.
TRANSACTIONS = """
import asyncio, contextlib, sqlalchemy as sa
from flows.commands import prefect_app
from prefect.server.database.configurations import AioSqliteConfiguration

prefect_app.begin_as_writers()

async def count(database, engine, read, go_on):
    session = await database.session(engine)
    async with session, database.begin_transaction(session):
        n = (await session.execute(sa.text("SELECT n FROM counter"))).scalar_one()
        read.set()
        await go_on.wait()
        await session.execute(sa.text("UPDATE counter SET n = :n"), {"n": n + 1})

async def main(url):
    database = AioSqliteConfiguration(connection_url=url)
    engine = await database.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE counter (n INTEGER)"))
        await connection.execute(sa.text("INSERT INTO counter VALUES (0)"))
    read, both, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    counting = [asyncio.create_task(count(database, engine, read, go_on))]
    await read.wait()
    counting.append(asyncio.create_task(count(database, engine, both, go_on)))
    with contextlib.suppress(TimeoutError):  # a second one that waits for the first has not read
        await asyncio.wait_for(both.wait(), 1)
    go_on.set()
    await asyncio.gather(*counting)
    async with engine.connect() as connection:
        print((await connection.execute(sa.text("SELECT n FROM counter"))).scalar_one())

import sys
asyncio.run(main(sys.argv[1]))
"""


def test_transactions_that_read_before_they_write_wait_for_each_other(tmp_path: Path) -> None:
    """Neither fails as "database is locked", and neither overwrites what the other counted."""
    command = [sys.executable, "-c", TRANSACTIONS, f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert ended.stdout == "2\n"
