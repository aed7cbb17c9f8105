"""The routes of the Drive API v3, and v2's upload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.sheets import drive
from server.sheets.errors import InvalidArgument, NotFound
from server.sheets.web.call import Call

PERMISSIONS = {4: "permissions"}
Handler = Callable[[Call], Any]
ROUTES: list[tuple[str, int, dict[int, str], Handler]] = [
    ("GET", 3, {2: "files"}, drive.list_files),
    ("GET", 3, {2: "about"}, drive.about),
    ("POST", 3, {2: "files"}, drive.create_file),
    ("GET", 4, {2: "files"}, drive.get_file),
    ("PATCH", 4, {2: "files"}, drive.update_file),
    ("DELETE", 4, {2: "files"}, drive.delete_file),
    ("POST", 5, {4: "copy"}, drive.copy_file),
    ("GET", 5, {4: "export"}, drive.export),
    ("GET", 5, {4: "comments"}, drive.list_comments),
    ("GET", 5, PERMISSIONS, drive.list_permissions),
    ("POST", 5, PERMISSIONS, drive.create_permission),
    ("GET", 6, PERMISSIONS, drive.get_permission),
    ("PATCH", 6, PERMISSIONS, drive.update_permission),
    ("DELETE", 6, PERMISSIONS, drive.delete_permission),
    ("PUT", 5, {0: "upload", 2: "v2", 3: "files"}, drive.import_csv),
]


def answer(call: Call) -> Any:
    """Carry out one call: a JSON object, None for 204, or bytes with their type.

    Raises
    ------
    NotFound
        Where there is no such path.
    InvalidArgument
        Comments can be read and not written.
    """
    for method, length, fixed, handler in ROUTES:
        if (
            method == call.method
            and length == len(call.segments)
            and all(call.segments[i] == n for i, n in fixed.items())
        ):
            return handler(call)
    if call.method == "POST" and call.segments[4:5] == ("comments",):
        raise InvalidArgument("This local endpoint keeps no comments.")
    raise NotFound("Not Found")
