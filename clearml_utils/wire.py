"""Kept-alive connections to one server: what a call needs of HTTP, at half the processor time of a general client.

Every task costs three calls, and their time is taken from the flow that runs beside them.
"""

from __future__ import annotations

import http.client
import os
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit

import requests  # type: ignore[import-untyped]  # its stubs are not among the test tools
from urllib3.util.wait import wait_for_read

CONNECT_SECONDS = 10.0
READ_SECONDS = 300.0
_KEPT = 8


class Wire:
    """POSTs to one server; safe to share between threads.

    Attributes
    ----------
    path
        Of the server's root, without a slash at its end.
    """

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        self.path = parts.path.rstrip("/")
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = _trusted() if parts.scheme == "https" else None
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and content of the answer.

        Raises
        ------
        OSError, http.client.HTTPException
            There was no answer, or not a whole one.
        """
        connection = self._take()
        try:
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except BaseException:
            connection.close()
            raise
        self._give(connection)
        return status, content

    def close(self) -> None:
        """Close what is kept; the next call connects anew."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            if connection.sock is not None and not wait_for_read(connection.sock, timeout=0.0):
                return connection
            connection.close()  # the server has hung up meanwhile

    def _connect(self) -> http.client.HTTPConnection:
        made = (
            http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls)
        )
        made.connect()
        made.sock.settimeout(READ_SECONDS)
        return made

    def _give(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()


def _trusted() -> ssl.SSLContext:
    """Whom `requests` would trust."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or requests.certs.where()
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
