"""A ClearML server named explicitly, beside the one of the environment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests  # type: ignore[import-untyped]  # its stubs are not among the test tools

from clearml_utils.connection import Connection, import_sdk
from clearml_utils.errors import BadCredentials, Rejected, Unreachable

_PAGE = 500
_BATCH = 1000


@dataclass(frozen=True)
class Address:
    """Where a server is and who asks.

    Attributes
    ----------
    api, files
        Roots of the API and of the file server.
    access_key, secret_key
        Credentials.
    """

    api: str
    files: str
    access_key: str
    secret_key: str


class Endpoint(Connection):
    """Calls to the server of an `Address`; errors as `Connection` has them."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address

    @property
    def session(self) -> Any:
        """The SDK's session with exactly this address."""
        with self._lock:
            if self._session is None:
                self.calls += 1
                self._session = self._sign_in()
            return self._session

    def _sign_in(self) -> Any:
        import_sdk()
        from clearml.backend_api import Session  # noqa: PLC0415 - importing clearml takes a second
        from clearml.backend_api.session.session import LoginError  # noqa: PLC0415 - as above

        here = self.address
        try:
            return Session(
                api_key=here.access_key,
                secret_key=here.secret_key,
                host=here.api,
                http_retries_config={"total": 0, "connect": 0, "read": 0, "redirect": 0, "status": 0},
            )
        except LoginError as error:
            if "401" in str(error) or "403" in str(error):
                raise BadCredentials(f"{here.api} refused the keys: {error}", hint="Check key and secret.") from error
            raise Unreachable(f"{here.api} did not answer: {error}", where="auth.login") from error
        except (ValueError, OSError) as error:
            raise Unreachable(f"{here.api} did not answer: {error}", where="auth.login") from error

    @property
    def files(self) -> str:
        """Root of the file store."""
        return self.address.files.rstrip("/")

    def pages(self, endpoint: str, key: str, **where: Any) -> Iterator[dict[str, Any]]:
        """Every object of a `get_all`, the earliest created first."""
        page = 0
        while True:
            rows = self.call(endpoint, page=page, page_size=_PAGE, order_by=["created", "id"], **where)[key]
            yield from rows
            if len(rows) < _PAGE:
                return
            page += 1

    def events(self, task: str, kind: str) -> Iterator[list[dict[str, Any]]]:
        """Every event of one type of a task, in batches."""
        scroll = None
        while True:
            more: dict[str, Any] = {"scroll_id": scroll} if scroll else {}
            data = self.call(
                "events.get_task_events", task=task, event_type=kind, batch_size=_BATCH, order="asc", **more
            )
            rows = data.get("events") or []
            if not rows:
                return
            yield rows
            scroll = data.get("scroll_id")
            if not scroll:
                return

    def download(self, url: str, target: Path) -> str:
        """Fetch a file of this server's file server to `target`; its SHA-256.

        Raises
        ------
        Rejected
            The file is not there.
        Unreachable
            No answer.
        """
        digest = hashlib.sha256()
        self.calls += 1
        try:
            with requests.get(url, headers=self.session.add_auth_headers({}), stream=True, timeout=(10, 300)) as answer:
                if answer.status_code >= 500:
                    raise Unreachable(f"the file server answered {answer.status_code}", where=url)
                if answer.status_code != requests.codes.ok:
                    raise Rejected(f"the file server answered {answer.status_code}", where=url, code=answer.status_code)
                with target.open("wb") as sink:
                    for part in answer.iter_content(1 << 20):
                        digest.update(part)
                        sink.write(part)
        except requests.RequestException as error:
            raise Unreachable(f"the file server did not answer: {error!r}", where=url) from error
        return digest.hexdigest()
