"""Who may call: keys, passwords and tokens.

Secrets of access keys are random and long, so one salted SHA-256 keeps them; passwords are people's, so bcrypt does.
Tokens are signed with a key drawn once per installation.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import jwt

from server.embedded import clock
from server.embedded.database import Database
from server.embedded.endpoints import API_VERSION, Identity
from server.embedded.errors import fail

COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"  # the id every installation of the official server has
COMPANY_NAME = "clearml"
DEFAULT_USER = "default"
WEB_USER = "__webserver__"
SERVER_VERSION = "2.3.0"
MAX_TOKEN_S = 31_536_000
CACHED_TOKENS = 4096
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class FixedUser:
    """A line of the file of users: a name to log in with and a bcrypt hash of the password."""

    username: str
    password: str
    name: str
    user: str


@dataclass(frozen=True)
class Token:
    """A token that was checked."""

    identity: Identity
    expires: float


def hash_secret(secret: str) -> str:
    """Salt and hash the secret of an access key."""
    salt = secrets.token_hex(8)
    return f"{salt}${hashlib.sha256((salt + secret).encode()).hexdigest()}"


def check_secret(secret: str, stored: str) -> bool:
    """Compare in constant time."""
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(hashlib.sha256((salt + secret).encode()).hexdigest(), digest)


def new_key_pair() -> tuple[str, str]:
    """Draw an access key and its secret."""
    access = "".join(secrets.choice(_ALPHABET) for _ in range(30))
    return access, secrets.token_urlsafe(36)


def load_users(path: Path) -> dict[str, FixedUser]:
    """Read the file of users: `{"users": [{"username", "password" (bcrypt), "name"}]}`.

    Raises
    ------
    ValueError
        A password is not a bcrypt hash, or a name is missing.
    """
    users: dict[str, FixedUser] = {}
    for entry in json.loads(path.read_text())["users"]:
        username, password = str(entry["username"]), str(entry["password"])
        if not password.startswith("$2"):
            raise ValueError(
                f"{path}: the password of {username!r} is not a bcrypt hash; make one with "
                "`python -m server.embedded hash-password`"
            )
        identifier = entry.get("id") or hashlib.sha256(f"moodflow user {username}".encode()).hexdigest()[:32]
        users[username] = FixedUser(username, password, str(entry.get("name", username)), identifier)
    return users


class Auth:
    """Keys, users and tokens of one installation."""

    def __init__(self, db: Database, users: Mapping[str, FixedUser] | None, token_days: float) -> None:
        self.db = db
        self.users = users
        self.token_s = token_days * 86_400
        self.key = db.write(_signing_key).result()
        self._tokens: dict[str, Token] = {}
        self._revoked = {
            row[0] for row in db.read(lambda c: c.execute("SELECT digest FROM revoked_token").fetchall()).result()
        }
        self._people: dict[str, Identity] = {}

    @property
    def password_mode(self) -> bool:
        """Whether people log in with passwords."""
        return self.users is not None

    # ---- tokens

    def issue(self, identity: Identity, expiration_s: float | None = None) -> str:
        """Sign a token for a caller."""
        now = time.time()
        claims = {
            "iat": int(now),
            "exp": int(now + (expiration_s or self.token_s)),
            "jti": secrets.token_hex(8),
            "auth_type": "Bearer",
            "identity": {
                "user": identity.user,
                "company": identity.company,
                "role": identity.role,
                "user_name": identity.name,
                "company_name": COMPANY_NAME,
            },
            "env": "<unknown>",
            "api_version": API_VERSION,
            "server_version": SERVER_VERSION,
            "server_build": "",
            "feature_set": "basic",
        }
        return jwt.encode(claims, self.key, algorithm="HS256")

    def bearer(self, authorization: str | None, cookie: str | None) -> Identity:
        """Identify by a token in the header, or else in the cookie."""
        token = cookie or ""
        if authorization is not None:
            kind, _, token = authorization.partition(" ")
            if kind.lower() != "bearer":
                raise fail("bad_authentication_type")
        return self.check(token.strip())

    def check(self, token: str) -> Identity:
        """Check a token.

        Raises
        ------
        ApiError
            `invalid_token`: not ours, expired, or revoked.
        """
        known = self._tokens.get(token)
        if known is None or known.expires < time.time():
            known = self._decode(token)
        if self._revoked and _digest(token) in self._revoked:
            raise fail("invalid_token", "revoked token")
        return known.identity

    def _decode(self, token: str) -> Token:
        try:
            claims = jwt.decode(token, self.key, algorithms=["HS256"])
        except jwt.PyJWTError as error:
            raise fail("invalid_token", "invalid jwt token", reason=str(error)) from error
        who = claims.get("identity") or {}
        identity = self.person(str(who.get("user")))
        checked = Token(identity, claims.get("exp", float("inf")))
        if len(self._tokens) >= CACHED_TOKENS:
            self._tokens.clear()
        self._tokens[token] = checked
        return checked

    def revoke(self, db: sqlite3.Connection, token: str) -> None:
        """Make a token worthless from now on (in the write thread)."""
        try:
            expires = int(jwt.decode(token, self.key, algorithms=["HS256"]).get("exp", 2**40))
        except jwt.PyJWTError:
            return
        digest = _digest(token)
        db.execute("DELETE FROM revoked_token WHERE expires < ?", (int(time.time()),))
        db.execute("INSERT OR IGNORE INTO revoked_token VALUES (?, ?)", (digest, expires))
        self._revoked.add(digest)

    # ---- people

    def person(self, user: str) -> Identity:
        """Return a user that exists, as a caller.

        Raises
        ------
        ApiError
            `invalid_user`
        """
        known = self._people.get(user)
        if known is None:
            row = self.db.reader().execute("SELECT * FROM user WHERE id = ?", (user,)).fetchone()
            if row is None:
                raise fail("invalid_user", "failed loading user")
            known = self._people[user] = Identity(row["id"], row["company"], row["role"], row["name"])
        return known

    def forget(self, user: str) -> None:
        """Drop what is remembered of a user that changed."""
        self._people.pop(user, None)
        self._tokens = {token: known for token, known in self._tokens.items() if known.identity.user != user}

    def impersonate(self, identity: Identity, headers: Mapping[str, str]) -> Identity:
        """Act as another user: the web app's own account does so when somebody picks a name in simple mode."""
        other = headers.get("x-clearml-impersonate-as") or headers.get("x-trains-impersonate-as")
        if not other:
            return identity
        if identity.role not in {"root", "system"}:
            raise fail("impersonation_error", "impersonation not allowed", role=identity.role)
        return self.person(other)

    # ---- basic authentication

    def basic(self, authorization: str) -> Identity:
        """Identify by access key and secret, or by name and password."""
        encoded = authorization.partition(" ")[2]
        try:
            text = base64.b64decode(encoded.encode()).decode("latin-1")
        except (binascii.Error, ValueError) as error:
            raise fail("bad_credentials", str(error)) from error
        name, _, secret = text.partition(":")
        with contextlib.suppress(UnicodeDecodeError):
            name, secret = name.encode("latin-1").decode(), secret.encode("latin-1").decode()
        identity = self._by_password(name, secret) or self._by_key(name, secret)
        if identity is None:
            raise fail("invalid_credentials", "failed to locate provided credentials")
        return identity

    def note_use(self, authorization: str, client: str) -> None:
        """Remember when and from where a key was last used, without making anybody wait."""
        text = base64.b64decode(authorization.partition(" ")[2].encode()).decode("latin-1")
        row = (clock.now(), client, text.partition(":")[0])
        self.db.write(
            lambda c: c.execute("UPDATE credential SET last_used = ?, last_used_from = ? WHERE access_key = ?", row)
        )

    def _by_password(self, name: str, secret: str) -> Identity | None:
        user = (self.users or {}).get(name)
        if user is None or not bcrypt.checkpw(secret.encode()[:72], user.password.encode()):
            return None
        return self.person(user.user)

    def _by_key(self, access: str, secret: str) -> Identity | None:
        row = self.db.reader().execute("SELECT * FROM credential WHERE access_key = ?", (access,)).fetchone()
        if row is None or not check_secret(secret, row["secret_hash"]):
            return None
        return self.person(row["user"])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _signing_key(db: sqlite3.Connection) -> str:
    db.execute("INSERT OR IGNORE INTO setting VALUES ('signing_key', ?)", (secrets.token_hex(32),))
    return str(db.execute("SELECT value FROM setting WHERE name = 'signing_key'").fetchone()[0])


def install(db: sqlite3.Connection, users: Mapping[str, FixedUser] | None) -> None:
    """Create what a new installation starts with, and the users of the file."""
    now = clock.now()
    db.execute("INSERT OR IGNORE INTO company VALUES (?, ?, ?)", (COMPANY, COMPANY_NAME, now))
    people = [(DEFAULT_USER, "Default User", "user"), (WEB_USER, "webserver", "system")]
    people += [(user.user, user.name, "user") for user in (users or {}).values()]
    for identifier, name, role in people:
        db.execute(
            "INSERT INTO user (id, company, name, role, created) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            (identifier, COMPANY, name, role, now),
        )


def ensure_key_file(db: Database, path: Path, user: str) -> dict[str, Any]:
    """Return the key pair of a file, drawn and written (0600) when there is none yet."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    access, secret = new_key_pair()
    db.write(lambda c: store_key(c, access, secret, user, path.stem)).result()
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump({"access_key": access, "secret_key": secret}, out)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    return {"access_key": access, "secret_key": secret}


def store_key(db: sqlite3.Connection, access: str, secret: str, user: str, label: str | None) -> None:
    """Keep a key pair, its secret hashed."""
    db.execute(
        "INSERT INTO credential (access_key, secret_hash, user, label, created) VALUES (?, ?, ?, ?, ?)",
        (access, hash_secret(secret), user, label, clock.now()),
    )
