"""Put on PYTHONPATH: refuses and notes, in the file OUTWARD_LOG, every connection or look-up that leaves the machine."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

_HERE = {"localhost", "", socket.gethostname()}


def _leaves(host: Any) -> bool:
    if host is None or isinstance(host, int):
        return False
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name not in _HERE
    return not (address.is_loopback or address.is_unspecified)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
    else:
        return
    if _leaves(host):
        with Path(os.environ["OUTWARD_LOG"]).open("a") as log:
            log.write(f"{event} {host} by {sys.argv[:3]}\n")
        raise PermissionError(f"{event} to {host} leaves this machine")


sys.addaudithook(_watch)
