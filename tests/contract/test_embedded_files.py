"""The file server: whole files or none, only below its folder, only for those who may."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from server.embedded.files import UploadError, place
from tests.contract.embedded_server import Client, serving

pytestmark = pytest.mark.xdist_group("embedded-files")
BIG = os.urandom(3 * 2**20 + 17)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("files") / "data", "--max-upload-mb", "4") as client:
        yield client


def test_what_is_uploaded_downloads_by_range_and_is_deleted(server: Client) -> None:
    """A file comes back byte for byte, in parts too, and is gone after a delete."""
    path = "project/task.id/artifacts/a b/файл.bin"
    answer = server.upload(path, BIG)
    assert (answer.status_code, answer.json()) == (200, [path])
    whole = server.file(path)
    assert hashlib.sha256(whole.content).digest() == hashlib.sha256(BIG).digest()
    part = server.file(path, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, BIG[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(BIG)}"
    assert server.file(path, "HEAD").headers["content-length"] == str(len(BIG))
    server.upload(path, b"second")
    assert server.file(path).content == b"second"
    assert server.file(path, "DELETE").status_code == 200
    assert server.file(path).status_code == 404
    assert server.file(path, "DELETE").status_code == 404


@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE", "POST", "PUT"])
def test_every_verb_needs_a_known_caller(server: Client, verb: str) -> None:
    """Without a token there is nothing to read, write or delete; nor is it told whether a file exists."""
    server.upload("guarded.txt", b"x")
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        url = f"{server.urls['files']}/guarded.txt"
        assert requests.request(verb, url, headers=headers, timeout=20).status_code == 401
    assert server.file("guarded.txt").content == b"x"


def raw(server: Client, request: bytes, *, hang_up: bool = False) -> bytes:
    address = urlsplit(server.urls["files"])
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "path",
    [
        "/../clearml.db",
        "/%2e%2e/clearml.db",
        "/a/../../clearml.db",
        "/..%2fclearml.db",
        "//etc/passwd",
        "/%2fetc/passwd",
    ],
)
def test_no_path_leads_out(server: Client, path: str) -> None:
    """However it is written, a path outside the folder is not served."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    answer = raw(server, head.encode())
    assert answer.split(b" ")[1] in {b"400", b"404"}
    assert b"SQLite" not in answer
    assert b"root:" not in answer


def test_an_upload_cannot_be_named_out(server: Client) -> None:
    """A part's filename is held to the same rule, and symbolic links out of the folder are not followed."""
    assert server.upload("../evil.txt", b"x").status_code == 400
    folder = Path(server.service.ready["credentials"]).parent
    assert not (folder / "evil.txt").exists()
    (folder / "files" / "link").symlink_to(folder)
    assert server.file("link/clearml.db").status_code == 400
    assert server.upload("link/evil.txt", b"x").status_code == 400


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["a", "/", ".", "..", "\\", "%", "\0", " ", "é"]), max_size=20).map("".join))
def test_places_lie_below_the_root(name: str) -> None:
    """Whatever the path, its place is below the root or there is none."""
    root = Path("/nowhere/files")
    try:
        found = place(root, name)
    except UploadError:
        return
    assert root in found.parents
    assert ".." not in found.parts


def test_too_large_is_told_and_leaves_nothing(server: Client) -> None:
    """More than the limit gets a 413 that names it; no part of it stays."""
    answer = server.upload("large.bin", b"\0" * (5 * 2**20))
    assert answer.status_code == 413
    assert "limit" in answer.text
    assert server.file("large.bin").status_code == 404
    assert not list((Path(server.service.ready["credentials"]).parent / "files" / ".incoming").iterdir())


def test_a_broken_upload_changes_nothing(server: Client) -> None:
    """A body that ends early keeps the old file and leaves no temporary one."""
    server.upload("kept.txt", b"old")
    body = b'--b\r\nContent-Disposition: form-data; name="kept.txt"; filename="kept.txt"\r\n\r\nnew and unfini'
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {server.token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n"
    )
    answer = raw(server, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert answer.split(b" ")[1] == b"400"
    raw(server, f"{head}Content-Length: {len(body) + 1000}\r\n\r\n".encode() + body, hang_up=True)
    assert server.file("kept.txt").content == b"old"
    assert not list((Path(server.service.ready["credentials"]).parent / "files" / ".incoming").iterdir())
    assert requests.post(
        server.urls["files"], data=b"x", headers={"Authorization": f"Bearer {server.token}"}, timeout=20
    ).status_code == 400  # fmt: skip


def test_pages_are_not_shown_as_pages(server: Client) -> None:
    """An uploaded HTML file downloads instead of running as a page of this server."""
    server.upload("page.html", b"<script>alert(1)</script>")
    answer = server.file("page.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
