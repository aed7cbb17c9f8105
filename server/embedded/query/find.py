"""Pages of objects: filter, order, cut, compute, project."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.embedded.errors import fail
from server.embedded.objects import Kind, columns, from_row, new_id
from server.embedded.query import lacking
from server.embedded.query.filters import NAMED, Where, conditions, expression, metric
from server.embedded.query.metrics import last_metrics
from server.embedded.query.project import EVERYTHING, checked_fields, expand, project_fields

PAGE_MAX = 500
FEW = 2_000
WALKED = frozenset(
    {"name", "type", "created", "started", "completed", "last_update", "last_iteration", "active_duration"}
)  # columns of tasks with an index
LACKING = (
    "(SELECT seq FROM temp.lacking WHERE kind = '{0}' AND name = ?) AS lacks CROSS JOIN {0} ON {0}.seq = lacks.seq"
)
Compute = Callable[[sqlite3.Connection, list[dict[str, Any]], Sequence[str] | None], None]


@dataclass(frozen=True)
class Page:
    """A page of answers, and where the next one starts when the client scrolls."""

    objects: list[dict[str, Any]]
    scroll_id: str | None = None

    def answer(self, name: str) -> dict[str, Any]:
        """Write as a `get_all` answers."""
        found: dict[str, Any] = {name: self.objects}
        if self.scroll_id is not None:
            found["scroll_id"] = self.scroll_id
        return found


@dataclass(frozen=True)
class Window:
    """Which slice of the ordered objects is wanted."""

    offset: int
    limit: int
    scroll: str | None = None


def window(body: Mapping[str, Any]) -> Window:
    """Read page, page size, scroll and size from a request.

    Raises
    ------
    ApiError
        `validation_error`: a negative page, or a page size that is not positive.
    """
    if "scroll_id" in body:
        asked = min(max(_whole(body, "size") or PAGE_MAX, 1), PAGE_MAX)
        scroll = str(body["scroll_id"] or "")
        known = scrolls.get(scroll)
        if known is None:  # an unknown scroll starts over under a new id, as on the official server
            return Window(0, asked, new_id())
        return Window(0, max(known, asked), scroll) if body.get("refresh_scroll") else Window(known, asked, scroll)
    page, size = _whole(body, "page"), _whole(body, "page_size")
    if page is not None and page < 0:
        raise fail("validation_error", "page must be >=0", field="page")
    if size is not None and size <= 0:
        raise fail("validation_error", "page_size must be >0", field="page_size")
    limit = min(size or PAGE_MAX, PAGE_MAX)
    if page is None and size is None:
        return Window(0, -1 if not body.get("size") else PAGE_MAX)
    return Window((page or 0) * limit, limit)


def _whole(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**40:
        raise fail("validation_error", f"error for field '{name}': expected an integer.", field=name)
    return value


class Scrolls:
    """Where scrolls have got to; the oldest are forgotten."""

    def __init__(self, kept: int = 2_000) -> None:
        self._kept = kept
        self._offsets: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, scroll: str) -> int | None:
        """Return the number of objects a scroll has answered."""
        return self._offsets.get(scroll)

    def put(self, scroll: str, offset: int) -> None:
        """Note how far a scroll has got."""
        with self._lock:
            self._offsets[scroll] = offset
            self._offsets.move_to_end(scroll)
            while len(self._offsets) > self._kept:
                self._offsets.popitem(last=False)


scrolls = Scrolls()


def orders(body: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Read the order: `(path, descending)` each."""
    asked = body.get("order_by") or []
    listed = asked if isinstance(asked, list) else [asked]
    return [
        (str(item).lstrip("-+"), str(item).startswith("-")) for item in listed if item and not str(item).startswith("@")
    ]


def _select(kind: Kind, names: Sequence[str]) -> str:
    return ", ".join(f'{kind.table}."{name}"' for name in names)


def rows_of(
    db: sqlite3.Connection,
    kind: Kind,
    where: Where,
    order: Sequence[tuple[str, bool]],
    names: Sequence[str],
    view: Window,
) -> list[sqlite3.Row]:
    """Read the rows of a window."""
    if order and metric(order[0][0]):
        return _by_metric(db, kind, where, order, names, view)
    terms = [expression(kind, path)[0] + (" DESC" if down else "") for path, down in order]
    terms.append(f"{kind.table}.seq" + (" DESC" if order and order[-1][1] else ""))
    chosen = f"SELECT {_select(kind, names)} FROM {_ordered(db, kind, where, order, view)} WHERE {where.sql}"  # noqa: S608 - names are declared
    sql = f"{chosen} ORDER BY {', '.join(terms)} LIMIT ? OFFSET ?"
    return db.execute(sql, [*where.values, view.limit, view.offset]).fetchall()


def _ordered(db: sqlite3.Connection, kind: Kind, where: Where, order: Sequence[tuple[str, bool]], view: Window) -> str:
    """Name the table, and the index to read it by when that is the order of a page.

    Left alone, SQLite would use the index of a filter and sort all that it leaves for one page of it.
    """
    path = order[0][0] if order else None
    if kind.table != "task" or view.limit <= 0 or (path and path not in WALKED) or _few(db, kind, where, anyway=True):
        return kind.table
    return f"task INDEXED BY task_{path}" if path else "task NOT INDEXED"


def _by_metric(
    db: sqlite3.Connection,
    kind: Kind,
    where: Where,
    order: Sequence[tuple[str, bool]],
    names: Sequence[str],
    view: Window,
) -> list[sqlite3.Row]:
    """Order by a last metric. Missing values are the smallest: first when ascending, last when descending."""
    path, down = order[0]
    first, second, column = metric(path) or ("", "", "value")
    name = db.execute(f"SELECT {NAMED}", (first, second)).fetchone()[0] or 0
    few = _few(db, kind, where)
    chosen = _select(kind, names)
    bound, bounds = _bound(column, where.bounds.get((first, second, column)))
    have = f"SELECT {chosen} FROM {_walk(kind.table, column, bound, few=few, down=down)} WHERE {where.sql}"  # noqa: S608 - declared names
    if few:  # sorted here; a walk is in order as it is
        have += f" ORDER BY series.{column}{' DESC' if down else ''}, series.object"
    values = [name, *bounds, *where.values]
    if bounds:  # an object without the metric cannot be within its bounds
        return db.execute(f"{have} LIMIT ? OFFSET ?", [*values, view.limit, view.offset]).fetchall()
    known = not few and lacking.without(db, kind.table, name)
    source = LACKING.format(kind.table) if known else kind.table
    lack = (
        f"SELECT {chosen} FROM {source} WHERE NOT EXISTS (SELECT 1 FROM series INDEXED BY series_object"  # noqa: S608 - declared names
        f" WHERE object = {kind.table}.id AND name = ? AND value IS NOT NULL) AND {where.sql} ORDER BY {kind.table}.seq"
    )
    sides = [(have, values), (lack, [name] * (1 + known) + where.values)]
    rows = _in_turn(db, sides if down else sides[::-1], chosen, view)
    if not (few or known or down) and len(rows) < view.limit:
        lacking.again(db, kind.table, name)
    return rows


def _walk(table: str, column: str, bound: str, *, few: bool, down: bool) -> str:
    """Join objects with their values of a metric, the loops in this order.

    For few objects look up each one's series; otherwise walk the series from the best value, so that the statement
    stops when the page is full. Values without an index of their own are put in order first, by themselves.
    """
    mine = f"series.name = ? AND series.{column} IS NOT NULL{bound}"
    if few:
        return f"{table} CROSS JOIN series INDEXED BY series_object ON {table}.id = series.object AND {mine}"
    way = " DESC" if down else ""
    # LIMIT keeps SQLite from folding the inner statement into the outer one, where its order would mean nothing
    inner = f"SELECT object FROM series WHERE {mine} ORDER BY {column}{way}, object{way} LIMIT -1"  # noqa: S608 - declared names
    return f"({inner}) AS series CROSS JOIN {table} ON {table}.id = series.object"


def _in_turn(
    db: sqlite3.Connection, sides: Sequence[tuple[str, list[Any]]], chosen: str, view: Window
) -> list[sqlite3.Row]:
    """Fill a page from one statement and, where that ends, from another."""
    (front, front_values), (back, back_values) = sides
    found = db.execute(f"{front} LIMIT ? OFFSET ?", [*front_values, view.limit, view.offset]).fetchall()
    missing = view.limit - len(found)
    if view.limit >= 0 and missing == 0:
        return found
    offset = 0
    if view.offset and not found:
        counting = f"SELECT count(*) FROM ({front.replace(chosen, '1', 1)})"  # noqa: S608 - the statement above
        offset = max(view.offset - db.execute(counting, front_values).fetchone()[0], 0)
    limit = max(missing, -1) if view.limit >= 0 else -1
    return found + db.execute(f"{back} LIMIT ? OFFSET ?", [*back_values, limit, offset]).fetchall()


def _bound(column: str, limits: tuple[Any, Any] | None) -> tuple[str, list[Any]]:
    """Give the walk along a metric the bounds that the filter has anyway: it starts and ends there."""
    low, high = limits or (None, None)
    found = [(f" AND series.{column} >= ?", low), (f" AND series.{column} <= ?", high)]
    kept = [(sql, value) for sql, value in found if value is not None]
    return "".join(sql for sql, _ in kept), [value for _, value in kept]


def _few(db: sqlite3.Connection, kind: Kind, where: Where, *, anyway: bool = False) -> bool:
    """Tell whether an index leaves only a few objects to look at; `anyway` looks where that is not to be expected."""
    if not (where.narrow or anyway):
        return False
    counting = f"SELECT count(*) FROM (SELECT 1 FROM {kind.table} WHERE {where.sql} LIMIT {FEW})"  # noqa: S608
    return bool(db.execute(counting, where.values).fetchone()[0] < FEW)


def add_metrics(db: sqlite3.Connection, objects: list[dict[str, Any]], paths: Sequence[str] | None) -> None:
    """Fill in `last_metrics` and `unique_metrics` where they are asked for."""
    asked = (
        None
        if paths is None
        else [path.split(".")[1:] for path in paths if path.startswith(("last_metrics", "unique_metrics"))]
    )
    if asked == []:
        return
    wanted = None if asked is None or any(path.startswith("unique") for path in paths or ()) else asked
    found = last_metrics(db, [item["id"] for item in objects], wanted)
    for item in objects:
        item["last_metrics"] = found[item["id"]]
        item["unique_metrics"] = []  # always empty on the official server, and read by nobody


def find(
    db: sqlite3.Connection,
    kind: Kind,
    body: Mapping[str, Any],
    company: str,
    *,
    extra: Where | None = None,
    expanded: bool = False,
    compute: Compute | None = None,
    patterns: Sequence[str] = ("name",),
) -> Page:
    """Answer a `get_all` request.

    Parameters
    ----------
    extra
        Conditions that the endpoint adds of itself.
    expanded
        Answer references as objects (`get_all_ex`).
    compute
        Fills in fields that are not columns, in place.
    patterns
        Fields filtered by regular expression.
    """
    paths = checked_fields(kind, body, expanded=expanded)
    where = conditions(kind, body, company, patterns=patterns)
    if extra is not None:
        where.add(extra.sql, *extra.values)
        where.narrow |= extra.narrow
    view = window(body)
    whole = paths is None or EVERYTHING in paths
    names = columns(kind, None if whole else [path.split(".")[0] for path in paths or ()])
    rows = rows_of(db, kind, where, orders(body), names, view)
    objects = [from_row(kind, row) for row in rows]
    (compute or add_metrics)(db, objects, None if whole else paths)
    if expanded:
        expand(db, kind, objects, paths)
    answers = project_fields(objects, paths, with_id=expanded)
    if view.scroll is not None:
        scrolls.put(view.scroll, view.offset + len(rows))
    return Page(answers, view.scroll)


def ids_matching(
    db: sqlite3.Connection, kind: Kind, body: Mapping[str, Any], company: str, extra: Where | None = None
) -> list[str]:
    """Return the ids that a request's filters leave."""
    where = conditions(kind, body, company)
    if extra is not None:
        where.add(extra.sql, *extra.values)
    return [row[0] for row in db.execute(f"SELECT {kind.table}.id FROM {kind.table} WHERE {where.sql}", where.values)]  # noqa: S608 - declared names
