"""A wire that fails: a TCP proxy before the ClearML server that refuses, cuts before, or cuts after the server has acted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit


class Proxy:
    """Forwards HTTP requests one by one; `plan(n)` says what happens to the n-th.

    `pass`: forwarded. `refuse`: the connection is closed unread. `lost`: the server gets the request, the client no answer.
    """

    def __init__(self, target: str, plan: Callable[[int], str]) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._plan = plan
        self._count = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _answer(self, request: bytes) -> bytes | None:
        """What the proxy says itself; None where the server is to be asked."""
        return None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while True:
                request = _message(client)
                if not request:
                    return
                with self._lock:
                    self._count += 1
                    what = self._plan(self._count)
                    self.seen.append(what)
                if what == "refuse":
                    return
                if (own := self._answer(request)) is not None:
                    client.sendall(own)
                    return
                with socket.create_connection(self._target) as server:
                    server.sendall(_closing(request))
                    answer = b""
                    while chunk := server.recv(65536):
                        answer += chunk
                if what == "lost":
                    return
                client.sendall(answer)
                return


def _closing(request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body


def _message(sock: socket.socket) -> bytes:
    """One HTTP request, whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(ln.split(b":")[1]) for ln in head.split(b"\r\n") if ln.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body
