"""A running Sheets endpoint, and gspread as its users have it: only the host of its requests is rewritten."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import gspread
import pytest
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from tests.services import Service, running

SCOPES = ["https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One server for the tests that leave it as it is."""
    with running("server.sheets", tmp_path_factory.mktemp("sheets"), ["--port", "0"]) as service:
        yield service


@pytest.fixture(scope="session")
def root(server: Service) -> str:
    """Where it listens."""
    return server.ready["urls"]["api"]


def token_of(service: Service) -> str:
    """An access token through google-auth's own flow."""
    credentials = Credentials.from_service_account_file(service.ready["credentials"], scopes=SCOPES)
    credentials.refresh(Request())
    return credentials.token


@pytest.fixture(scope="session")
def token(server: Service) -> str:
    """An access token."""
    return token_of(server)


def local_client(root: str) -> type[gspread.HTTPClient]:
    """Gspread's own client with the host of each URL replaced."""

    class LocalClient(gspread.HTTPClient):
        def request(self, method, endpoint, *args, **kwargs):
            parts = urlsplit(endpoint)
            query = f"?{parts.query}" if parts.query else ""
            return super().request(method, f"{root}{parts.path}{query}", *args, **kwargs)

    return LocalClient


def connect(service: Service) -> gspread.Client:
    """A gspread client with the service account's key."""
    return gspread.service_account(service.ready["credentials"], http_client=local_client(service.ready["urls"]["api"]))


@pytest.fixture
def gc(server: Service) -> gspread.Client:
    """gspread, signed in."""
    return connect(server)


@pytest.fixture
def book(gc: gspread.Client) -> Iterator[gspread.Spreadsheet]:
    """A spreadsheet of its own."""
    made = gc.create("A test's own")
    yield made
    gc.del_spreadsheet(made.id)


@pytest.fixture
def sheet(book: gspread.Spreadsheet) -> gspread.Worksheet:
    """Its first sheet."""
    return book.sheet1
