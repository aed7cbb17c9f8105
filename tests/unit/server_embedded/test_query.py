"""What `get_all` means: filters, order, pages and projection, against a plain reading of the same objects."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.embedded import auth, objects
from server.embedded.database import MIGRATIONS, Database, connect, migrate
from server.embedded.errors import ApiError
from server.embedded.objects import TASK
from server.embedded.query import find, lacking
from server.embedded.query.filters import matching, split_markers
from server.embedded.query.find import WALKED
from server.embedded.query.metrics import name_hash
from server.embedded.services.events.store import delete_events, name_id, series_id

TAGS = ("a", "b", "c")
NAMES = ("one", "One two", "a.b", "100%", "x_y", "é")
METRIC = f"last_metrics.{name_hash('m')}.{name_hash('v')}.value"


def values_of(n: int) -> tuple[float, float, float, float]:
    """Last, smallest, largest and mean value of a task, each in an order of its own."""
    return float(n * 17 % 40), float(-(n * 7 % 40)), float(n * 11 % 40), float(n * 3 % 40)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with forty tasks, some with a metric."""
    database = Database(tmp_path_factory.mktemp("query") / "clearml.db")

    def fill(c: Any) -> None:
        auth.install(c, None)
        for n in range(40):
            values = {
                "id": f"{n:032x}", "company": auth.COMPANY, "user": "default", "name": NAMES[n % len(NAMES)],
                "type": "training", "status": ("created", "completed", "failed")[n % 3], "created": n * 10**6,
                "last_update": (n * 7 % 40) * 10**6, "last_iteration": n % 5,
                "tags": [tag for k, tag in enumerate(TAGS) if n >> k & 1], "system_tags": [],
                "hyperparams": {"Args": {"n": {"section": "Args", "name": "n", "value": str(n % 4)}}},
                "parent": None if n % 4 else f"{0:032x}",
            }  # fmt: skip
            objects.insert(c, TASK, values)
            if n % 3:
                c.execute(
                    "INSERT INTO series (object, metric, variant, name, value, min_value, max_value, count, mean_value)"
                    " VALUES (?, 'm', 'v', ?, ?, ?, ?, 1, ?)",
                    (f"{n:032x}", name_id(c, "m", "v"), *values_of(n)),
                )

    database.write(fill).result()
    yield database
    database.close()


def ask(db: Database, **body: Any) -> list[dict[str, Any]]:
    return find(db.reader(), TASK, body, auth.COMPANY, expanded=True).objects


def numbers(db: Database, **body: Any) -> list[int]:
    return [int(item["id"], 16) for item in ask(db, only_fields=["id"], **body)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*TAGS, *(f"-{t}" for t in TAGS), "__$not", "__$all", "__$any"]), max_size=5))
def test_tag_filters_mean_what_their_markers_say(db: Database, tags: list[str]) -> None:
    """Included tags are joined by or, or by and after `__$all`; excluded ones never occur."""
    include, exclude, every = split_markers(tags)

    def fits(n: int) -> bool:
        own = {tag for k, tag in enumerate(TAGS) if n >> k & 1}
        joined = all if every else any
        return (not include or joined(tag in own for tag in include)) and not own & set(exclude)

    assert numbers(db, tags=tags) == [n for n in range(40) if fits(n)]


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="aoO n^$.*+()\\%_|[]é1", max_size=8),
    st.sampled_from(NAMES),
    st.sampled_from([0, re.IGNORECASE]),
)
def test_a_pattern_matches_as_the_regular_expression_would(pattern: str, name: str, flags: int) -> None:
    """Whatever shortcut the SQL takes, it finds what `re.search` finds."""
    import sqlite3

    from server.embedded.database import matches

    connection = sqlite3.connect(":memory:")
    connection.create_function("matches", 3, matches)
    try:
        re.compile(pattern)
    except re.error:
        with pytest.raises(ApiError, match="Malformed regular expression"):
            matching("name", pattern, flags)
        return
    sql, values = matching("name", pattern, flags)
    question = f"SELECT {sql} FROM (SELECT ? AS name)"  # noqa: S608 - the condition under test
    found = connection.execute(question, [*values, name]).fetchone()[0]
    # `$` matches before a newline at the end; names have none
    assert bool(found) == (re.search(pattern, name, flags) is not None)


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("size", [1, 7, 13, 40])
def test_pages_by_metric_are_the_whole_list_cut(db: Database, size: int, *, down: bool) -> None:
    """Ordered by a metric some tasks lack, pages follow one another without a gap or a double; the lacking are least."""
    order = ["-" + METRIC if down else METRIC]
    pages = [numbers(db, order_by=order, page=page, page_size=size) for page in range(-(-40 // size) + 1)]
    together = [n for page in pages for n in page]
    have = sorted((n for n in range(40) if n % 3), key=lambda n: n * 17 % 40, reverse=down)
    lack = [n for n in range(40) if not n % 3]
    assert sorted(together) == list(range(40))
    assert [n for n in together if n % 3] == have
    assert together == (have + lack if down else lack + have)


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize(("place", "column"), list(enumerate(("value", "min_value", "max_value", "mean_value"))))
def test_every_value_of_a_metric_orders(db: Database, place: int, column: str, *, down: bool) -> None:
    """Last, smallest, largest and mean value each order a page, those with an index and those without."""
    path = METRIC.replace(".value", f".{column}")
    found = numbers(db, order_by=["-" + path if down else path], page=0, page_size=20)
    have = sorted((n for n in range(40) if n % 3), key=lambda n: values_of(n)[place], reverse=down)
    lack = [n for n in range(40) if not n % 3]
    assert found == (have + lack if down else lack + have)[:20]


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("path", [None, *sorted(WALKED)])
def test_a_page_read_off_an_index_is_the_one_sorted(
    db: Database, monkeypatch: pytest.MonkeyPatch, path: str | None, *, down: bool
) -> None:
    """Whether the objects are read in the order of an index or sorted afterwards, pages hold the same."""
    order = [("-" if down else "") + path] if path else []
    asked = {"order_by": order, "status": ["created", "failed"], "page_size": 9}
    pages = [[numbers(db, **asked, page=page) for page in range(4)]]
    monkeypatch.setattr(sys.modules["server.embedded.query.find"], "FEW", 0)
    pages.append([numbers(db, **asked, page=page) for page in range(4)])
    assert pages[0] == pages[1]
    assert sorted(n for page in pages[1] for n in page) == [n for n in range(40) if n % 3 != 1]


def test_an_older_installation_is_brought_up_to_date(tmp_path: Path) -> None:
    """Metrics recorded before names had numbers order a page as ever."""
    old = tmp_path / "old"
    old.mkdir()
    for script in sorted(MIGRATIONS.glob("000*.sql")):
        shutil.copy(script, old)
    connection = connect(tmp_path / "clearml.db")
    assert migrate(connection, old) == 9
    for n in range(3):
        row = {"id": f"{n:032x}", "company": auth.COMPANY, "name": "x", "type": "t", "status": "s", "created": n}
        objects.insert(connection, TASK, row)
        connection.execute(
            "INSERT INTO series (object, metric, variant, metric_hash, variant_hash, value, count) VALUES (?, 'm', 'v', ?, ?, ?, 1)",
            (row["id"], name_hash("m"), name_hash("v"), (1.0, 3.0, 2.0)[n]),
        )
    connection.close()
    database = Database(tmp_path / "clearml.db")
    assert numbers(database, order_by=[METRIC]) == [0, 2, 1]
    assert numbers(database, **{METRIC: [2, None]}) == [1, 2]
    database.close()


@pytest.mark.parametrize("many", [0, 3, 20_000])
def test_what_lacks_a_metric_is_told_anew_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """A task that got the metric, lost it, came or went since the last page is where it belongs on the next one."""
    monkeypatch.setattr(lacking, "MANY", many)
    database = Database(tmp_path / "clearml.db")
    ids = [f"{n:032x}" for n in range(8)]
    have: dict[int, float] = {}

    def add(c: Any, n: int) -> None:
        objects.insert(
            c, TASK, {"id": ids[n], "company": auth.COMPANY, "name": "x", "type": "t", "status": "s", "created": n}
        )

    def give(c: Any, n: int) -> None:
        have[n] = float(10 - n)
        sql = "UPDATE series SET value = ?, count = 1 WHERE id = ?"
        c.execute(sql, (have[n], series_id(c, ids[n], "m", "v")))

    def lose(c: Any, n: int) -> None:
        have.pop(n, None)
        delete_events(c, [ids[n]])

    def shown() -> list[int]:
        found = find(database.reader(), TASK, {"order_by": [METRIC], "page": 0, "page_size": 5}, auth.COMPANY)
        return [int(item["id"], 16) for item in found.objects]

    def do(job: Any, *numbers: int) -> None:
        database.write(lambda c: [job(c, n) for n in numbers]).result()

    do(add, 0, 1, 2, 3, 4, 5)
    do(give, 0, 1, 2, 4, 5)
    assert shown() == [3, 5, 4, 2, 1]
    do(give, 3)
    assert shown() == [5, 4, 3, 2, 1]
    do(lose, 1)
    assert shown() == [1, 5, 4, 3, 2]
    do(add, 6)
    assert shown() == [1, 6, 5, 4, 3]
    database.write(lambda c: c.execute("DELETE FROM task WHERE id = ?", (ids[6],))).result()
    do(add, 7)  # in the place of the one that went
    assert shown() == [1, 7, 5, 4, 3]
    database.close()


@pytest.mark.parametrize("size", [1, 9, 40, 500])
def test_a_scroll_ends_and_keeps_its_id(db: Database, size: int) -> None:
    """Following a scroll gives every object once, under one id, and then nothing."""
    page = find(db.reader(), TASK, {"scroll_id": None, "size": size, "order_by": ["-last_update"]}, auth.COMPANY)
    seen = [item["id"] for item in page.objects]
    scroll = page.scroll_id
    while page.objects:
        body = {"scroll_id": scroll, "size": size, "order_by": ["-last_update"]}
        page = find(db.reader(), TASK, body, auth.COMPANY)
        assert page.scroll_id == scroll
        seen += [item["id"] for item in page.objects]
    assert len(seen) == len(set(seen)) == 40


def test_filters_on_columns_metrics_and_parameters(db: Database) -> None:
    """Ranges, membership, missing values, dates and nested fields."""
    assert numbers(db, status=["failed"]) == list(range(2, 40, 3))
    assert numbers(db, last_iteration=[3, None]) == [n for n in range(40) if n % 5 >= 3]
    assert numbers(db, parent=[None]) == [n for n in range(40) if n % 4]
    assert numbers(db, created=[">=1970-01-01T00:00:35", "<1970-01-01T00:00:38"]) == [35, 36, 37]
    assert numbers(db, **{METRIC: [30, None]}) == [n for n in range(40) if n % 3 and n * 17 % 40 >= 30]
    assert numbers(db, **{"hyperparams.Args.n.value": ["2"]}) == [n for n in range(40) if n % 4 == 2]
    assert numbers(db, _any_={"fields": ["name", "tags"], "pattern": "ONE"}) == [n for n in range(40) if n % 6 < 2]
    assert numbers(db, filters={"tags": {"all": {"include": ["a"], "exclude": ["b"]}}}) == [
        n for n in range(40) if n & 1 and not n & 2
    ]
    assert numbers(db, name=None, tags=[], id=[]) == list(range(40))


def test_fields_are_nested_as_asked_for(db: Database) -> None:
    """Dotted paths answer nested, references as objects, and unknown ones are refused."""
    [item] = ask(db, id=[f"{4:032x}"], only_fields=["hyperparams.Args.n.value", "parent.name", METRIC])
    assert item == {
        "id": f"{4:032x}",
        "hyperparams": {"Args": {"n": {"value": "0"}}},
        "parent": {"id": f"{0:032x}", "name": "one"},
        "last_metrics": {name_hash("m"): {name_hash("v"): {"value": 28.0}}},
    }
    with pytest.raises(ApiError) as refused:
        ask(db, only_fields=["nonsense"])
    assert (refused.value.status, refused.value.subcode) == (400, 14)


def test_a_list_longer_than_the_database_takes_parameters(db: Database) -> None:
    """Fifty thousand ids filter like five."""
    ids = [f"{n:032x}" for n in range(50_000)]
    assert numbers(db, id=ids) == list(range(40))
    assert numbers(db, status=["__$not", *(["failed"] * 1)], name="one", id=ids)
    assert numbers(db, parent=[f"{0:032x}", *(f"{n:032x}" for n in range(100_000, 150_000))]) == list(range(0, 40, 4))
