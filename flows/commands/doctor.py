"""What this machine or a setting lacks, and how to get it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from flows.commands.errors import SettingError
from flows.settings import Settings

_CLOCKS = 60.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` is empty where nothing is to be done."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True


def examine(settings: Settings, *, live: bool = False) -> list[Finding]:
    """Look at the machine and the settings; with `live` also ask the configured services."""
    findings = [_python(), _venv(), _disk(settings.home), _state(settings.home), _chromium(), *_ports()]
    findings += configured(settings)
    if live:
        findings += [check(settings) for check in (_telegram_live, _sheets_live, _clearml_live, _prefect_live)]
    return findings


def require(settings: Settings) -> None:
    """Stop with a SettingError before anything starts if a configured service cannot work."""
    wrong = [finding for finding in configured(settings) if not finding.ok]
    for is_set, check in (
        ("telegram_token" in settings.model_fields_set, _telegram_live),
        ("sheets_credentials" in settings.model_fields_set, _sheets_live),
        (bool(os.environ.get("CLEARML_API_HOST")), _clearml_live),
        (bool(os.environ.get("PREFECT_API_URL")), _prefect_live),
    ):
        if is_set and not wrong:
            finding = check(settings)
            wrong += [] if finding.ok else [finding]
    if wrong:
        raise SettingError("\n".join(f"{f.what}: {f.found}. {f.remedy}" for f in wrong))


def configured(settings: Settings) -> list[Finding]:
    """Check that what a person set is complete, without asking anybody."""
    return [*_clearml_keys(os.environ.get), *_sheets_key(settings), *_token_shape(settings)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")


def _venv() -> Finding:
    there = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    return Finding(
        "venv module", there, "present" if there else "missing", "On Debian or Ubuntu: apt-get install python3-venv"
    )


def _disk(home: Path) -> Finding:
    place = next(p for p in (home.resolve(), *home.resolve().parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e9
    return Finding("Disk", free > 2, f"{free:.1f} GB free", f"Free at least 2 GB where {place} is.")


def _state(home: Path) -> Finding:
    if not home.exists():
        return Finding("State directory", True, f"{home} will be created")
    private = (home.stat().st_mode & 0o077) == 0
    return Finding("State directory", private, str(home), f"It holds people's answers: chmod 700 {home}")


def _chromium() -> Finding:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return Finding(
        "Chromium (browser tests and screenshots only)",
        path is not None,
        path or "missing",
        "On Debian: apt-get install chromium",
        needed=False,
    )


def _ports() -> Iterable[Finding]:
    from flows.commands.stack import Ports

    for name, port in vars(Ports()).items():
        with socket.socket() as probe:
            free = probe.connect_ex(("127.0.0.1", port)) != 0
        option = f"--{name.replace('_', '-')}-port"
        yield Finding(
            f"Port {port} ({name})",
            free,
            "free" if free else "taken",
            f"`make demo` finds another by itself; for `moodflow up` choose one with {option}.",
            needed=False,
        )


def _clearml_keys(get: Callable[[str], str | None]) -> Iterable[Finding]:
    if not get("CLEARML_API_HOST"):
        return
    conf = Path(get("CLEARML_CONFIG_FILE") or Path.home() / "clearml.conf")
    for name in ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"):
        there = bool(get(name)) or conf.is_file()
        yield Finding(
            name,
            there,
            "set" if there else f"missing, and there is no {conf}",
            "Create credentials in the ClearML web app (Settings, Workspace) and set it.",
        )
    for name in ("CLEARML_WEB_HOST", "CLEARML_FILES_HOST"):
        there = bool(get(name)) or conf.is_file()
        yield Finding(name, there, "set" if there else "missing", "Set it beside CLEARML_API_HOST.")


def _sheets_key(settings: Settings) -> Iterable[Finding]:
    if settings.sheets_credentials is None:
        return
    name, said = "MOODFLOW_SHEETS_CREDENTIALS", settings.sheets_credentials.get_secret_value()
    try:
        text = said if said.lstrip().startswith("{") else Path(said).read_text()
        missing = {"client_email", "private_key", "token_uri"} - set(json.loads(text))
    except (OSError, ValueError) as error:
        yield Finding(name, False, f"unreadable ({type(error).__name__})", "Name a service-account key's JSON file.")
        return
    found = f"lacks {', '.join(sorted(missing))}" if missing else "a service-account key"
    yield Finding(name, not missing, found, "Download the key again (docs/setup_real_services.md).")


def _token_shape(settings: Settings) -> Iterable[Finding]:
    if settings.telegram_token is None:
        return
    number, _, rest = settings.telegram_token.get_secret_value().partition(":")
    fine = number.isdigit() and len(rest) >= 20
    yield Finding(
        "MOODFLOW_TELEGRAM_TOKEN", fine, "a bot token" if fine else "not a bot token", "Copy it from @BotFather whole."
    )


def _ask(what: str, remedy: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, ask())
    except (httpx.HTTPError, OSError, ValueError, LookupError) as error:
        return Finding(what, False, f"{type(error).__name__}: {_without_secrets(str(error))}", remedy)


def _without_secrets(text: str) -> str:
    import re

    return re.sub(r"bot\d+:[\w-]+", "bot<token>", text)


def _same_time(answer: httpx.Response) -> None:
    """Compare the service's clock with this machine's, by the answer's own date.

    Raises
    ------
    ValueError
        They are over a minute apart: signed tokens would be refused, and slots, alerts and answers be misdated.
    """
    said = answer.headers.get("date")
    apart = time.time() - parsedate_to_datetime(said).timestamp() if said else 0.0
    if abs(apart) > _CLOCKS:
        raise ValueError(
            f"its clock is {abs(apart):.0f} s {'behind' if apart > 0 else 'ahead of'} this machine's: set both by NTP"
        )


def _telegram_live(settings: Settings) -> Finding:
    def ask() -> str:
        if settings.telegram_token is None:
            raise LookupError("no token is set and no local stack runs")
        url = f"{settings.telegram_url}/bot{settings.telegram_token.get_secret_value()}/getMe"
        answer = httpx.get(url, timeout=10)
        body = answer.json()
        if not body.get("ok"):
            raise ValueError(f"{answer.status_code} {body.get('description')}")
        _same_time(answer)
        return f"@{body['result']['username']}"

    return _ask("Telegram", "Check MOODFLOW_TELEGRAM_TOKEN and MOODFLOW_TELEGRAM_URL.", ask)


def _sheets_live(settings: Settings) -> Finding:
    def ask() -> str:
        from flows.clients.sheets import check_access

        return check_access(settings)

    return _ask("Google Sheets", "Check MOODFLOW_SHEETS_CREDENTIALS, and that the sheet is shared with it.", ask)


def _clearml_live(settings: Settings) -> Finding:  # noqa: ARG001 - CLEARML_* alone decides
    def ask() -> str:
        host = os.environ.get("CLEARML_API_HOST")
        if not host:
            raise LookupError("CLEARML_API_HOST is not set and no local stack runs")
        keys = (os.environ.get("CLEARML_API_ACCESS_KEY", ""), os.environ.get("CLEARML_API_SECRET_KEY", ""))
        if not all(keys):
            return f"{host} (keys are read from clearml.conf)"
        answer = httpx.post(f"{host.rstrip('/')}/auth.login", auth=keys, timeout=10)
        _same_time(answer)  # first: a clock that is wrong is why keys are refused
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"{answer.status_code} {answer.json().get('meta', {}).get('result_msg')}")
        return host

    return _ask("ClearML", "Check CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY.", ask)


def _prefect_live(settings: Settings) -> Finding:  # noqa: ARG001 - PREFECT_API_URL alone decides
    def ask() -> str:
        url = os.environ.get("PREFECT_API_URL")
        if not url:
            raise LookupError("PREFECT_API_URL is not set and no local stack runs")
        _same_time(httpx.get(f"{url.rstrip('/')}/health", timeout=10).raise_for_status())
        return url

    return _ask("Prefect", "Check PREFECT_API_URL.", ask)
