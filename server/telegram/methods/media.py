"""Files: photos, documents, sound, film, stickers, albums; and getting them back."""

from __future__ import annotations

import secrets
import time
import warnings
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from server.telegram import markup
from server.telegram.errors import BadRequest, TooLarge
from server.telegram.hub import Call
from server.telegram.methods.messages import caption_of, reply_to, send
from server.telegram.methods.registry import method
from server.telegram.params import Params, Upload
from server.telegram.storage.messages import Message

PHOTO_BYTES = 10 * 2**20
UPLOAD_BYTES = 50 * 2**20
DOWNLOAD_BYTES = 20 * 2**20
SIDES = 10_000
THUMBNAIL = 320


@dataclass(frozen=True)
class Kind:
    """One kind of media: its field, what Telegram says where it is missing, and fields its object always has."""

    field: str
    missing: str
    fixed: tuple[tuple[str, Any], ...] = ()
    optional: tuple[str, ...] = ()
    folder: str = "documents"


KINDS = {
    kind.field: kind
    for kind in (
        Kind("photo", "photo", folder="photos"),
        Kind("document", "document"),
        Kind("voice", "voice", (("duration", 0),), folder="voice"),
        Kind("audio", "audio", (("duration", 0),), ("performer", "title"), "music"),
        Kind("video", "video", (("width", 0), ("height", 0), ("duration", 0)), folder="videos"),
        Kind("animation", "animation", (("width", 0), ("height", 0), ("duration", 0)), folder="animations"),
        Kind("video_note", "video note", (("length", 240), ("duration", 0)), folder="video_notes"),
        Kind(
            "sticker",
            "sticker",
            (("type", "regular"), ("width", 512), ("height", 512), ("is_animated", False), ("is_video", False)),
            ("emoji",),
            "stickers",
        ),
    )
}
_NAMED = ("document", "audio", "video", "animation")


def media_of(call: Call, kind: Kind, given: Any, params: dict[str, Any]) -> dict[str, Any]:
    """The content of a message with one file: an upload, or a file_id from before."""
    source = _source(call, kind, given)
    if isinstance(source, str):
        known_kind, upload, body = call.hub.files.find(call.bot.bot_id, source)
        if known_kind != kind.field and not (kind.field == "document" or known_kind == "document"):
            raise BadRequest(f"can't use file of type {known_kind.title()} as {kind.field.title()}")
        return _content(call, kind, upload, params) if kind.field == "photo" else {kind.field: body}
    return _content(call, kind, source, params)


def _source(call: Call, kind: Kind, given: Any) -> Upload | str:
    uploads = call.params.uploads
    if given is None and kind.field in uploads:
        return uploads[kind.field]
    if not isinstance(given, str) or not given:
        raise BadRequest(f"There is no {kind.missing} in the request")
    if given.startswith("attach://"):
        if given[9:] not in uploads:
            raise BadRequest(f"There is no {kind.missing} in the request")
        return uploads[given[9:]]
    if "://" in given:
        raise BadRequest("wrong file identifier/HTTP URL specified: this local server fetches nothing; upload the file")
    return given


def _content(call: Call, kind: Kind, upload: Upload, params: dict[str, Any]) -> dict[str, Any]:
    if upload.size == 0:
        raise BadRequest("file must be non-empty")
    if upload.size > (PHOTO_BYTES if kind.field == "photo" else UPLOAD_BYTES):
        if kind.field == "photo":
            raise BadRequest(
                f"file of size {upload.size} bytes is too big for a photo; the maximum size is {PHOTO_BYTES} bytes"
            )
        raise TooLarge
    if kind.field == "photo":
        return {"photo": _photo(call, upload)}
    body = {name: _number(params.get(name), value) for name, value in kind.fixed}
    body |= {name: str(params[name]) for name in kind.optional if params.get(name)}
    if kind.field in _NAMED:
        body["file_name"] = upload.name
    if upload.content_type and kind.field not in ("video_note", "sticker"):
        body["mime_type"] = upload.content_type
    content = {kind.field: call.hub.files.register(call.bot.bot_id, kind.field, upload, **body)}
    if kind.field == "animation":
        content["document"] = {
            k: v for k, v in content["animation"].items() if k not in ("width", "height", "duration")
        }
    return content


def _number(value: Any, default: Any) -> Any:
    if isinstance(default, int) and not isinstance(default, bool) and value not in (None, ""):
        return Params({"value": value}).integer("value", default)
    return default


def _photo(call: Call, upload: Upload) -> list[dict[str, Any]]:
    """The sizes of a photo: the bytes are kept as they came, with a smaller size said to be there when it is large."""
    width, height = measure(call, upload)
    sizes = []
    if max(width, height) > THUMBNAIL:
        scale = THUMBNAIL / max(width, height)
        small = _shrunk(call, upload, max(1, round(width * scale)), max(1, round(height * scale)))
        sizes.append(small)
    sizes.append(call.hub.files.register(call.bot.bot_id, "photo", upload, width=width, height=height))
    return sizes


def measure(call: Call, upload: Upload) -> tuple[int, int]:
    """Width and height in pixels, `BadRequest` for what is no picture or none Telegram takes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(call.hub.files.folder / upload.path) as picture:
                width, height = picture.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BadRequest("IMAGE_PROCESS_FAILED") from None
    if width + height > SIDES or max(width, height) > 20 * min(width, height):
        raise BadRequest("PHOTO_INVALID_DIMENSIONS")
    return width, height


def _shrunk(call: Call, upload: Upload, width: int, height: int) -> dict[str, Any]:
    """A small size under its own id; made when somebody first asks for it."""
    small = Upload(
        upload.name, "image/jpeg", upload.path.with_name(f"{upload.digest}.{THUMBNAIL}"), 0, f"{upload.digest[2:]}32"
    )
    body = call.hub.files.register(call.bot.bot_id, "photo", small, width=width, height=height)
    del body["file_size"]
    return body


def send_media(call: Call, kind: Kind) -> Message:
    """Send one file."""
    call.chat()
    content = media_of(call, kind, call.params.values.get(kind.field), call.params.values)
    if kind.field not in ("sticker", "video_note"):
        content |= caption_of(call)
    if call.params.flag("has_spoiler"):
        content["has_media_spoiler"] = True
    return send(call, content)


@method("sendPhoto", note="kept as uploaded, not compressed to JPEG; no URLs")
def send_photo(call: Call) -> Message:
    """A photo."""
    return send_media(call, KINDS["photo"])


@method("sendDocument", note="no URLs")
def send_document(call: Call) -> Message:
    """Any file."""
    return send_media(call, KINDS["document"])


@method("sendVoice", note="no URLs; any audio counts as voice")
def send_voice(call: Call) -> Message:
    """A voice message."""
    return send_media(call, KINDS["voice"])


@method("sendAudio", note="no URLs; tags are not read")
def send_audio(call: Call) -> Message:
    """Music."""
    return send_media(call, KINDS["audio"])


@method("sendVideo", note="no URLs; width, height and duration as given")
def send_video(call: Call) -> Message:
    """A film."""
    return send_media(call, KINDS["video"])


@method("sendAnimation", note="no URLs; width, height and duration as given")
def send_animation(call: Call) -> Message:
    """A film without sound."""
    return send_media(call, KINDS["animation"])


@method("sendVideoNote", note="length and duration as given")
def send_video_note(call: Call) -> Message:
    """A round film."""
    return send_media(call, KINDS["video_note"])


@method("sendSticker", note="uploads and file_ids; no sticker sets")
def send_sticker(call: Call) -> Message:
    """A sticker."""
    return send_media(call, KINDS["sticker"])


@method("sendMediaGroup")
def send_media_group(call: Call) -> list[Message]:
    """An album of 2 to 10."""
    chat = call.chat()
    items = call.params.array("media", "InputMedia")
    if not 2 <= len(items) <= 10:
        raise BadRequest(
            "too many messages to send as an album" if len(items) > 10 else "strictly at least 2 media needed"
        )
    if not all(isinstance(item, dict) for item in items):
        raise BadRequest("can't parse InputMedia: expected an Object")
    kinds = {str(item.get("type")) for item in items}
    if not kinds <= {"photo", "video", "document", "audio"} or (len(kinds) > 1 and kinds != {"photo", "video"}):
        raise BadRequest("can't use the media of the specified type in the album")
    album = {"media_group_id": str(secrets.randbits(53))}
    replied = reply_to(call, chat)
    for _ in items:
        call.hub.limits.check(call.bot.bot_id, chat["id"], time.monotonic())
    sent = []
    for item in items:
        content = media_of(call, KINDS[item["type"]], item.get("media"), item) | caption_of(call, item)
        message = call.hub.compose(call.bot.bot_id, call.bot.user(), chat) | album | replied | content
        sent.append(call.hub.post(call.bot.bot_id, message, markup.NONE))
    return sent


@method("getFile")
def get_file(call: Call) -> dict[str, Any]:
    """Where a file can be downloaded, up to 20 MB."""
    file_id = call.params.text("file_id")
    if not file_id:
        raise BadRequest("file_id not specified")
    try:
        kind, upload, body = call.hub.files.find(call.bot.bot_id, file_id)
    except BadRequest:
        raise BadRequest("wrong file_id or the file is temporarily unavailable") from None
    if upload.size > DOWNLOAD_BYTES:
        raise BadRequest("file is too big")
    suffix = "." + upload.name.rsplit(".", 1)[1] if "." in upload.name else ""
    known = {key: body[key] for key in ("file_id", "file_unique_id", "file_size") if key in body}
    return known | {"file_path": f"{KINDS[kind].folder}/{file_id}{suffix}"}


@method("uploadStickerFile", note="kept, but there are no sticker sets")
def upload_sticker_file(call: Call) -> dict[str, Any]:
    """A file for a sticker set."""
    upload = call.params.uploads.get("sticker")
    if upload is None:
        raise BadRequest("There is no sticker in the request")
    return call.hub.files.register(call.bot.bot_id, "document", upload)
