"""Child processes that cannot outlive the command that started them.

Each child leads a process group of its own, is told by the kernel when its parent dies (Linux), and is stopped
gently first. What a group leaves behind after that is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from flows.commands.errors import PortError, ServiceError

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends; let it hear Ctrl-C even where a shell silenced it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Interruption:
    """Ctrl-C or a polite kill, insisted on.

    Python raises KeyboardInterrupt wherever it is, and where that is a hook of fork, a weakref's callback or a
    finaliser, it prints the exception and goes on. So it is raised again every two seconds until `heard`.
    """

    def __init__(self) -> None:
        self._asked = False
        self._thread = threading.get_ident()
        self._done = threading.Event()
        self._before = {sign: signal.signal(sign, self._stop) for sign in (signal.SIGINT, signal.SIGTERM)}
        threading.Thread(target=self._insist, daemon=True).start()

    def _stop(self, *_: Any) -> None:
        self._asked = True
        raise KeyboardInterrupt

    def _insist(self) -> None:
        while not self._done.wait(2.0):
            if self._asked:
                signal.pthread_kill(self._thread, signal.SIGINT)

    def heard(self) -> None:
        """Say that things are being stopped: from now on nothing may interrupt that."""
        self._done.set()
        for sign in self._before:
            signal.signal(sign, signal.SIG_IGN)

    def restore(self) -> None:
        """Give the signals back to whom they belonged."""
        self._done.set()
        for sign, handler in self._before.items():
            signal.signal(sign, handler)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and polite kills meanwhile: in a hook of fork they would leave the lock of `logging` held."""
    asked: list[int] = []
    before = {sign: signal.signal(sign, lambda got, _: asked.append(got)) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        if asked:
            signal.raise_signal(asked[0])


def choose_port(wanted: int, option: str, *, strict: bool, host: str = "127.0.0.1") -> int:
    """`wanted` if it is free, else a free one; with `strict` a taken port is a PortError naming `option`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            if strict:
                raise PortError(
                    f"port {wanted} on {host} is taken ({error.strerror}); "
                    f"stop what listens there, or choose another with {option}"
                ) from error
            probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Child:
    """One running service."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ready: dict[str, Any] = field(default_factory=dict)

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.process.poll() is None

    def stop(self, patience: float = 10.0) -> None:
        """SIGINT, then after `patience` seconds SIGKILL, to the whole group."""
        stop_all([self], patience)

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def stop_all(children: Sequence[Child], patience: float = 10.0) -> None:
    """Stop several at once: SIGINT, after `patience` seconds SIGTERM, soon after SIGKILL, to their whole groups."""
    for sign, wait in ((signal.SIGINT, patience), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        alive = [child for child in children if child.alive()]
        for child in alive:
            _signal_group(child.process.pid, sign)
        deadline = time.monotonic() + wait
        for child in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(deadline - time.monotonic(), 0.01))
    for child in children:
        _signal_group(child.process.pid, signal.SIGKILL)


def _signal_group(group: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sign)


def launch(name: str, command: Sequence[str], logs: Path, environment: Mapping[str, str], *, pipe: bool) -> Child:
    """Start `command` with its log in `logs`; `pipe` leaves its standard output to be read for its ready line."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as sink, _uninterrupted():
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else sink,
            stderr=sink,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - started from the main thread only
        )
    return Child(name, process, log)


def await_line(child: Child, seconds: float = 60.0) -> dict[str, Any]:
    """Wait for the one JSON line with which our servers say they are ready.

    Raises
    ------
    PortError
        If the service says its port is taken (exit status 2).
    ServiceError
        If it ends, or says nothing within `seconds`.
    """
    stream = child.process.stdout
    if stream is None:
        raise ValueError(f"{child.name} was launched without a pipe")
    line = _read_line(stream, time.monotonic() + seconds, child.alive)
    if not line:
        status = child.process.poll()
        kind = PortError if status == 2 else ServiceError
        raise kind(f"{child.name} did not start (status {status}); its log {child.log} ends:\n{child.last_words()}")
    child.ready = json.loads(line)
    return child.ready


def _read_line(stream: IO[bytes], deadline: float, alive: Callable[[], bool]) -> bytes:
    os.set_blocking(stream.fileno(), False)
    line = b""
    while time.monotonic() < deadline and not line.endswith(b"\n"):
        chunk = os.read(stream.fileno(), 65536) if _readable(stream, 0.2) else b""
        line += chunk
        if not chunk and not alive():
            return b""
    return line if line.endswith(b"\n") else b""


def _readable(stream: IO[bytes], seconds: float) -> bool:
    import select

    return bool(select.select([stream], [], [], seconds)[0])


def await_http(child: Child, url: str, seconds: float = 90.0) -> None:
    """Wait until `url` answers 200."""
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=2) as asking:
        while time.monotonic() < deadline and child.alive():
            with contextlib.suppress(httpx.HTTPError):
                if asking.get(url).status_code == httpx.codes.OK:
                    return
            time.sleep(0.1)
    raise ServiceError(f"{child.name} is not ready at {url}; its log {child.log} ends:\n{child.last_words()}")
