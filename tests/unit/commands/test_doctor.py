"""`moodflow doctor` looks at the clocks of the services it asks."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flows.commands.doctor import examine, require
from flows.commands.errors import SettingError
from flows.settings import Settings


@contextmanager
def service(ahead: float):
    """Something that answers as ClearML, Prefect and Telegram do, with a clock of its own."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"ok": true, "result": {"username": "bot"}, "data": {"token": "t"}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the base class's name

        def date_time_string(self, timestamp=None):
            return formatdate(time.time() + ahead, usegmt=True)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("ahead", "said"), [(0, None), (3600, "ahead of"), (-3600, "behind")])
def test_clocks_that_disagree_are_named_before_anything_starts(tmp_path, monkeypatch, ahead, said):
    """An hour either way is told of each service, with the next step, and nothing starts; the same time is no news."""
    with service(ahead) as url:
        values = {
            "CLEARML_API_HOST": url, "CLEARML_WEB_HOST": url, "CLEARML_FILES_HOST": url, "CLEARML_API_ACCESS_KEY": "a",
            "CLEARML_API_SECRET_KEY": "s", "PREFECT_API_URL": url,
        }  # fmt: skip
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        settings = Settings(home=tmp_path, telegram_token="123456789:" + "x" * 35, telegram_url=url, _env_file=None)
        found = {f.what: f for f in examine(settings, live=True) if f.what in {"ClearML", "Prefect", "Telegram"}}
        assert {what: f.ok for what, f in found.items()} == dict.fromkeys(
            ("ClearML", "Prefect", "Telegram"), said is None
        )
        if said is None:
            require(settings)
            return
        assert all(f"{said} this machine's: set both by NTP" in f.found for f in found.values())
        with pytest.raises(SettingError, match="set both by NTP"):
            require(settings)
    assert not (tmp_path / "stack.json").exists()
