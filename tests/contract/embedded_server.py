"""A client of the embedded server for tests: plain HTTP, answers as the wire has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.services import Service, running, start

PORTS = ("--api-port", "0", "--files-port", "0", "--web-port", "0")


@dataclass
class Client:
    """Calls one embedded server with the credentials of its default user."""

    service: Service
    token: str = ""

    @property
    def urls(self) -> dict[str, str]:
        return self.service.ready["urls"]

    @property
    def keys(self) -> tuple[str, str]:
        found = json.loads(Path(self.service.ready["credentials"]).read_text())
        return found["access_key"], found["secret_key"]

    def login(self) -> Client:
        self.token = requests.post(f"{self.urls['api']}/auth.login", auth=self.keys, timeout=20).json()["data"]["token"]
        return self

    def send(self, name: str, body: Any = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        content = {"data": body} if isinstance(body, str | bytes) else {"json": body if body is not None else {}}
        return requests.post(f"{self.urls['api']}/{name}", headers=headers, timeout=30, **content, **options)

    def call(self, endpoint: str, /, **body: Any) -> dict[str, Any]:
        answer = self.send(endpoint, body).json()
        assert answer["meta"]["result_code"] == 200, answer["meta"]
        return answer["data"]

    def error(self, name: str, body: Any = None, **options: Any) -> tuple[int, int, str]:
        answer = self.send(name, body, **options)
        meta = answer.json()["meta"]
        assert meta["result_code"] == answer.status_code
        assert meta["error_stack"] is None
        return answer.status_code, meta["result_subcode"], meta["result_msg"]

    def events(self, *events: dict[str, Any]) -> dict[str, Any]:
        answer = self.send("events.add_batch", "\n".join(json.dumps(event) for event in events)).json()
        assert answer["meta"]["result_code"] == 200, answer["meta"]
        return answer["data"]

    def upload(self, path: str, content: bytes, **headers: str) -> requests.Response:
        return requests.post(
            self.urls["files"],
            files={path: (path, content)},
            headers={"Authorization": f"Bearer {self.token}"} | headers,
            timeout=30,
        )

    def file(self, path: str, verb: str = "GET", **headers: str) -> requests.Response:
        given = {"Authorization": f"Bearer {self.token}"} | headers
        return requests.request(verb, f"{self.urls['files']}/{path}", headers=given, timeout=30)


def begin(data: Path, *options: str) -> Client:
    """Start a server that the caller stops or kills."""
    return Client(start("server.embedded", data, *PORTS, *options)).login()


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Client]:
    """Start a server, stopped at the end."""
    with running("server.embedded", data, [*PORTS, *options]) as service:
        yield Client(service).login()
