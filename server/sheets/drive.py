"""The Drive v3 calls that gspread makes: files, their permissions and comments, export, and import of CSV."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
from typing import Any

import orjson

from server.sheets import drive_v2, spreadsheets, values
from server.sheets.errors import InvalidArgument, NotFound, PermissionDenied
from server.sheets.formulas.evaluate import Evaluator
from server.sheets.storage.book import Book
from server.sheets.storage.library import FOLDER, SPREADSHEET, dumps
from server.sheets.text import a1, fields
from server.sheets.web.call import Call

CLAUSE = re.compile(
    r"""\s*(?:(?P<name>mimeType|name|fullText|trashed)\s*(?P<op>=|!=|contains)\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|true|false)"""
    r"""|parents\s+in\s+(?P<parent>"[^"]*"|'[^']*')|(?P<parent2>"[^"]*"|'[^']*')\s+in\s+parents)\s*"""
)
CONVERTED_IN = "America/Los_Angeles"
"""Timezone of a spreadsheet made of a file: Google takes its own, not the account's."""
EXPORTS = {"text/csv": ",", "text/tab-separated-values": "\t"}
ROLES = {"owner", "organizer", "fileOrganizer", "writer", "commenter", "reader"}
TYPES = {"user", "group", "domain", "anyone"}


def timestamp(milliseconds: int) -> str:
    """`2023-07-25T15:40:49.067Z`."""
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def not_found(file_id: str) -> NotFound:
    """Drive's answer to an id it does not know."""
    return NotFound(f"File not found: {file_id}.", where=("parameter", "fileId"))


def _resource(call: Call, row: tuple[Any, ...]) -> dict[str, Any]:
    file_id, name, mime, owner, created, modified, parents = row
    link = f"https://docs.google.com/spreadsheets/d/{file_id}/edit"
    return {
        "kind": "drive#file",
        "id": file_id,
        "name": name,
        "mimeType": mime,
        "parents": orjson.loads(parents),
        "createdTime": timestamp(created),
        "modifiedTime": timestamp(modified),
        "trashed": False,
        "webViewLink": link,
        "ownedByMe": owner == call.caller.email,
        "owners": [{"kind": "drive#user", "emailAddress": owner, "me": owner == call.caller.email}],
        "permissions": _permissions(call, file_id),
    }


COLUMNS = "id, name, mime, owner, created, modified, parents"
BRIEF = "kind,id,name,mimeType"


def _file(call: Call, file_id: str) -> dict[str, Any]:
    row = call.library.db.execute(f"select {COLUMNS} from files where id = ?", (file_id,)).fetchone()  # noqa: S608 - a constant
    if row is None:
        raise not_found(file_id)
    return _resource(call, row)


def _masked(call: Call, resource: dict[str, Any], default: str = BRIEF) -> dict[str, Any]:
    result: dict[str, Any] = fields.apply(call.mask() or fields.parse(default), resource)
    return result


def list_files(call: Call) -> dict[str, Any]:
    """`GET /drive/v3/files`: newest first, with `q`, `pageSize`, `pageToken` and `orderBy`."""
    order = {"name": "name", "createdTime": "created", "modifiedTime": "modified"}
    wanted = (call.one("orderBy") or "modifiedTime desc").split(",")[0].split()
    if wanted[0] not in order:
        raise InvalidArgument(f"Sorting is not supported for {wanted[0]}.", where=("parameter", "orderBy"))
    direction = "desc" if "desc" in wanted else "asc"
    sql = f"select {COLUMNS} from files order by {order[wanted[0]]} {direction}, rowid {direction}"  # noqa: S608 - from the table above
    rows = [row for row in call.library.db.execute(sql) if _matches(row, _query(call.one("q") or ""))]
    size, start = min(int(call.one("pageSize") or 100), 1000), int(call.one("pageToken") or 0)
    page: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False}
    page["files"] = [_resource(call, row) for row in rows[start : start + size]]
    if start + size < len(rows):
        page["nextPageToken"] = str(start + size)
    return _masked(call, page, f"kind,incompleteSearch,nextPageToken,files({BRIEF})")


def _query(text: str) -> list[re.Match[str]]:
    clauses, at = [], 0
    while at < len(text):
        match = CLAUSE.match(text, at)
        if not match:
            raise InvalidArgument("Invalid Value", where=("parameter", "q"))
        clauses.append(match)
        at = match.end()
        if at < len(text):
            if not text.startswith("and", at):
                raise InvalidArgument("Invalid Value", where=("parameter", "q"))
            at += 3
    return clauses


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _matches(row: tuple[Any, ...], clauses: list[re.Match[str]]) -> bool:
    return all(_holds(row, clause) for clause in clauses)


def _holds(row: tuple[Any, ...], clause: re.Match[str]) -> bool:
    parent = clause["parent"] or clause["parent2"]
    if parent:
        return _unquoted(parent) in orjson.loads(row[6])
    if clause["name"] == "trashed":
        return (clause["value"] == "false") == (clause["op"] == "=")
    have, want = str(row[2] if clause["name"] == "mimeType" else row[1]), _unquoted(clause["value"])
    if clause["op"] == "contains":
        return want.casefold() in have.casefold()
    same = have == want if clause["name"] == "mimeType" else have.casefold() == want.casefold()
    return same == (clause["op"] == "=")


def create_file(call: Call) -> dict[str, Any]:
    """`POST /drive/v3/files`: a spreadsheet or a folder."""
    body = call.body()
    mime, name = body.get("mimeType", ""), body.get("name", "Untitled")
    if mime not in {SPREADSHEET, FOLDER}:
        raise InvalidArgument(f"This local endpoint makes spreadsheets and folders, not {mime or 'files of no type'}.")
    parents = body.get("parents") or ["root"]
    if mime == SPREADSHEET:
        file_id = spreadsheets.create(call.library, call.caller.email, name, parents=parents).id
    else:
        file_id = call.library.create(name, call.caller.email, {}, mime=mime, parents=parents)
    _grant(call, file_id, {"type": "user", "role": "owner", "emailAddress": call.caller.email})
    return _masked(call, _file(call, file_id))


def get_file(call: Call) -> dict[str, Any]:
    """`GET /drive/v3/files/{id}`."""
    return _masked(call, _file(call, call.segments[3]))


def update_file(call: Call) -> dict[str, Any]:
    """`PATCH /drive/v3/files/{id}`: rename, or move between folders."""
    file_id, body = call.segments[3], call.body()
    resource = _file(call, file_id)
    parents = [p for p in resource["parents"] if p not in (call.one("removeParents") or "").split(",")]
    parents += [p for p in (call.one("addParents") or "").split(",") if p and p not in parents]
    name = body.get("name", resource["name"])
    call.library.db.execute("update files set name = ?, parents = ? where id = ?", (name, dumps(parents), file_id))
    if resource["mimeType"] == SPREADSHEET:
        call.library.book(file_id).name = name
    call.library.touch(file_id)
    if body.get("trashed"):
        call.library.delete(file_id)
        return {"id": file_id, "trashed": True}
    return _masked(call, _file(call, file_id))


def delete_file(call: Call) -> None:
    """`DELETE /drive/v3/files/{id}`."""
    _file(call, call.segments[3])
    call.library.delete(call.segments[3])


def copy_file(call: Call) -> dict[str, Any]:
    """`POST /drive/v3/files/{id}/copy`."""
    source_id, body = call.segments[3], call.body()
    source = _file(call, source_id)
    name = body.get("name") or f"Copy of {source['name']}"
    parents = body.get("parents") or source["parents"]
    if source["mimeType"] != SPREADSHEET:
        raise InvalidArgument("Folders cannot be copied.", where=("parameter", "fileId"))
    original = call.library.book(source_id)
    file_id = call.library.create(name, call.caller.email, original.doc, parents=parents)
    target = call.library.book(file_id)
    for index, sheet in enumerate(original.sheets):
        new = call.library.add_sheet(target, orjson.loads(orjson.dumps(sheet.doc)), index)
        new.grid.copy_from(sheet.grid)
    _grant(call, file_id, {"type": "user", "role": "owner", "emailAddress": call.caller.email})
    return _masked(call, _file(call, file_id))


def export(call: Call) -> tuple[bytes, str]:
    """`GET /drive/v3/files/{id}/export`: the first sheet as CSV or TSV; what cannot be written says so."""
    _file(call, call.segments[3])
    mime = call.one("mimeType") or ""
    if mime not in EXPORTS:
        raise InvalidArgument(
            f"This local endpoint exports text/csv and text/tab-separated-values, not {mime}.",
            where=("parameter", "mimeType"),
        )
    return as_text(call.library.book(call.segments[3]), EXPORTS[mime]), mime


def as_text(book: Book, separator: str) -> bytes:
    """The first sheet's displayed values, as Google exports them: CRLF between lines, none after the last."""
    sheet, evaluator = book.sheets[0], Evaluator(book)
    rows: list[list[str]] = []
    width = 0
    for r, cells in sheet.grid.rows():
        rows.extend([] for _ in range(r - len(rows)))
        shown = [str(values.Rendering().of(cell, sheet, r, c, evaluator)) for c, cell in enumerate(cells)]
        rows.append(shown)
        width = max(width, max((c + 1 for c, text in enumerate(shown) if text), default=0))
    while rows and not any(rows[-1]):
        rows.pop()
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerows([(row + [""] * width)[:width] for row in rows])
    return out.getvalue().removesuffix("\r\n").encode()


def import_csv(call: Call) -> dict[str, Any]:
    """`PUT /upload/drive/v2/files/{id}`: a CSV takes the place of all sheets."""
    file_id = call.segments[4]
    _file(call, file_id)
    book = call.library.book(file_id)
    size = len(call.raw_body)
    rows = list(csv.reader(io.StringIO(call.raw_body.decode("utf-8-sig"))))
    for sheet in book.sheets[1:]:
        call.library.drop_sheet(book, sheet)
    fresh = spreadsheets.new_sheet(book.free_sheet_id(), book.name, 0, 0)
    call.library.drop_sheet(book, book.sheets[0])
    first = call.library.add_sheet(book, fresh, 0)
    book.resize(first, max(1000, len(rows)), max([26, *map(len, rows)]))
    book.touch()["properties"]["timeZone"] = CONVERTED_IN
    if any(rows):
        values.write(first, a1.Box(0, 0, 1, 1), [list(row) for row in rows], "USER_ENTERED")
    call.library.touch(file_id)
    email = call.caller.email
    return drive_v2.file(_file(call, file_id), email, permission_id({"type": "user", "emailAddress": email}), size)


def _permissions(call: Call, file_id: str) -> list[dict[str, Any]]:
    found = call.library.db.execute("select body from permissions where file = ? order by rowid", (file_id,))
    return [orjson.loads(body) for (body,) in found]


def permission_id(given: dict[str, Any]) -> str:
    """An id that stays the same for the same person."""
    if given["type"] == "anyone":
        return "anyoneWithLink"
    address = given.get("emailAddress") or given.get("domain") or ""
    number = int.from_bytes(hashlib.sha256(address.lower().encode()).digest()[:8], "big")
    return f"{number:020d}"


def _grant(call: Call, file_id: str, given: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": "drive#permission", "id": permission_id(given)}
    body |= {key: given[key] for key in ("type", "role", "emailAddress", "domain") if given.get(key)}
    if given["type"] != "anyone":
        body["displayName"] = given.get("emailAddress") or given.get("domain")
    body |= (
        {"allowFileDiscovery": bool(given.get("allowFileDiscovery"))} if given["type"] in {"anyone", "domain"} else {}
    )
    row = (file_id, body["id"], dumps(body))
    sql = "insert into permissions values (?, ?, ?) on conflict (file, id) do update set body = excluded.body"
    call.library.db.execute(sql, row)
    return body


def list_permissions(call: Call) -> dict[str, Any]:
    """`GET /drive/v3/files/{id}/permissions`."""
    _file(call, call.segments[3])
    whole = {"kind": "drive#permissionList", "permissions": _permissions(call, call.segments[3])}
    return _masked(call, whole, "kind,permissions(kind,id,type,role)")


def create_permission(call: Call) -> dict[str, Any]:
    """`POST /drive/v3/files/{id}/permissions`."""
    _file(call, call.segments[3])
    body = call.body()
    if body.get("type") not in TYPES or body.get("role") not in ROLES:
        field = "permission.type" if body.get("type") not in TYPES else "permission.role"
        raise InvalidArgument(f"The specified value for {field} is invalid.", where=("body", field))
    if body["type"] in {"user", "group"} and "@" not in (body.get("emailAddress") or ""):
        raise InvalidArgument("The specified emailAddress is invalid or not applicable for the given permission type.")
    if body["role"] == "owner":
        _hand_over(call, body)
    return _masked(call, _grant(call, call.segments[3], body), "kind,id,type,role")


def _hand_over(call: Call, body: dict[str, Any]) -> None:
    if not call.flag("transferOwnership"):
        raise PermissionDenied("The transferOwnership parameter must be enabled when the permission role is 'owner'.")
    for entry in _permissions(call, call.segments[3]):
        if entry["role"] == "owner":
            _grant(call, call.segments[3], {**entry, "role": "writer"})
    address = body.get("emailAddress", "")
    call.library.db.execute("update files set owner = ? where id = ?", (address, call.segments[3]))


def _permission(call: Call) -> dict[str, Any]:
    for entry in _permissions(call, call.segments[3]):
        if entry["id"] == call.segments[5]:
            return entry
    raise NotFound(f"Permission not found: {call.segments[5]}.", where=("parameter", "permissionId"))


def get_permission(call: Call) -> dict[str, Any]:
    """`GET /drive/v3/files/{id}/permissions/{permissionId}`."""
    return _masked(call, _permission(call), "kind,id,type,role")


def update_permission(call: Call) -> dict[str, Any]:
    """`PATCH /drive/v3/files/{id}/permissions/{permissionId}`: the role, or with `transferOwnership` the owner."""
    entry = _permission(call) | {"role": call.body().get("role", "")}
    if entry["role"] not in ROLES:
        raise InvalidArgument("The specified value for permission.role is invalid.", where=("body", "permission.role"))
    if entry["role"] == "owner":
        _hand_over(call, entry)
    return _masked(call, _grant(call, call.segments[3], entry), "kind,id,type,role")


def delete_permission(call: Call) -> None:
    """`DELETE /drive/v3/files/{id}/permissions/{permissionId}`."""
    entry = _permission(call)
    if entry["role"] == "owner":
        raise PermissionDenied("The owner of a file cannot be removed.")
    call.library.db.execute("delete from permissions where file = ? and id = ?", (call.segments[3], entry["id"]))


def list_comments(call: Call) -> dict[str, Any]:
    """`GET /drive/v3/files/{id}/comments`: there are none here."""
    _file(call, call.segments[3])
    if not call.one("fields"):
        raise InvalidArgument("The 'fields' parameter is required for this method.", where=("parameter", "fields"))
    return _masked(call, {"kind": "drive#commentList", "comments": []})


def about(call: Call) -> dict[str, Any]:
    """`GET /drive/v3/about`: who one is."""
    user = {"kind": "drive#user", "displayName": call.caller.email, "emailAddress": call.caller.email, "me": True}
    return _masked(call, {"kind": "drive#about", "user": user}, "kind,user")
