"""Filters of `get_all` requests as SQL conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.embedded import clock
from server.embedded.database import pattern
from server.embedded.envelope import encode
from server.embedded.errors import fail
from server.embedded.objects import BOOL, INT, JSON, TIME, Kind

_METRIC = re.compile(r"^last_metrics\.(\w+)\.(\w+)\.(\w+)$")
_LITERAL = re.compile(r"^(\^?)((?:[\w \-/@:,'\"=&%#!;<>~`]|\\[^\w])*)(\$?)$")
METRIC_VALUES = frozenset(
    {
        "value", "min_value", "max_value", "first_value", "mean_value", "count", "min_value_iteration",
        "max_value_iteration", "first_value_iteration",
    }
)  # fmt: skip
NAMED = "(SELECT id FROM metric_name WHERE metric_hash = ? AND variant_hash = ?)"
LONG = 500  # values that still go as parameters of their own
TAG_FIELDS = ("tags", "system_tags")
MODEL_USE = {"models.input.model": "input", "models.output.model": "output"}
NARROW = frozenset({"id", "project", "parent", "task"})


@dataclass
class Where:
    """A conjunction under construction: SQL texts and their parameters."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    narrow: bool = False  # an index leads to what is left
    bounds: dict[tuple[str, str, str], tuple[Any, Any]] = field(
        default_factory=dict
    )  # of last metrics, by their hashes

    def add(self, sql: str, *values: Any) -> None:
        """Require one more condition."""
        self.parts.append(sql)
        self.values.extend(values)

    @property
    def sql(self) -> str:
        """The condition; true when there is none."""
        return " AND ".join(self.parts) or "1"


def marks(values: Sequence[Any]) -> str:
    """Placeholders for a list."""
    return ", ".join("?" * len(values))


def among(sql: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Condition of membership; a long list travels as one parameter, for their number is limited."""
    if len(values) <= LONG:
        return f"{sql} IN ({marks(values)})", list(values)
    listed = f"{sql} IN (SELECT value FROM json_each(?))"  # noqa: S608 - the column is declared
    return listed, [encode(list(values)).decode()]


def path_parts(path: str) -> list[str]:
    """Split a dotted path; a dot inside a name is written %2E."""
    return [part.replace("%2E", ".").replace("%24", "$") for part in path.split(".")]


def expression(kind: Kind, path: str) -> tuple[str, str]:
    """Return the SQL for a field and its column type.

    Raises
    ------
    ApiError
        `invalid_field`: the kind has no such field.
    """
    head, *rest = path_parts(path)
    column = kind.fields.get(head)
    if column is None or (rest and column != JSON):
        raise fail("invalid_field", err=f'Cannot resolve field "{rest[-1] if rest and column else head}"')
    if not rest:
        return f'{kind.table}."{head}"', column
    inner = "".join("." + _quoted(part) for part in rest)
    return f"""json_extract({kind.table}."{head}", '${inner.replace("'", "''")}')""", "text"


def _quoted(part: str) -> str:
    return '"' + part.replace('"', "") + '"'


def metric(path: str) -> tuple[str, str, str] | None:
    """Split `last_metrics.<metric hash>.<variant hash>.<value>`; None for any other path."""
    match = _METRIC.match(path)
    if match is None or match[3] not in METRIC_VALUES:
        return None
    return match[1], match[2], match[3]


def matching(sql: str, text: str, flags: int = 0) -> tuple[str, list[Any]]:
    """Condition that a text matches a client's regular expression.

    A pattern that is only a literal needs no regular expression, and an anchored one can use an index.
    """
    pattern(text, flags)
    literal = _LITERAL.match(text)
    if literal is not None and literal[2].isascii():
        start, body, end = literal.groups()
        plain = re.sub(r"\\(.)", r"\1", body)
        if flags & re.IGNORECASE:
            escaped = re.sub(r"([\\%_])", r"\\\1", plain)
            return f"{sql} LIKE ? ESCAPE '\\'", [("" if start else "%") + escaped + ("" if end else "%")]
        if start and end:
            return f"{sql} = ?", [plain]
        if not end:
            return _literal(sql, plain, anchored=bool(start))
    return f"matches(?, {int(flags)}, {sql})", [text]


def _literal(sql: str, plain: str, *, anchored: bool) -> tuple[str, list[Any]]:
    if anchored:
        return f"({sql} >= ? AND {sql} < ?)", [plain, plain + "\U0010ffff"]
    return f"instr({sql}, ?) > 0", [plain]


def conditions(  # noqa: C901 - one branch per family of filters reads best flat
    kind: Kind, body: Mapping[str, Any], company: str, *, patterns: Sequence[str] = ("name",)
) -> Where:
    """Build the condition for everything in a request that is a filter. Nulls and empty lists filter nothing."""
    where = Where()
    where.add(f"{kind.table}.company IN (?, '')", company)
    for key, value in body.items():
        if value is None or value in ([], {}, ""):
            continue
        where.narrow |= key in NARROW
        if key in {"_any_", "_all_", "_or_", "_and_"}:
            _multi(kind, where, key, value)
        elif key == "filters":
            for field_name, terms in value.items() if isinstance(value, Mapping) else ():
                _terms(kind, where, str(field_name), terms)
        elif key in TAG_FIELDS:
            _tags(kind, where, key, value)
        elif key == "id":
            ids = [value] if isinstance(value, str) else _strings(value, key)
            sql, values = among(f"{kind.table}.id", ids)
            where.add(sql, *values)
        elif key in patterns:
            sql, values = matching(f'{kind.table}."{key}"', str(value))
            where.add(sql, *values)
        elif kind.table == "task" and key in MODEL_USE:
            inside, found = among("task_model.model", [value] if isinstance(value, str) else _strings(value, key))
            used = f"SELECT task FROM task_model WHERE side = '{MODEL_USE[key]}' AND {inside}"  # noqa: S608
            where.add(f"task.id IN ({used})", *found)
        elif metric(key):
            _metric_range(kind, where, key, value)
        elif key.partition(".")[0] in kind.fields and key != "path":
            _field(kind, where, key, value)
    return where


def _strings(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise fail("invalid_fields_value", field=key)
    return [item for item in value if item is None or isinstance(item, str | int | float)]


def _field(kind: Kind, where: Where, key: str, value: Any) -> None:
    sql, column = expression(kind, key)
    if column == TIME:
        _times(where, sql, value)
    elif column == INT and isinstance(value, list):
        _range(where, sql, value)
    elif column == BOOL:
        where.add(f"coalesce({sql}, 0) = ?", int(bool(value)))
    elif isinstance(value, list):
        _member(where, sql, value)
    elif column == JSON:
        return
    else:
        where.add(f"{sql} = ?", value)


def _range(where: Where, sql: str, value: Sequence[Any]) -> None:
    low, high = [*value, None, None][:2]
    if low is not None:
        where.add(f"{sql} >= ?", low)
    if high is not None:
        where.add(f"{sql} <= ?", high)


def _metric_range(kind: Kind, where: Where, key: str, value: Any) -> None:
    first, second, column = metric(key) or ("", "", "value")
    low, high = [*value, None, None][:2] if isinstance(value, list) else (value, value)
    if any(limit is not None and not isinstance(limit, int | float) for limit in (low, high)):
        raise fail("invalid_fields_value", "the bounds of a metric are numbers", field=key)
    mine = f"series.object = {kind.table}.id AND series.name = {NAMED}"
    sql = f"EXISTS (SELECT 1 FROM series INDEXED BY series_object WHERE {mine}"  # noqa: S608 - declared names
    values: list[Any] = [first, second]
    if low is not None:
        sql += f" AND {column} >= ?"
        values.append(low)
    if high is not None:
        sql += f" AND {column} <= ?"
        values.append(high)
    where.add(sql + ")", *values)
    where.bounds[first, second, column] = (low, high)


def _member(where: Where, sql: str, value: Sequence[Any]) -> None:
    """Membership in a list; `-x` and what follows `__$not` exclude, null is the missing value."""
    include, exclude, _ = split_markers(value)
    parts: list[str] = []
    values: list[Any] = []
    if include:
        present = [item for item in include if item is not None]
        inside, found = among(sql, present)
        options = [inside] if present else []
        if len(present) < len(include):
            options.append(f"{sql} IS NULL")
        parts.append("(" + " OR ".join(options) + ")")
        values += found if present else []
    if exclude:
        absent = [item for item in exclude if item is not None]
        if absent:
            inside, found = among(sql, absent)
            parts.append(f"({sql} IS NULL OR NOT {inside})")
            values += found
        if len(absent) < len(exclude):
            parts.append(f"{sql} IS NOT NULL")
    if parts:
        where.add(" AND ".join(parts), *values)


def split_markers(value: Sequence[Any]) -> tuple[list[Any], list[Any], bool]:
    """Split a list with markers into what must be there, what must not, and whether all of it must.

    `__$not` excludes the next item, `__$all`/`__$and` asks for all, `__$any`/`__$or` for one of them; `-x` excludes.
    """
    include: list[Any] = []
    exclude: list[Any] = []
    every = False
    negate = False
    for item in value:
        if isinstance(item, dict | list):
            raise fail("invalid_fields_value", "a list of values holds something else")
        if item in {"__$all", "__$and", "__$op"}:
            every = True
        elif item in {"__$any", "__$or"}:
            every = False
        elif item == "__$not":
            negate = True
            continue
        elif negate or (isinstance(item, str) and item.startswith("-")):
            exclude.append(item if negate or not isinstance(item, str) else item[1:])
        else:
            include.append(item)
        negate = False
    return include, exclude, every


def _tags(kind: Kind, where: Where, key: str, value: Any) -> None:
    include, exclude, every = split_markers([value] if isinstance(value, str) else list(value))
    wanted = [_tagged(kind, key, tag) for tag in include]
    if wanted:
        where.add("(" + (" AND " if every else " OR ").join(sql for sql, _ in wanted) + ")", *_flat(wanted))
    for sql, values in (_tagged(kind, key, tag) for tag in exclude):
        where.add(f"NOT {sql}", *values)


def _flat(parts: Sequence[tuple[str, list[Any]]]) -> list[Any]:
    return [value for _, values in parts for value in values]


def _tagged(kind: Kind, key: str, tag: Any) -> tuple[str, list[Any]]:
    """Condition that an object has a tag, or for null that it has none."""
    mine = f"EXISTS (SELECT 1 FROM tag WHERE tag.object = {kind.table}.id AND tag.field = '{key}'"  # noqa: S608
    return (f"NOT {mine})", []) if tag is None else (f"{mine} AND tag.tag = ?)", [str(tag)])


def _terms(kind: Kind, where: Where, key: str, terms: Any) -> None:
    """`filters`: any of some conditions, all of others, joined by and or or."""
    if not isinstance(terms, Mapping):
        raise fail("invalid_fields_value", field=key)
    groups: list[tuple[str, list[Any]]] = []
    for name, joint in (("any", " OR "), ("all", " AND ")):
        group = terms.get(name) or {}
        parts = [_term(kind, key, item) for item in group.get("include") or ()]
        parts += [
            (f"NOT {sql}", values) for sql, values in (_term(kind, key, item) for item in group.get("exclude") or ())
        ]
        if parts:
            groups.append(("(" + joint.join(sql for sql, _ in parts) + ")", _flat(parts)))
    if groups:
        joint = " OR " if terms.get("op") == "or" else " AND "
        where.add("(" + joint.join(sql for sql, _ in groups) + ")", *_flat(groups))


def _term(kind: Kind, key: str, item: Any) -> tuple[str, list[Any]]:
    if key in TAG_FIELDS:
        return _tagged(kind, key, item)
    sql, _ = expression(kind, key)
    return (f"({sql} IS NULL)", []) if item is None else (f"coalesce({sql} = ?, 0)", [item])


_COMPARISON = re.compile(r"^(>=|<=|>|<|=)?\s*(.+)$")


def _times(where: Where, sql: str, value: Any) -> None:
    """Comparisons such as `[">=2024-01-01T00:00:00", "<..."]`; a bare time is a lower bound."""
    if isinstance(value, list) and len(value) == 2 and not any(isinstance(v, str) and v[:1] in "<>=" for v in value):
        value = [f">={value[0]}" if value[0] else None, f"<={value[1]}" if value[1] else None]
    for item in value if isinstance(value, list) else [value]:
        match = _COMPARISON.match(str(item)) if item else None
        if match is None:
            continue
        try:
            moment = clock.parse(match[2])
        except ValueError:
            continue
        where.add(f"{sql} {match[1] or '>='} ?", moment)


def _multi(kind: Kind, where: Where, key: str, value: Any) -> None:
    """`_any_`/`_all_`: one pattern, or one date comparison, over several fields, joined by or/and."""
    if not isinstance(value, Mapping) or not isinstance(value.get("fields"), list):
        problem = f"incorrect field format: field={key}"
        raise fail("invalid_fields_value", "failed parsing query field", error=problem, field=key)
    parts: list[str] = []
    values: list[Any] = []
    text = value.get("pattern")
    for name in value["fields"]:
        if text is not None:
            sql, found = _pattern_on(kind, str(name), str(text))
        elif value.get("datetime") is not None:
            inner = Where()
            _times(inner, expression(kind, str(name))[0], value["datetime"])
            sql, found = inner.sql, inner.values
        else:
            raise fail("invalid_fields_value", "failed parsing query field", field=key)
        parts.append(sql)
        values += found
    if parts:
        where.add("(" + (" OR " if key in {"_any_", "_or_"} else " AND ").join(parts) + ")", *values)


def _pattern_on(kind: Kind, name: str, text: str) -> tuple[str, list[Any]]:
    if name in TAG_FIELDS:
        sql, values = matching("tag.tag", text, re.IGNORECASE)
        tagged = f"SELECT object FROM tag WHERE kind = '{kind.table}' AND field = '{name}' AND {sql}"  # noqa: S608
        return f"{kind.table}.id IN ({tagged})", values
    return matching(expression(kind, name)[0], text, re.IGNORECASE)
