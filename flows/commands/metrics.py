"""What Prometheus and a load balancer ask: the numbers of the monitor, as text and over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from flows.commands.errors import PortError
from flows.monitor.checks import Problem, problems
from flows.monitor.observation import Observation
from flows.settings import Settings


def text(seen: Observation) -> bytes:
    """The observation in Prometheus' text format."""
    registry = CollectorRegistry()
    for name, value in seen.numbers().items():
        Gauge(f"moodflow_{name}", name.replace("_", " "), registry=registry).set(value)
    up = Gauge("moodflow_answers", "whether a part answers", ["part"], registry=registry)
    up.labels("prefect").set(seen.prefect is not None)
    up.labels("store").set(seen.store is not None)
    if seen.prefect is not None:
        late = Gauge("moodflow_late_s", "seconds a deployment is overdue", ["deployment"], registry=registry)
        good = Gauge("moodflow_last_run_completed", "whether the last run completed", ["deployment"], registry=registry)
        for one in seen.prefect.deployments:
            late.labels(one.name).set(one.late_s)
            if one.last_state is not None:
                good.labels(one.name).set(one.last_state == "COMPLETED")
    wrong = Gauge("moodflow_problem", "1 for everything that is wrong now", ["key"], registry=registry)
    for problem in problems(seen):
        wrong.labels(problem.key).set(1)
    return generate_latest(registry)


def observe(settings: Settings) -> Observation:
    """Look once, settling nothing."""
    from flows.monitor.flow import observe as look

    return look(settings)


def serve(look: Callable[[], Observation], port: int, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Answer `GET /health` (200 or 503 with what is wrong) and `GET /metrics`; the server, already answering.

    Raises
    ------
    PortError
        The port is taken.
    """
    guard = threading.Lock()  # one look at a time: each asks every service

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in {"/health", "/metrics"}:
                self._say(404, b"GET /health or /metrics\n", "text/plain")
                return
            with guard:
                seen = look()
            if self.path == "/metrics":
                self._say(200, text(seen), CONTENT_TYPE_LATEST)
                return
            found = problems(seen)
            self._say(503 if found else 200, _health(found), "application/json")

        def _say(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Keep quiet: a scrape every few seconds is not news."""

    try:
        server = ThreadingHTTPServer((host, port), Answers)
    except OSError as error:
        raise PortError(f"port {port} on {host} is taken ({error.strerror}); choose another with --port") from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _health(found: tuple[Problem, ...]) -> bytes:
    said = {"healthy": not found, "problems": [{"key": p.key, "what": p.what, "do": p.do} for p in found]}
    return json.dumps(said, indent=2).encode() + b"\n"
