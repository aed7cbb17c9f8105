"""Formats of cells as the API normalises them: colours are 32-bit floats without zeros, and come in two spellings."""

from __future__ import annotations

import struct
from typing import Any

from server.sheets.text import fields

STYLES = {
    "backgroundColor": "backgroundColorStyle",
    "foregroundColor": "foregroundColorStyle",
    "tabColor": "tabColorStyle",
    "color": "colorStyle",
}


def single(value: float) -> float | int:
    """The shortest decimal that is the same 32-bit float."""
    if value == int(value):
        return int(value)
    packed = struct.unpack("f", struct.pack("f", value))[0]
    for digits in range(6, 10):
        text = f"{packed:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", packed):
            return float(text)
    return float(packed)


def color(given: dict[str, Any]) -> dict[str, Any]:
    """A Color in the 256 steps it is kept in, without its zeros."""
    steps = {name: int(value * 255 + 1e-6) / 255 for name, value in given.items() if value and 0 <= value <= 1}
    return {name: single(value) for name, value in (given | steps).items() if value}


def _is_color(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() <= {"red", "green", "blue", "alpha"}


def rounded_colors(given: Any) -> Any:
    """The same message with every colour as Google keeps it; only what was given."""
    if isinstance(given, list):
        return [rounded_colors(item) for item in given]
    if not isinstance(given, dict):
        return given
    result = {}
    for name, value in given.items():
        colorful = name in STYLES or name == "rgbColor"
        result[name] = color(value) if colorful and _is_color(value) else rounded_colors(value)
    return result


def complete(style: Any) -> Any:
    """Add to each colour its other spelling."""
    if isinstance(style, list):
        return [complete(item) for item in style]
    if not isinstance(style, dict):
        return style
    result = {name: complete(value) for name, value in style.items()}
    for old, new in STYLES.items():
        if old in result and new not in result and _is_color(result[old]):
            result[new] = {"rgbColor": result[old]}
        elif new in result and old not in result and "rgbColor" in result[new]:
            result[old] = result[new]["rgbColor"]
    return result


def apply_format(old: dict[str, Any] | None, mask: fields.Mask, given: dict[str, Any]) -> dict[str, Any] | None:
    """The cell's format after the masked fields were written."""
    import copy  # noqa: PLC0415 - used here alone

    result = copy.deepcopy(old or {})
    source = rounded_colors(given)
    fields.update(result, _with_styles(mask, source), complete(source))
    if "numberFormat" in result and not result["numberFormat"].get("type"):
        del result["numberFormat"]
    return result or None


def _with_styles(mask: fields.Mask, source: dict[str, Any]) -> fields.Mask:
    """A mask that names one spelling of a colour writes both."""
    if not mask or "*" in mask:
        return mask
    wide = {}
    for name, deeper in mask.items():
        below = source.get(name)
        wide[name] = _with_styles(deeper, below) if isinstance(below, dict) else deeper
        for old, new in STYLES.items():
            if name == old:
                wide.setdefault(new, {})
            elif name == new:
                wide.setdefault(old, {})
    return wide
