"""Names as ClearML, its file server and a file system take them."""

from __future__ import annotations

import hashlib
import re

_NAME_LIMIT = 250


def safe_name(name: str) -> str:
    """`name` as ClearML takes it: at least three characters, at most 250.

    Examples
    --------
    >>> safe_name("a"), len(safe_name("x" * 1000))
    ('a (task)', 250)
    """
    clean = " ".join(name.split()) or "unnamed"
    if len(clean) < 3:
        return f"{clean} (task)"
    return clean if len(clean) <= _NAME_LIMIT else clean[: _NAME_LIMIT - 1] + "…"


def safe_segment(name: str) -> str:
    """`name` as one part of a project's path; `/` would make two.

    Examples
    --------
    >>> safe_segment("a/b")
    'a∕b'
    """
    return safe_name(name.replace("/", "∕"))


def safe_file(name: str) -> str:
    """`name` as one part of a stored file's path: plain letters, at most 80; changed names carry a hash of the whole.

    Examples
    --------
    >>> safe_file("model.v1"), safe_file("a/b")
    ('model.v1', 'a_b-c14cddc0')
    """
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).strip(".")[:80]
    if plain == name:
        return plain
    return f"{plain[:70]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
