"""Drive's older file resource (v2), which answers gspread's import of CSV."""

from __future__ import annotations

from typing import Any

from server.sheets.storage.library import SPREADSHEET

FORMATS = {
    "application/x-vnd.oasis.opendocument.spreadsheet": "ods",
    "text/tab-separated-values": "tsv",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "application/zip": "zip",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
}
ROOT = "https://www.googleapis.com/drive/v2/files"


def file(resource: dict[str, Any], email: str, permission: str, size: int) -> dict[str, Any]:
    """A v3 file as v2 shows it to its owner.

    Parameters
    ----------
    resource
        The v3 file.
    email, permission
        The owner, and the id of their permission.
    size
        Bytes that were uploaded.
    """
    ident, created, changed = resource["id"], resource["createdTime"], resource["modifiedTime"]
    person = {
        "displayName": email,
        "kind": "drive#user",
        "isAuthenticatedUser": True,
        "permissionId": permission,
        "emailAddress": email,
        "picture": {"url": "https://lh3.googleusercontent.com/a/default-user=s64"},
    }
    export = "https://docs.google.com/spreadsheets/export"
    return {
        "kind": "drive#file",
        "id": ident,
        "title": resource["name"],
        "mimeType": SPREADSHEET,
        "etag": f'"{changed}"',
        "version": "5",
        "selfLink": f"{ROOT}/{ident}",
        "alternateLink": f"https://docs.google.com/spreadsheets/d/{ident}/edit?usp=drivesdk",
        "embedLink": f"https://docs.google.com/spreadsheets/d/{ident}/htmlembed",
        "iconLink": f"https://drive-thirdparty.googleusercontent.com/16/type/{SPREADSHEET}",
        "thumbnailLink": f"https://docs.google.com/feeds/vt?gd=true&id={ident}",
        "exportLinks": {mime: f"{export}?id={ident}&exportFormat={name}" for mime, name in FORMATS.items()},
        "createdDate": created,
        "modifiedDate": changed,
        "modifiedByMeDate": changed,
        "lastViewedByMeDate": changed,
        "markedViewedByMeDate": "1970-01-01T00:00:00.000Z",
        "fileSize": str(max(1024, size)),
        "quotaBytesUsed": str(max(1024, size)),
        "parents": [_parent(ident, parent) for parent in resource["parents"]],
        "owners": [person],
        "ownerNames": [email],
        "lastModifyingUser": person,
        "lastModifyingUserName": email,
        "userPermission": {
            "kind": "drive#permission",
            "id": "me",
            "type": "user",
            "role": "owner",
            "etag": f'"{permission}"',
            "selfLink": f"{ROOT}/{ident}/permissions/me",
            "pendingOwner": False,
        },
        "labels": dict.fromkeys(("starred", "hidden", "trashed", "restricted"), False) | {"viewed": True},
        "capabilities": {"canEdit": True, "canCopy": True},
        "spaces": ["drive"],
        **dict.fromkeys(("editable", "copyable", "writersCanShare"), True),
        **dict.fromkeys(("appDataContents", "copyRequiresWriterPermission", "explicitlyTrashed", "shared"), False),
    }


def _parent(ident: str, parent: str) -> dict[str, Any]:
    return {
        "kind": "drive#parentReference",
        "id": parent,
        "isRoot": True,
        "selfLink": f"{ROOT}/{ident}/parents/{parent}",
        "parentLink": f"{ROOT}/{parent}",
    }
