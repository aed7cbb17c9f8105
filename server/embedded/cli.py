"""The command line: options, refusals, and the three listening ports."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bcrypt
import uvicorn
import uvloop

from server.embedded import auth, clock, files, watchdog, web
from server.embedded.api import Api
from server.embedded.backup import BackupError, backup
from server.embedded.database import Database, NewerDatabase
from server.embedded.services.queues import store as queues
from server.embedded.state import Settings, State

log = logging.getLogger("server.embedded")


def parser() -> argparse.ArgumentParser:
    """Declare the options."""
    found = argparse.ArgumentParser(prog="python -m server.embedded", description=__doc__)
    defaults = Settings(Path())
    found.add_argument(
        "--host", default=defaults.host, help="address to listen on; anything but loopback needs --users"
    )
    found.add_argument("--data", type=Path, required=True, help="folder of the database, the files and the keys")
    for name in ("api", "files", "web"):
        port = getattr(defaults, f"{name}_port")
        found.add_argument(f"--{name}-port", type=int, default=port, help=f"default {port}; 0 takes a free one")
    found.add_argument("--webapp", type=Path, help="folder of a build of the official web app to serve on the web port")
    found.add_argument("--users", type=Path, help="JSON file of people who log in with passwords (bcrypt hashes)")
    found.add_argument("--max-upload-mb", type=int, default=defaults.max_upload_mb, help="largest upload of files")
    found.add_argument("--max-request-mb", type=int, default=defaults.max_request_mb, help="largest API request")
    found.add_argument("--token-days", type=float, default=defaults.token_days, help="how long a token lives")
    found.add_argument(
        "--silent-task-s", type=float, default=defaults.silent_task_s, help="stop tasks silent for so long"
    )
    found.add_argument(
        "--archive-days", type=float, default=defaults.archive_days, help="delete tasks archived so long; 0 never"
    )
    found.add_argument("--log-days", type=float, default=defaults.log_days, help="delete console lines so old; 0 never")
    found.add_argument("--watchdog-every-s", type=float, default=defaults.watchdog_every_s, help="pause between rounds")
    found.add_argument("--log-level", default="warning", help="debug, info, warning or error")
    return found


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refusal(settings: Settings) -> str | None:
    """Return why these settings must not run, or None."""
    if settings.users is None and not _loopback(settings.host):
        return (
            f"--host {settings.host} is not loopback and everybody may log in without a password. "
            "Give people passwords with --users FILE, or listen on 127.0.0.1."
        )
    if settings.webapp is not None and not (settings.webapp / "index.html").is_file():
        return f"--webapp {settings.webapp}: there is no index.html in it. Name the folder of a built web app."
    return None


def listen(host: str, port: int, option: str) -> socket.socket:
    """Take a port.

    Raises
    ------
    SystemExit
        2, naming the port and the option, when it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        print(
            f"port {port} ({option}) cannot be taken: {error.strerror}. Choose another with {option}.", file=sys.stderr
        )
        raise SystemExit(2) from error
    listener.setblocking(False)
    return listener


def open_state(settings: Settings) -> tuple[State, Path]:
    """Open or create an installation. Returns its state and the path of the default user's keys."""
    settings.data.mkdir(parents=True, exist_ok=True)
    folder = settings.data / "files"
    folder.mkdir(exist_ok=True)
    users = auth.load_users(settings.users) if settings.users else None
    db = Database(settings.data / "clearml.db")
    (settings.data / "clearml.db").chmod(0o600)
    db.write(lambda c: auth.install(c, users)).result()
    state = State(settings, db, auth.Auth(db, users, settings.token_days), folder)
    db.write(_default_queue).result()
    credentials = settings.data / "credentials.json"
    auth.ensure_key_file(db, credentials, auth.DEFAULT_USER)
    web_keys = auth.ensure_key_file(db, settings.data / "webserver.json", auth.WEB_USER)
    state.web_keys.update(userKey=web_keys["access_key"], userSecret=web_keys["secret_key"], companyID=auth.COMPANY)
    return state, credentials


def write_conf(path: Path, urls: dict[str, str], credentials: Path) -> None:
    """Write what a client needs, as the SDK's own file: `CLEARML_CONFIG_FILE=DATA/clearml.conf` is enough for it."""
    addresses = {"api_server": urls["api"], "web_server": urls["web"], "files_server": urls["files"]}
    keys = json.loads(credentials.read_text())
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps({"api": addresses | {"credentials": keys}}, indent=1) + "\n")
    temporary.replace(path)


def _default_queue(db: Any) -> None:
    if not db.execute("SELECT 1 FROM queue LIMIT 1").fetchone():
        queues.create(db, "default", auth.DEFAULT_USER, auth.COMPANY, clock.now(), system_tags=["default"])


async def serve(state: State, credentials: Path, sockets: dict[str, socket.socket]) -> None:
    """Serve the three ports until a signal asks to stop."""
    applications: dict[str, Any] = {"api": Api(state), "files": files.application(state), "web": web.application(state)}
    servers = []
    for name, application in applications.items():
        config = uvicorn.Config(
            application, log_config=None, access_log=False, lifespan="off", interface="asgi3", timeout_keep_alive=75,
            timeout_graceful_shutdown=5, server_header=False, ws="none",
        )  # fmt: skip
        servers.append((uvicorn.Server(config), sockets[name]))
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(server._serve([listener])) for server, listener in servers]  # noqa: SLF001 - `serve` would take the signals of the process three times over
    while not all(server.started for server, _ in servers):  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    ready = {"service": "embedded", "pid": os.getpid(), "urls": state.urls, "credentials": str(credentials)}
    print(json.dumps(ready), flush=True)
    watching = asyncio.create_task(watchdog.watch(state))
    await asyncio.gather(*running)
    watching.cancel()


def run_backup(arguments: Sequence[str]) -> int:
    """Copy an installation, served or not."""
    found = argparse.ArgumentParser(prog="python -m server.embedded backup", description="Copy while serving.")
    found.add_argument("--data", type=Path, required=True, help="folder of the installation")
    found.add_argument("--to", type=Path, required=True, help="folder to make; must not exist")
    options = found.parse_args(arguments)
    try:
        print(backup(options.data, options.to))
    except BackupError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def hash_password() -> int:
    """Read a password from the terminal or a pipe and print its bcrypt hash for the file of users."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    print(bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt()).decode())
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server, or one of its tools. Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["backup"]:
        return run_backup(given[1:])
    if given[:1] == ["hash-password"]:
        return hash_password()
    options = parser().parse_args(given)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = Settings(
        data=options.data.resolve(), host=options.host, api_port=options.api_port, files_port=options.files_port,
        web_port=options.web_port, webapp=options.webapp, users=options.users, max_upload_mb=options.max_upload_mb,
        max_request_mb=options.max_request_mb, token_days=options.token_days,
        silent_task_s=options.silent_task_s, archive_days=options.archive_days, log_days=options.log_days,
        watchdog_every_s=options.watchdog_every_s,
    )  # fmt: skip
    reason = refusal(settings)
    if reason:
        print(reason, file=sys.stderr)
        return 2
    ports = {"api": settings.api_port, "files": settings.files_port, "web": settings.web_port}
    sockets = {name: listen(settings.host, port, f"--{name}-port") for name, port in ports.items()}
    try:
        state, credentials = open_state(settings)
    except NewerDatabase as error:
        print(f"{settings.data}: {error}. Update Moodflow, or name another --data; it was not touched", file=sys.stderr)
        return 2
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    state.urls.update({name: f"http://{host}:{listener.getsockname()[1]}" for name, listener in sockets.items()})
    write_conf(settings.data / "clearml.conf", state.urls, credentials)
    try:
        uvloop.run(serve(state, credentials, sockets))
    finally:
        state.db.close()
    return 0
