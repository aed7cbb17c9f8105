"""Heavy servers that several test modules share: one of each per test process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import services

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# run in a shell's background, Ctrl-C is ignored here and in every child, and servers are stopped by it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A Prefect server of its own, on SQLite in a temporary directory: its API address.

    It costs ten seconds: tests that use it carry `@pytest.mark.xdist_group("prefect")`, so that one process pays.
    """
    with services.prefect_harness() as address:
        yield address


@pytest.fixture(scope="session")
def clearml_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The embedded ClearML server on free ports: the environment by which the SDK finds it.

    Where `MOODFLOW_TEST_CLEARML` is set, the server that the `CLEARML_*` of the environment name is used instead,
    so that the same tests can be put to the official one.
    """
    if os.environ.get("MOODFLOW_TEST_CLEARML"):
        yield {name: value for name, value in os.environ.items() if name.startswith("CLEARML_") and "UTILS" not in name}
        return
    data = tmp_path_factory.mktemp("clearml")
    with services.running(
        "server.embedded", data, ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
    ) as service:
        keys = json.loads(Path(service.ready["credentials"]).read_text())
        yield {
            "CLEARML_API_HOST": service.ready["urls"]["api"],
            "CLEARML_FILES_HOST": service.ready["urls"]["files"],
            "CLEARML_WEB_HOST": service.ready["urls"]["web"],
            "CLEARML_API_ACCESS_KEY": keys["access_key"],
            "CLEARML_API_SECRET_KEY": keys["secret_key"],
        }
