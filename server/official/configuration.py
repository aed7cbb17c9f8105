"""The server's own configuration files (HOCON), rendered from `.env`."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import bcrypt

from server.official.environment import keep

# a fixed user's hash is base64 of bcrypt, as the server's documentation has it
_ROUNDS = 12


def hashed(password: str) -> str:
    """Hash a fixed user's password in the form `pass_hashed: true` expects."""
    return base64.b64encode(bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS))).decode()


def matches(password: str, stored: str) -> bool:
    """Tell whether `stored` is a hash of `password`."""
    return bcrypt.checkpw(password.encode(), base64.b64decode(stored))


def apiserver_conf(users: dict[str, str]) -> str:
    """Render `apiserver.conf`: fixed users (name -> password hash), no sign-up, tokens for a day."""
    entries = ",\n".join(
        f"      {{ username: {json.dumps(name)}, password: {json.dumps(value)}, name: {json.dumps(name)} }}"
        for name, value in users.items()
    )
    return (
        "# Written by `python -m server.official up`; people who may log in, with bcrypt hashes.\n"
        "auth {\n"
        "  fixed_users {\n"
        "    enabled: true\n"
        "    pass_hashed: true\n"
        "    users: [\n"
        f"{entries}\n"
        "    ]\n"
        "  }\n"
        "}\n"
    )


def services_conf(environment: dict[str, str]) -> str:
    """Render `services.conf`: where the asynchronous deletion of artifacts reaches MinIO."""
    return (
        "# Written by `python -m server.official up`.\n"
        "storage_credentials {\n"
        "  aws {\n"
        "    s3 {\n"
        "      credentials: [{\n"
        f'        host: "minio:9000"\n'
        f'        key: "{environment["MINIO_KEY"]}"\n'
        f'        secret: "{environment["MINIO_SECRET"]}"\n'
        "        multipart: false\n"
        "        secure: false\n"
        "      }]\n"
        "    }\n"
        "  }\n"
        "}\n"
    )


def clearml_conf(environment: dict[str, str], access_key: str, secret_key: str) -> str:
    """Render a client's `clearml.conf`."""
    return (
        "api {\n"
        f'  web_server: "{environment["CLEARML_WEB_HOST"]}"\n'
        f'  api_server: "{environment["CLEARML_API_HOST"]}"\n'
        f'  files_server: "{environment["CLEARML_FILES_HOST"]}"\n'
        f'  credentials {{ access_key: "{access_key}", secret_key: "{secret_key}" }}\n'
        "}\n"
        "sdk {\n"
        "  aws.s3.credentials: [{\n"
        f'    host: "127.0.0.1:{environment["MINIO_PORT"]}", key: "{environment["MINIO_KEY"]}",\n'
        f'    secret: "{environment["MINIO_SECRET"]}", multipart: false, secure: false\n'
        "  }]\n"
        "  development { report_use_subprocess: false }\n"
        "}\n"
    )


def ensure(folder: Path, environment: dict[str, str]) -> bool:
    """Write the files where they are missing or the admin's password changed; True where something was written."""
    conf = folder / "apiserver.conf"
    user, password = environment["ADMIN_USER"], environment["ADMIN_PASSWORD"]
    changed = False
    if not (conf.is_file() and _admits(conf.read_text(), user, password)):
        keep(conf, apiserver_conf({user: hashed(password)}))
        changed = True
    services = folder / "services.conf"
    if not services.is_file() or services.read_text() != services_conf(environment):
        keep(services, services_conf(environment))
        changed = True
    return changed


def _admits(text: str, user: str, password: str) -> bool:
    marker = f"username: {json.dumps(user)}, password: "
    if marker not in text:
        return False
    try:
        stored, _ = json.JSONDecoder().raw_decode(text.split(marker, 1)[1])
        return matches(password, stored)
    except ValueError:  # cut short, or no hash: written anew
        return False
