"""The compose file, checked before anything is started: a wrong edit is named, and no data is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from server.official.errors import ComposeInvalid

NEEDED = ("mongo", "elasticsearch", "redis", "apiserver", "fileserver", "webserver")
_TOP = {"name", "services", "volumes", "networks", "secrets", "configs"}
_SERVICE = {
    "image", "build", "command", "entrypoint", "environment", "env_file", "volumes", "networks", "ports",
    "depends_on", "deploy", "healthcheck", "restart", "logging", "security_opt", "profiles", "ulimits", "user",
    "working_dir", "labels", "expose", "extra_hosts", "cap_add", "cap_drop", "init", "shm_size",
    "stop_grace_period", "tmpfs", "hostname", "sysctls",
}  # fmt: skip
_FOLLOWS = "; mend the file, or take it anew from the repository; `docker compose config` shows what Docker reads"


def check(path: Path) -> dict[str, Any]:
    """Read and check a compose file; what it says.

    Raises
    ------
    ComposeInvalid
        Naming the line, or the service and the key, with everything that is wrong in one text.
    """
    try:
        said = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ComposeInvalid(f"{path} is missing{_FOLLOWS}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ComposeInvalid(f"{where}: {getattr(error, 'problem', None) or 'no YAML'}{_FOLLOWS}") from error
    if not isinstance(said, Mapping) or not isinstance(said.get("services"), Mapping):
        raise ComposeInvalid(f"{path}: expected a mapping with `services`{_FOLLOWS}")
    wrong = [
        *_top(said),
        *(text for name, service in said["services"].items() for text in _service(name, service, said)),
    ]
    if wrong:
        raise ComposeInvalid(f"{path}: {'; '.join(wrong)}{_FOLLOWS}")
    return dict(said)


def _top(said: Mapping[str, Any]) -> Iterator[str]:
    for name in said:
        if name not in _TOP and not str(name).startswith("x-"):
            yield f"unknown key {name!r}"
    for name in NEEDED:
        if name not in said["services"]:
            yield f"service {name!r} is missing"


def _service(name: str, service: Any, said: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(service, Mapping):
        yield f"{name}: expected a mapping"
        return
    for key in service:
        if key not in _SERVICE and not str(key).startswith("x-"):
            yield f"{name}: unknown key {key!r}"
    image = str(service.get("image", ""))
    if ":" not in image.rpartition("/")[2] or image.endswith(":latest"):
        yield f"{name}: image {image!r} has no version"
    for port in service.get("ports", []):
        if name != "proxy" and not str(port).startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:")):
            yield f"{name}: port {str(port)!r} would be open beyond loopback (use ${{BIND:-127.0.0.1}}:...)"
    yield from _references(name, service, said)


def _references(name: str, service: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    for other in service.get("depends_on", []):
        if other not in said["services"]:
            yield f"{name}: depends on {other!r}, which is no service"
    for network in service.get("networks", []):
        if network not in (said.get("networks") or {}):
            yield f"{name}: network {network!r} is not declared"
    for mount in service.get("volumes", []):
        volume = str(mount).partition(":")[0]
        if not volume.startswith((".", "/", "~", "$")) and volume not in (said.get("volumes") or {}):
            yield f"{name}: volume {volume!r} is not declared: its data would not be kept"
