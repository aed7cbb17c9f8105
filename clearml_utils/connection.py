"""The one place that talks to ClearML: the SDK's own session, with retries taken out of it.

The SDK retries for minutes and waits for ever on 503; here a failed call comes back at once as one of our errors,
because the spool, not the socket, is where waiting is cheap.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import requests  # type: ignore[import-untyped]  # its stubs are not among the test tools
from urllib3.filepost import encode_multipart_formdata

from clearml_utils.errors import BadCredentials, NotConfigured, Rejected, Unreachable
from clearml_utils.wire import Wire

_HINT_CREDENTIALS = "Check CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, or the credentials in clearml.conf."
_HINT_CONFIGURE = "Set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, or run `clearml-init`."
_VERSION = "2.13"  # of the API; every server since 2021 has it
_UNAUTHORIZED = 401
_AWAY = {429, 502, 503, 504}  # said by what stands before a server, or by one that is going down
_UNANSWERED = (OSError, http.client.HTTPException)  # what `requests` raises is an OSError, too
_NO_RETRIES = {"total": 0, "connect": 0, "read": 0, "redirect": 0, "status": 0, "backoff_factor": 0}


def configured() -> bool:
    """Whether this machine names a ClearML server, in the environment or in a `clearml.conf`."""
    if any(os.environ.get(name) for name in ("CLEARML_API_HOST", "TRAINS_API_HOST", "CLEARML_API_ACCESS_KEY")):
        return True
    named = os.environ.get("CLEARML_CONFIG_FILE") or os.environ.get("TRAINS_CONFIG_FILE")
    return Path(named or "~/clearml.conf").expanduser().is_file()


def import_sdk() -> None:
    """Import ClearML's SDK, or wait until another thread has.

    A part of it, imported while another thread imports the whole, ends in a deadlock that Python breaks by an error in
    one of them; and its configuration is read by a parser that only one thread may use at a time.
    """
    import clearml  # noqa: F401, PLC0415 - importing clearml takes a second; off the flow's path


@cache
def _config() -> Any:
    """The SDK's own configuration, read anew, so that what is changed here stays here."""
    import_sdk()
    import clearml.config as sdk_config  # noqa: PLC0415 - importing clearml takes a second; off the flow's path
    from clearml.backend_api import load_config  # noqa: PLC0415 - as above

    config = load_config(str(Path(sdk_config.__file__).parent))
    config.set_overrides({"api": {"http": {"wait_on_maintenance_forever": False}}})
    return config


def _open_session() -> Any:
    import_sdk()
    from clearml.backend_api import Session  # noqa: PLC0415 - importing clearml takes a second; off the flow's path
    from clearml.backend_api.session.defs import MissingConfigError  # noqa: PLC0415 - as above
    from clearml.backend_api.session.session import LoginError  # noqa: PLC0415 - as above

    try:
        return Session(config=_config(), http_retries_config=dict(_NO_RETRIES))
    except MissingConfigError as error:
        raise NotConfigured("ClearML has no credentials here.", hint=_HINT_CONFIGURE) from error
    except LoginError as error:
        text = str(error)
        if "(error 401" in text or "(error 403" in text:
            raise BadCredentials(f"ClearML refused the credentials: {text}", hint=_HINT_CREDENTIALS) from error
        raise Unreachable(f"ClearML did not answer: {text}", where="auth.login", maybe_done=False) from error
    except (ValueError, OSError) as error:
        raise Unreachable(f"ClearML did not answer: {error}", where="auth.login", maybe_done=False) from error


def _wire(root: str, session: Any) -> Wire | None:
    """Kept-alive connections to `root`, at a quarter of the processor time the SDK's session takes for a call.

    None where proxies or unchecked certificates are at play: there the SDK's session makes the calls.
    """
    inner = getattr(session, "_Session__http_session", None)
    if getproxies() or getattr(inner, "verify", True) is not True or not root.startswith(("http://", "https://")):
        return None
    return Wire(root)


class Connection:
    """Calls to one ClearML server; safe to share between threads; opened at the first call.

    Attributes
    ----------
    calls
        HTTP requests made so far, the file server's included.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None
        self._api: Wire | None = None
        self._store: Wire | None = None
        self._files: requests.Session | None = None
        self.calls = 0

    @property
    def session(self) -> Any:
        """The SDK's session, signed in.

        Raises
        ------
        NotConfigured, BadCredentials, Unreachable
        """
        with self._lock:
            if self._session is None:
                self.calls += 1
                self._session = _open_session()
                self._api = _wire(str(self._session.host), self._session)
                self._store = _wire(self._session.get_files_server_host(), self._session)
            return self._session

    @property
    def web(self) -> str:
        """Root of the web application, empty where none can be told."""
        try:
            return str(self.session.get_app_server_host()).rstrip("/")
        except ValueError:
            return ""

    @property
    def files(self) -> str:
        """Root of the file store."""
        return str(self.session.get_files_server_host()).rstrip("/")

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """POST `body` to `service.action`; the answer's `data`.

        Raises
        ------
        Unreachable
            No answer, or 5xx, or 429.
        BadCredentials
            401 or 403.
        Rejected
            Anything else but 200.
        """
        return self._send(endpoint, json.dumps(body, default=str).encode(), "application/json")

    def lines(self, endpoint: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """POST `rows` as JSON lines, as `events.add_batch` wants them."""
        payload = "\n".join(json.dumps(row, allow_nan=False) for row in rows).encode()
        return self._send(endpoint, payload, "application/json-lines")

    def _send(self, endpoint: str, payload: bytes, content_type: str) -> dict[str, Any]:
        session = self.session
        self.calls += 1
        try:
            status, content = self._post(session, endpoint, payload, content_type)
        except _UNANSWERED as error:
            raise Unreachable(f"ClearML did not answer: {error!r}", where=endpoint) from error
        except Exception as error:
            if type(error).__name__ != "LoginError":
                raise
            if "(error 401" in str(error):
                raise BadCredentials(str(error), where=endpoint, hint=_HINT_CREDENTIALS) from error
            raise Unreachable(str(error), where=endpoint, maybe_done=False) from error
        return _data(endpoint, status, content)

    def _post(self, session: Any, endpoint: str, payload: bytes, content_type: str) -> tuple[int, bytes]:
        service, action = endpoint.split(".", 1)
        api = self._api
        if api is not None:
            headers = session.add_auth_headers({"Content-Type": content_type})
            status, content = api.post(f"{api.path}/v{_VERSION}/{endpoint}", payload, headers)
            if status != _UNAUTHORIZED:
                return status, content
        # what the wire is not for, and tokens that have run out: the SDK renews them
        response = session.send_request(
            service, action, method="post", data=payload, headers={"Content-Type": content_type}
        )
        return response.status_code, response.content

    def upload(self, path: str, source: Path | bytes, content_type: str) -> str:
        """Store a file, or the content of one, under `path`; its address.

        The file server is ClearML's own (`http`), or whatever storage `CLEARML_FILES_HOST` names (`s3://`, a folder).
        """
        url = f"{self.files}/{path}"
        if not url.startswith(("http://", "https://")):
            from clearml import StorageManager  # noqa: PLC0415 - only where storage is not the file server

            if isinstance(source, Path):
                return str(StorageManager.upload_file(str(source), url, wait_for_upload=True))
            with tempfile.NamedTemporaryFile() as file:
                file.write(source)
                file.flush()
                return str(StorageManager.upload_file(file.name, url, wait_for_upload=True))
        self.calls += 1
        if self._files is None:
            self._files = requests.Session()
            self._files.trust_env = bool(getproxies())
        try:
            with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
                response = self._files.post(
                    f"{self.files}/",
                    files={path: (path, stream, content_type)},
                    headers=self.session.add_auth_headers({}),
                    timeout=(10, 300),
                )
        except requests.RequestException as error:
            raise Unreachable(f"the file server did not answer: {error!r}", where=path) from error
        if response.status_code != requests.codes.ok:
            _raise(f"upload of {path}", response.status_code, 0, response.text[:300])
        return url

    def upload_many(self, files: Sequence[tuple[str, Path | bytes, str]]) -> list[str]:
        """Store small files (path, file or content, content type) in one request; their addresses."""
        session = self.session
        store = self._store
        if store is None:
            return [self.upload(*one) for one in files]
        self.calls += 1
        parts = [(path, (path, _bytes(source), kind)) for path, source, kind in files]
        body, content_type = encode_multipart_formdata(parts)
        try:
            headers = session.add_auth_headers({"Content-Type": content_type})
            status, content = store.post(f"{store.path}/", body, headers)
        except _UNANSWERED as error:
            raise Unreachable(f"the file server did not answer: {error!r}", where=files[0][0]) from error
        if status != requests.codes.ok:
            _raise(f"upload of {len(files)} files", status, 0, content[:300].decode(errors="replace"))
        return [f"{self.files}/{path}" for path, _, _ in files]

    def rest(self) -> None:
        """Close the sockets; the next call opens them again, signed in as before."""
        with self._lock:
            session, files, self._files = self._session, self._files, None
            for wire in (self._api, self._store):
                if wire is not None:
                    wire.close()
        if files is not None:
            files.close()
        inner = getattr(session, "_Session__http_session", None)
        if inner is not None:
            inner.close()

    def close(self) -> None:
        """Close the sockets and sign out; the next call signs in again."""
        self.rest()
        with self._lock:
            self._session = self._api = self._store = None


def _bytes(source: Path | bytes) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source


def _data(endpoint: str, status: int, content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        body = {}
    meta = body.get("meta") or {}
    if status != requests.codes.ok:
        said = str(meta.get("result_msg") or content[:300].decode(errors="replace"))
        _raise(endpoint, status, int(meta.get("result_subcode") or 0), said)
    if "meta" not in body:
        raise Unreachable("that is not a ClearML server's answer", where=endpoint, hint="Check CLEARML_API_HOST.")
    return dict(body.get("data") or {})


def _raise(where: str, status: int, subcode: int, message: str) -> None:
    if status in {401, 403}:
        raise BadCredentials(f"ClearML answered {status}: {message}", where=where, hint=_HINT_CREDENTIALS)
    if status == requests.codes.too_many_requests or (status >= 500 and status != requests.codes.not_implemented):
        answered = status not in _AWAY
        raise Unreachable(f"ClearML answered {status}: {message}", where=where, answered=answered)
    raise Rejected(f"ClearML answered {status}/{subcode}: {message}", where=where, code=status, subcode=subcode)
