"""The dependency audit finds what is there to find, and says so when it could not ask."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import audit


@contextmanager
def advisories(bad: str):
    """An advisory service that knows one bad package."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            events = [{"introduced": "0"}, {"fixed": "99.0"}]
            affected = {
                "package": {"name": bad, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "versions": [asked["version"]],
            }
            vulnerability = {"id": "PYSEC-0000-1", "modified": "2026-01-01T00:00:00Z", "affected": [affected]}
            body = json.dumps({"vulns": [vulnerability]} if asked["package"]["name"] == bad else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def test_a_vulnerable_pin_is_named_with_the_version_that_mends_it(tmp_path: Path):
    """Of two pinned packages the one the service warns of is named."""
    path = tmp_path / "constraints.txt"
    path.write_text("leaky==1.0\nsound==2.0\n")
    with advisories("leaky") as url:
        assert audit.vulnerable(path, url) == ["leaky 1.0: PYSEC-0000-1, fixed in 99.0"]


def test_a_service_that_does_not_answer_is_no_clean_bill(tmp_path: Path, monkeypatch, capsys):
    """It is said that nothing was looked up, and of how many; alone the command fails, within `make check` it does not."""
    path = tmp_path / "constraints.txt"
    path.write_text("sound==2.0\n")
    with pytest.raises(audit.NotAsked) as caught:
        audit.vulnerable(path, "http://127.0.0.1:9/v1/query")

    def refuse(*_):
        raise caught.value

    monkeypatch.setattr(audit, "vulnerable", refuse)
    for options, code in (([], 2), (["--within-check"], 0)):
        monkeypatch.setattr(sys, "argv", ["audit", *options])
        assert audit.main() == code
        said = capsys.readouterr().out
        assert f"NOT DONE, {len(audit.pins())} pinned packages were not looked up" in said
    monkeypatch.setattr(audit, "vulnerable", lambda *_: ["leaky 1.0: PYSEC-0000-1, fixed in 99.0"])
    assert audit.main() == 0
    assert "1 known vulnerabilities" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.main() == 1


def test_what_is_installed_otherwise_than_pinned_is_named():
    """Another version, and a package nobody pinned; the project itself is no stray."""
    found = audit.strays({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "1", "moodflow": "0.1"})
    assert found == ["b 3 is installed, 2 is pinned", "c 1 is installed, no version is pinned"]
