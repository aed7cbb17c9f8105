"""`python -m server.telegram`: start, say where on one line, serve until asked to stop."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from server.telegram.app import App, opened
from server.telegram.hub import QUERY_LIFETIME_S, Options
from server.telegram.limits import Rates
from server.telegram.storage.database import DataInUse, NewerDatabase

EXIT_USAGE = 2


def arguments() -> argparse.ArgumentParser:
    """The options, with their help."""
    parser = argparse.ArgumentParser(
        prog="python -m server.telegram", description="A local Telegram: Bot API and a page to chat in."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; of this machine only (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8082, help="port, 0 for any free one (8082)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument(
        "--token", action="append", default=[], help="serve this bot only; may be repeated (any token is a bot)"
    )
    parser.add_argument(
        "--rate-limits", action="store_true", help="30 messages/s, 1/s per chat, 20/min per group (off)"
    )
    parser.add_argument(
        "--query-lifetime",
        type=float,
        default=QUERY_LIFETIME_S,
        metavar="S",
        help="seconds a tap can be answered (900)",
    )
    return parser


def main() -> int:
    """Run the server; the exit code."""
    asked = arguments().parse_args()
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    if not _local(asked.host):
        print(
            f"--host {asked.host}: this server knows no passwords and listens on 127.0.0.1, ::1 or localhost only",
            file=sys.stderr,
        )
        return EXIT_USAGE
    options = Options(
        data=asked.data,
        tokens=tuple(asked.token),
        rates=Rates(enabled=asked.rate_limits),
        query_lifetime_s=asked.query_lifetime,
    )
    try:
        listening = _listen(asked.host, asked.port)
    except OSError as error:
        print(
            f"port {asked.port} cannot be used ({error.strerror}); choose another with --port, or 0 for any",
            file=sys.stderr,
        )
        return EXIT_USAGE
    try:
        uvloop.run(_serve(options, listening, asked.host))
    except (DataInUse, NewerDatabase) as error:
        print(f"{asked.data}: {error}" if isinstance(error, NewerDatabase) else error, file=sys.stderr)
        return EXIT_USAGE
    return 0


def _local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with its protocol named: asyncio sets TCP_NODELAY only then, and without it every answer waits 40 ms for an ACK
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening


async def _serve(options: Options, listening: socket.socket, host: str) -> None:
    async with opened(options) as hub:
        config = uvicorn.Config(
            App(hub),
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        print(json.dumps(_ready(host, listening.getsockname()[1])), flush=True)
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us: it would raise them again after stopping, and the exit would not be clean."""

    def install_signal_handlers(self) -> None:
        """Leave them."""

    def stop(self) -> None:
        """End after the requests that are being answered; long polls are cut."""
        self.should_exit = True


def _ready(host: str, port: int) -> dict[str, object]:
    api = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return {"service": "telegram", "pid": os.getpid(), "urls": {"api": api, "chat": f"{api}/chat"}}


if __name__ == "__main__":
    sys.exit(main())
