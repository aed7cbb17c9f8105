"""The way to Google (or the local Sheets): credentials, endpoint, quota with room to spare, bounded retries.

Errors
------
SheetError
├── SheetSettingsError   credentials missing or unreadable: which setting
├── SheetGoneError       the spreadsheet is not there any more
├── SheetForbiddenError  it is not shared with the service account (any more)
└── SheetBusyError       Google did not take it, after all retries: try later
    └── SheetUnsureError it may or may not have been written
"""

from __future__ import annotations

import json
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import gspread
import requests  # type: ignore[import-untyped]  # its stubs are no dependency of ours
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.oauth2.service_account import Credentials
from gspread.exceptions import APIError

from flows.settings import Settings

SCOPES = ("https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive.file")
TIMEOUT = (10.0, 60.0)
ATTEMPTS = 6
PASSING = frozenset({429, 500, 502, 503, 504})


class SheetError(Exception):
    """The Sheet cannot be used: what, where, and what to do next. Nothing is lost: answers wait in the store."""


class SheetSettingsError(SheetError, ValueError):
    """Credentials are missing or cannot be read."""


class SheetGoneError(SheetError, LookupError):
    """The spreadsheet is not there."""


class SheetForbiddenError(SheetError, PermissionError):
    """The service account may not use the spreadsheet."""


class SheetBusyError(SheetError, OSError):
    """Google did not take a call, after all retries."""


class SheetUnsureError(SheetBusyError):
    """A write was answered with an error that does not say whether it was done."""


class AccountCredentials(Credentials):  # type: ignore[misc,no-any-unimported,unused-ignore]  # untyped in google-auth
    """A service account that talks to its token endpoint and to nobody else."""

    def _maybe_start_regional_access_boundary_refresh(self, request: Any, url: Any) -> None:
        """Leave out a lookup that Sheets and Drive make no use of: its host is one that nobody configured."""


class Quota:
    """At most `per_minute` calls of a kind in any 60 s; waits for room."""

    def __init__(
        self, per_minute: int, now: Callable[[], float] = time.monotonic, rest: Callable[[float], None] = time.sleep
    ) -> None:
        self._most, self._now, self._rest = per_minute, now, rest
        self._times: dict[str, deque[float]] = {"read": deque(), "write": deque()}

    def take(self, kind: str) -> None:
        """Wait until a call may be made, and count it."""
        times = self._times[kind]
        while len(times) >= self._most:
            rest = times[0] + 60 - self._now()
            if rest <= 0:
                times.popleft()
            else:
                self._rest(rest)
        times.append(self._now())


class Http(gspread.HTTPClient):
    """gspread's transport with another root, a quota and retries that end.

    Appending is the one call that is not the same twice: it is never repeated here. Its caller reads back first.
    """

    root = ""
    account = ""
    calls = 0

    def __init__(self, auth: Any, session: Any = None) -> None:
        super().__init__(auth, session)
        self.quota = Quota(50)
        self.pause = 0.5
        self.set_timeout(TIMEOUT)

    def request(  # type: ignore[override]  # the rest is handed on
        self, method: str, endpoint: str, params: Any = None, data: Any = None, json: Any = None, **more: Any
    ) -> requests.Response:
        """Make a call; see `gspread.HTTPClient.request`.

        Raises
        ------
        SheetError
            One of its kinds, in place of gspread's and Google's.
        """
        once = endpoint.partition("?")[0].endswith(":append") or endpoint.endswith("/files")
        for attempt in range(1, ATTEMPTS + 1):
            self.quota.take("read" if method.lower() == "get" else "write")
            self.calls += 1
            try:
                return super().request(method, self._address(endpoint), params, data, json, **more)
            except APIError as error:
                self._judge(error, once=once, last=attempt == ATTEMPTS)
                self._rest(attempt, error.response.headers.get("Retry-After"))
            except (TransportError, requests.RequestException) as error:
                unsure = once and not isinstance(error, requests.ConnectTimeout)
                if unsure:
                    raise SheetUnsureError(f"no answer to a write: {type(error).__name__}") from None
                if attempt == ATTEMPTS:
                    raise SheetBusyError(
                        f"{self._host(endpoint)} cannot be reached ({type(error).__name__}): check the network and"
                        " MOODFLOW_SHEETS_URL; answers wait in the store"
                    ) from None
                self._rest(attempt, None)
            except (RefreshError, GoogleAuthError) as error:
                raise SheetSettingsError(
                    f"Google refuses the service account's key: {str(error)[:200]}; make a new key and set"
                    " MOODFLOW_SHEETS_CREDENTIALS (docs/setup_real_services.md)"
                ) from None
        raise AssertionError("unreachable")  # pragma: no cover - the last attempt returns or raises

    def _judge(self, error: APIError, *, once: bool, last: bool) -> None:
        """Raise what cannot be helped by trying again."""
        code = error.response.status_code
        said = str(error.error.get("message", ""))[:200] if isinstance(error.error, Mapping) else ""
        if code == 404:
            raise SheetGoneError(
                f"the spreadsheet is not there ({said}): restore it from Drive's bin, or set MOODFLOW_SPREADSHEET to"
                " another one and run `moodflow study rewrite-sheet`; no answer is lost"
            ) from None
        if code in {401, 403} and "quota" not in said.lower():
            raise SheetForbiddenError(
                f"the spreadsheet may not be used ({said}): share it as editor with {self.account or 'the account'};"
                " answers wait in the store"
            ) from None
        if code in PASSING or code == 403:
            if once and code >= 500:
                raise SheetUnsureError(f"a write was answered with {code}") from None
            if not last:
                return
            raise SheetBusyError(f"Google answers {code} ({said}); answers wait in the store, try later") from None
        raise SheetError(f"Google answers {code}: {said}") from None

    def _rest(self, attempt: int, asked: str | None) -> None:
        delay = self.pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        time.sleep(max(delay, float(asked) if asked and asked.replace(".", "", 1).isdigit() else 0))

    def _address(self, endpoint: str) -> str:
        if not self.root:
            return endpoint
        there, here = urlsplit(endpoint), urlsplit(self.root)
        return urlunsplit((here.scheme, here.netloc, here.path.rstrip("/") + there.path, there.query, there.fragment))

    def _host(self, endpoint: str) -> str:
        return urlsplit(self._address(endpoint)).netloc


def connect(settings: Settings) -> gspread.Client:
    """Make a client for the endpoint and account of the settings.

    Raises
    ------
    SheetSettingsError
        No credentials, or no service-account key in them.
    """
    info = key(settings)
    try:
        credentials = AccountCredentials.from_service_account_info(info, scopes=list(SCOPES))  # type: ignore[no-untyped-call]
    except (ValueError, KeyError) as error:
        raise SheetSettingsError(
            f"MOODFLOW_SHEETS_CREDENTIALS holds no service-account key: {str(error)[:200]}"
        ) from None
    client = gspread.Client(auth=credentials, http_client=Http)
    http = transport(client)
    http.root = settings.sheets_url
    http.account = info.get("client_email", "")
    http.quota = Quota(settings.sheets_per_minute)
    return client


def transport(client: gspread.Client) -> Http:
    """Our own transport below a client that `connect` made."""
    http: Any = client.http_client
    made: Http = http
    return made


def key(settings: Settings) -> dict[str, Any]:
    """Read the service-account key: the setting is a file's path or the JSON itself."""
    if settings.sheets_credentials is None or not settings.sheets_credentials.get_secret_value().strip():
        raise SheetSettingsError(
            "no Sheets credentials: set MOODFLOW_SHEETS_CREDENTIALS (docs/setup_real_services.md), or start the local"
            " stack with `moodflow up`"
        )
    given = settings.sheets_credentials.get_secret_value().strip()
    try:
        text = given if given.startswith("{") else Path(given).read_text(encoding="utf-8")
        info: dict[str, Any] = json.loads(text)
    except OSError as error:
        raise SheetSettingsError(
            f"MOODFLOW_SHEETS_CREDENTIALS names a file that cannot be read: {error.strerror}"
        ) from None
    except json.JSONDecodeError as error:
        raise SheetSettingsError(f"MOODFLOW_SHEETS_CREDENTIALS is no JSON (line {error.lineno})") from None
    return info
