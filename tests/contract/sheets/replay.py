"""Replay recorded calls against the local endpoint and say where the answers differ.

Ids are Google's in the record and ours in the answers: a pair is learnt where an answer first shows one, and from then on
put into paths and bodies, and compared. What cannot be the same is listed in `LOOSE` with its reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ID_KEYS = {"id", "spreadsheetId", "sheetId", "namedRangeId", "protectedRangeId", "permissionId", "metadataId"}
LOOSE = {
    "createdTime": "the time of the call",
    "modifiedTime": "the time of the call",
    "pixelSize": "measured in a font that is not here; compared as default or not",
    "users": "the recorded account's address",
    "emailAddress": "the recorded account's address",
    "displayName": "the recorded account's name",
    "spreadsheetUrl": "holds the id and, since then, the account's session",
}


@dataclass
class Replay:
    """One file being replayed."""

    root: str
    token: str
    ids: dict[str, Any] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)
    """Calls that succeeded on files the record shows no making of: the recorded account had them before."""

    def run(self, path: Path) -> list[str]:
        """Send every call of the file; the differences found."""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            self.call(number, json.loads(line))
        return self.differences

    def call(self, number: int, record: dict[str, Any]) -> None:
        """Send one call and compare."""
        if record["status"] == 200 and self._elsewhere(record["path"]):
            self.outside.append(number)
            return
        where = f"{number}: {record['method']} {record['path']}?{record['query']}"
        answer = self._send(record)
        if answer.status_code != record["status"]:
            said = f"status {answer.status_code}, recorded {record['status']}: {answer.text[:300]}"
            self.differences.append(f"{where}: {said}")
            return
        self.differences += [f"{where}: {found}" for found in self.compare(record["answer"], _read(answer), "")]

    def _send(self, record: dict[str, Any]) -> requests.Response:
        query = self._mapped_text(record["query"] or "")
        body = None if record["body"] is None else self._mapped(record["body"])
        return requests.request(
            record["method"],
            f"{self.root}{self._mapped_text(record['path'])}" + (f"?{query}" if query else ""),
            data=body.encode() if isinstance(body, str) else None,
            json=None if isinstance(body, str) else body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )

    def compare(self, recorded: Any, got: Any, at: str) -> list[str]:  # noqa: PLR0911 - one case after the other
        """Where two answers differ."""
        key = re.sub(r"\[\d+\]$", "", at).rpartition(".")[2]
        if key in ID_KEYS and recorded is not None and not isinstance(recorded, dict | list):
            return self._compare_id(recorded, got, at)
        if key in LOOSE:
            return [] if type(recorded) is type(got) else [f"{at}: {got!r}, recorded {recorded!r}"]
        if isinstance(recorded, dict) and isinstance(got, dict):
            return self._compare_dicts(recorded, got, at)
        if isinstance(recorded, list) and isinstance(got, list):
            if key == "files":
                return self._compare_files(recorded, got)
            if len(recorded) != len(got):
                return [f"{at}: {got!r}, recorded {recorded!r}"]
            pairs = zip(recorded, got, strict=True)
            return [found for index, (a, b) in enumerate(pairs) for found in self.compare(a, b, f"{at}[{index}]")]
        if isinstance(recorded, bool) != isinstance(got, bool) or recorded != got:
            return [f"{at}: {got!r}, recorded {recorded!r}"]
        return []

    def _compare_dicts(self, recorded: dict[str, Any], got: dict[str, Any], at: str) -> list[str]:
        found = []
        for name in recorded.keys() | got.keys():
            if name not in got or name not in recorded:
                side = "missing" if name not in got else "not recorded"
                found.append(f"{at}.{name}: {side} ({recorded.get(name, got.get(name))!r})")
            else:
                found += self.compare(recorded[name], got[name], f"{at}.{name}")
        return found

    def _compare_id(self, recorded: Any, got: Any, at: str) -> list[str]:
        if recorded == 0 or str(recorded) not in self.ids:
            if recorded == 0:
                return [] if got == 0 else [f"{at}: {got!r}, recorded 0"]
            self.ids[str(recorded)] = got
        return [] if self.ids[str(recorded)] == got else [f"{at}: {got!r}, recorded {recorded!r}"]

    def _compare_files(self, recorded: list[dict[str, Any]], got: list[dict[str, Any]]) -> list[str]:
        """Only files made in this replay can be listed; the recorded account had others."""
        ours = {entry["id"]: entry for entry in got}
        found = []
        for entry in recorded:
            mine = self.ids.get(entry["id"])
            if mine is not None:
                found += self.compare(entry, ours.get(mine, {}), ".file")
        return found

    def _elsewhere(self, path: str) -> bool:
        return any(found not in self.ids for found in re.findall(r"/(1[\w-]{43})(?![\w-])", path))

    def _mapped_text(self, text: str) -> str:
        for recorded, mine in self.ids.items():
            text = re.sub(rf"(?<![\w-]){re.escape(recorded)}(?![\w-])", str(mine), text)
        return text

    def _mapped(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._mapped(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._mapped(item, key) for item in value]
        wide = key in ID_KEYS or key.endswith(("Id", "parents"))
        return self.ids.get(str(value), value) if wide and not isinstance(value, bool) else value


def _read(answer: requests.Response) -> Any:
    if not answer.content:
        return None
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()
    return answer.text
