"""Files: bytes once each on disk by their hash, and the many file_ids they are known by."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from server.telegram.errors import BadRequest
from server.telegram.params import Upload
from server.telegram.storage.database import Database

CHUNK = 1 << 20


class Files:
    """Files of one data directory."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def store(self, source: BinaryIO, name: str, content_type: str) -> Upload:
        """Write the bytes of an upload (blocking; safe in a thread): complete under its name, or not there at all."""
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
        path = Path(digest.hexdigest()[:2]) / digest.hexdigest()
        (self.folder / path).parent.mkdir(exist_ok=True)
        os.replace(target.name, self.folder / path)  # noqa: PTH105 - atomic, and says so
        return Upload(Path(name or "file").name, content_type, path, size, digest.hexdigest())

    def register(self, bot_id: int, kind: str, upload: Upload, **body: Any) -> dict[str, Any]:
        """Give a file a file_id of this bot; the Bot API object that names it."""
        unique = base64.urlsafe_b64encode(bytes.fromhex(upload.digest)[:11]).decode().rstrip("=")
        file_id = "AgAC" + secrets.token_urlsafe(45)
        known = {"file_id": file_id, "file_unique_id": unique, "file_size": upload.size, **body}
        self._db.run(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
            file_id,
            bot_id,
            kind,
            str(upload.path),
            upload.name,
            upload.size,
            orjson.dumps(known).decode(),
        )
        return known

    def find(self, bot_id: int, file_id: str) -> tuple[str, Upload, dict[str, Any]]:
        """(kind, file, object) of a file_id; ids of another bot are unknown, as on Telegram."""
        row = self._db.one(
            "SELECT kind, path, name, size, body FROM files WHERE file_id = ? AND bot_id = ?", file_id, bot_id
        )
        if row is None:
            raise BadRequest("wrong file identifier/HTTP URL specified")
        kind, path, name, size, body = row
        return kind, Upload(name, "", Path(path), size, Path(path).name), orjson.loads(body)
