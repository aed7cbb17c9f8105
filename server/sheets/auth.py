"""Service-account OAuth, as Google runs it: a key file, a signed assertion, an access token for an hour.

The key is made once in the data directory. Its `token_uri` points at this server, so that google-auth talks to it
unmodified.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = "moodflow-local"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# google-auth signs for Google's own endpoint whatever the key's token_uri says
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
LIFETIME = 3599
SHEETS_SCOPES = {
    "https://www.googleapis.com/auth/spreadsheets",
    "https://www.googleapis.com/auth/spreadsheets.readonly",
    "https://www.googleapis.com/auth/drive",
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/drive.file",
    "https://spreadsheets.google.com/feeds",
}
DRIVE_SCOPES = {scope for scope in SHEETS_SCOPES if "/auth/drive" in scope}


class GrantError(Exception):
    """The token endpoint refuses: OAuth's `{error, error_description}`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an account and what it may do."""

    email: str
    scopes: frozenset[str]


def load_key(path: Path, token_uri: str) -> dict[str, Any]:
    """The service-account key in this file, made where there is none; `token_uri` follows the port in use."""
    info = json.loads(path.read_text()) if path.exists() else _new_key()
    if info.get("token_uri") != token_uri:
        info["token_uri"] = token_uri
        _write_private(path, json.dumps(info, indent=2))
    return dict(info)


def _new_key() -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": uuid.uuid4().hex,
        "private_key": pem,
        "client_email": f"survey@{PROJECT}.iam.gserviceaccount.com",
        "client_id": str(10**20 + secrets.randbelow(10**20)),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "universe_domain": "googleapis.com",
    }


def _write_private(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class Tokens:
    """Access tokens given out; only their hashes are kept."""

    def __init__(self, db: sqlite3.Connection, key: dict[str, Any]) -> None:
        self.db = db
        self.key = key
        private = serialization.load_pem_private_key(key["private_key"].encode(), password=None)
        self.public = cast("rsa.RSAPrivateKey", private).public_key()

    @property
    def email(self) -> str:
        """The service account's address."""
        return str(self.key["client_email"])

    def grant(self, form: dict[str, str]) -> dict[str, Any]:
        """Check an assertion and give a token for it.

        Raises
        ------
        GrantError
            With OAuth's error code, where signature, audience, times, issuer or scope are wrong.
        """
        if form.get("grant_type") != GRANT:
            raise GrantError("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        claims = self._claims(form.get("assertion", ""))
        scopes = str(claims.get("scope", "")).split()
        if not scopes:
            raise GrantError("invalid_scope", "Empty or missing scope not allowed.")
        token = "ya29." + secrets.token_urlsafe(48)
        self.db.execute("delete from tokens where expires < ?", (time.time() - 86_400,))
        row = (_hash(token), self.email, " ".join(scopes), time.time() + LIFETIME)
        self.db.execute("insert into tokens values (?, ?, ?, ?)", row)
        return {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"}

    def _claims(self, assertion: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                assertion,
                self.public,
                algorithms=["RS256"],
                audience=[self.key["token_uri"], GOOGLE_AUDIENCE],
                leeway=10,
                options={"require": ["iss", "aud", "iat", "exp"]},
            )
        except jwt.InvalidSignatureError as error:
            raise GrantError("invalid_grant", "Invalid JWT Signature.") from error
        except jwt.InvalidTokenError as error:
            raise GrantError("invalid_grant", f"Invalid JWT: {error}") from error
        if claims["iss"] != self.email:
            raise GrantError("invalid_grant", "Invalid grant: account not found")
        if claims["exp"] - claims["iat"] > 3600:
            raise GrantError("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
        return claims

    def caller(self, token: str) -> Caller | None:
        """Whose token this is; None where it is unknown, expired or revoked."""
        found = self.db.execute(
            "select email, scopes from tokens where hash = ? and expires > ?", (_hash(token), time.time())
        ).fetchone()
        return Caller(found[0], frozenset(found[1].split())) if found else None

    def revoke_all(self) -> int:
        """Make every token given out so far invalid; how many there were."""
        return self.db.execute("delete from tokens").rowcount


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
