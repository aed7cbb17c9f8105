"""`python -m server.sheets`: the local Google Sheets and Drive endpoint."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from server.sheets.storage.database import NewerDatabase
from server.sheets.web.app import App, open_state


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m server.sheets", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8083, help="0 takes a free one (default 8083)")
    parser.add_argument("--data", type=Path, required=True, help="where spreadsheets and the key are kept")
    parser.add_argument("--require-auth", action="store_true", help="refuse calls without an access token")
    return parser.parse_args(arguments)


def listen(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises
    ------
    SystemExit
        2, with a line that names the option, where the port is taken or the host is not this machine.
    """
    try:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            sys.exit(_refusal(f"--host {host} is not a loopback address; this server answers this machine only"))
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # asyncio switches Nagle's delay off only where the protocol is named: 40 ms a call otherwise
        taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    except ValueError:
        sys.exit(_refusal(f"--host {host} is no address"))
    except OSError as error:
        sys.exit(_refusal(f"port {port} is taken ({error.strerror}); choose another with --port, or 0 for a free one"))
    return taken


def _refusal(text: str) -> int:
    print(f"server.sheets: {text}", file=sys.stderr)
    return 2


class Server(uvicorn.Server):
    """uvicorn, but a signal that stopped it cleanly is not raised again: the exit code is 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers that `main` set."""
        yield


def main() -> None:
    """Serve until told to stop."""
    chosen = options()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    taken = listen(chosen.host, chosen.port)
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    root = f"http://{host}:{taken.getsockname()[1]}"
    chosen.data.mkdir(parents=True, exist_ok=True)
    try:
        state = open_state(chosen.data, root, require_auth=chosen.require_auth)
    except NewerDatabase as error:
        sys.exit(_refusal(str(error)))
    config = uvicorn.Config(App(state), log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    taken.listen(128)
    ready = {
        "service": "sheets",
        "pid": os.getpid(),
        "urls": {"api": root, "token": f"{root}/token", "page": f"{root}/"},
        "credentials": str((chosen.data / "service-account.json").resolve()),
    }
    server = Server(config)
    # before anybody can know that there is something to stop
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    print(json.dumps(ready), flush=True)
    server.run(sockets=[taken])
    state.library.db.close()


if __name__ == "__main__":
    main()
