"""Small sizes of photos, made when first asked for."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def ready(path: Path) -> Path:
    """The file at `path`; where it is a small size (``NAME.SIDE``) that was never made, make it."""
    if path.exists() or not path.suffix:
        return path
    side = int(path.suffix[1:])
    with Image.open(path.with_suffix("")) as picture:
        small = picture.convert("RGB")
        small.thumbnail((side, side))
        partial = path.with_suffix(path.suffix + ".part")
        small.save(partial, "JPEG", quality=85)
    partial.replace(path)
    return path


def picture_type(path: Path) -> str:
    """The media type of a picture."""
    with Image.open(path) as picture:
        return Image.MIME.get(picture.format or "", "image/jpeg")
