"""From a Python value to something ClearML can show: by type, without importing what the user has not imported."""

from __future__ import annotations

import hashlib
import io
import json
import math
import numbers
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearml_utils.options import Options
    from clearml_utils.record import Record

_PREVIEW = 2_000


@dataclass
class Stored:
    """Something that becomes a file.

    Attributes
    ----------
    key
        Name of the artifact or model.
    type, content_type, suffix
        As the SDK's `task.artifacts[key].get()` expects them.
    write
        Writes the file; None where the value is only described.
    preview, display
        Shown in the web application.
    data
        What `write` would write, where it is at hand.
    now
        Whether it must be written at once: a file is the user's, and may be gone a moment later.
    """

    key: str
    type: str
    content_type: str
    suffix: str
    write: Callable[[Path], None] | None
    preview: str = ""
    display: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    framework: str = ""
    data: bytes | None = None
    now: bool = False


def kind_of(value: Any) -> str:  # noqa: PLR0911 - a table of kinds reads best as one
    """Which of the kinds this module knows `value` is, told by its class's module and name."""
    if value is None:
        return "none"
    if isinstance(value, (bool, str)):
        return "bool" if isinstance(value, bool) else "text"
    if isinstance(value, numbers.Number) and not isinstance(value, complex):
        return "number"
    for base in type(value).__mro__:
        top, name = base.__module__.split(".", 1)[0], base.__name__
        found = _KINDS.get((top, name))
        if found:
            return found
    if hasattr(value, "get_params") and type(value).__module__.split(".", 1)[0] == "sklearn":
        return "model"
    if isinstance(value, Mapping):
        return "numbers" if value and all(_is_number(v) for v in value.values()) else "mapping"
    return "other"


_KINDS = {
    ("pandas", "DataFrame"): "frame",
    ("pandas", "Series"): "series",
    ("numpy", "ndarray"): "array",
    ("matplotlib", "Figure"): "matplotlib",
    ("plotly", "BaseFigure"): "plotly",
    ("sklearn", "BaseEstimator"): "model",
    ("statsmodels", "ResultsWrapper"): "model",
    ("statsmodels", "Results"): "model",
    ("pathlib", "Path"): "file",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def record_result(record: Record, name: str, value: Any) -> None:
    """Tell `record` what a run returned, under its policy."""
    if value is None or record.policy == "none":
        return
    kind = kind_of(value)
    if kind in {"number", "numbers"}:
        record.values(_numbers(name, value))
    elif record.policy == "summary":
        record.extra.update({f"{name}_{k}": v for k, v in summary(value).items()})
    else:
        record_as: Callable[[Record, str, Any], None] = _FULL.get(kind, _describe)
        record_as(record, name, value)


def _numbers(name: str, value: Any) -> dict[str, float]:
    return {str(k): float(v) for k, v in value.items()} if isinstance(value, Mapping) else {name: float(value)}


def _frame(record: Record, name: str, value: Any) -> None:
    frame = value if kind_of(value) == "frame" else value.to_frame()
    record.table(name, frame)
    record.artifact(name, frame)


def _mapping(record: Record, name: str, value: Any) -> None:
    found = {str(k): float(v) for k, v in value.items() if _is_number(v)}
    if found:
        record.values(found)
    for key, inner in value.items():
        if kind_of(inner) in {"frame", "series", "matplotlib", "plotly", "model"}:
            record_result(record, f"{name}.{key}", inner)
    _describe(record, name, value)


def _text(record: Record, name: str, value: Any) -> None:
    record.text(f"{name}: {value}")


def _describe(record: Record, name: str, value: Any) -> None:
    record.extra.update({f"{name}_{k}": v for k, v in summary(value).items()})


_FULL: dict[str, Callable[[Record, str, Any], None]] = {
    "frame": _frame,
    "series": _frame,
    "array": lambda record, name, value: record.artifact(name, value),
    "matplotlib": lambda record, name, value: record.figure(name, value),
    "plotly": lambda record, name, value: record.figure(name, value),
    "model": lambda record, name, value: record.model(name, value),
    "text": _text,
    "mapping": _mapping,
    "file": lambda record, name, value: (
        record.artifact(name, value) if value.is_file() else _describe(record, name, value)
    ),
}


def summary(value: Any) -> dict[str, str]:
    """Shape, types, counts and hash of `value`; nothing of its content.

    Returns
    -------
    dict
        Texts by name: `type` always; `rows`, `columns`, `dtypes`, `missing`, `shape`, `len`, `sha256` where they
        apply.
    """
    kind = kind_of(value)
    found = {"type": f"{type(value).__module__}.{type(value).__qualname__}"}
    if kind in {"frame", "series"}:
        frame = value if kind == "frame" else value.to_frame()
        found |= {
            "rows": str(len(frame)),
            "columns": str(frame.shape[1]),
            "dtypes": ", ".join(sorted({str(t) for t in frame.dtypes})),
            "missing": str(int(frame.isna().to_numpy().sum())),
            "sha256": frame_hash(frame),
        }
    elif kind == "array":
        found |= {"shape": str(value.shape), "dtype": str(value.dtype)}
    elif kind == "text":
        found |= {"len": str(len(value)), "sha256": hashlib.sha256(value.encode()).hexdigest()}
    elif hasattr(value, "__len__"):
        found["len"] = str(len(value))
    return found


def frame_hash(frame: Any) -> str:
    """Hash of a DataFrame's values, index and column names; empty where pandas cannot hash them."""
    import pandas as pd  # noqa: PLC0415 - the caller has a DataFrame, so it is there

    try:
        rows = pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes()
    except TypeError:
        return ""
    return hashlib.sha256("|".join(map(str, frame.columns)).encode() + rows).hexdigest()


# Plots


def table_plot(table: Any, rows: int, title: str = "") -> str:
    """A plotly table of the first `rows` rows, as JSON text."""
    if kind_of(table) == "series":
        table = table.to_frame()
    if kind_of(table) == "frame":
        head = table.head(rows)
        if not _plain_index(head):
            head = head.reset_index()
        header = [str(c) for c in head.columns]
        cells = (
            [[_cell(v) for v in head[c]] for c in head.columns]
            if head.columns.is_unique
            else [[_cell(v) for v in head.iloc[:, i]] for i in range(head.shape[1])]
        )
    else:
        header = [str(c) for c in table[0]] if table else []
        cells = [[_cell(v) for v in column] for column in zip(*table[1 : rows + 1], strict=False)]
    figure = {
        "data": [{"type": "table", "header": {"values": header}, "cells": {"values": cells}}],
        "layout": {"title": title},  # the web app draws nothing of a page with a plot that has none
    }
    return json.dumps(figure, allow_nan=False)


def _plain_index(frame: Any) -> bool:
    return type(frame.index).__name__ == "RangeIndex"


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (int, float, str)) else str(value)


def plotly_json(figure: Any) -> str:
    """A plotly figure (or a dict in its form) as JSON text."""
    if hasattr(figure, "to_json"):
        return str(figure.to_json())
    if isinstance(figure, Mapping):
        return json.dumps(figure, default=str)
    raise TypeError(f"neither a matplotlib nor a plotly figure: {type(figure).__name__}")


def matplotlib_png(figure: Any) -> bytes:
    """A matplotlib figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return buffer.getvalue()


# Files


def artifact_of(key: str, value: Any, options: Options) -> Stored:
    """How to store `value`: as a file, or, where it is too large or cannot be stored, as a description that says so."""
    kind = kind_of(value)
    made = _ARTIFACTS.get(kind, _pickled)(key, value)
    limit = options.artifact_max_mb * 1e6
    size = size_of(value)
    if size > limit:
        made.write = None
        made.notes.append(
            f"{key}: {size / 1e6:.0f} MB, over the limit of {options.artifact_max_mb:g} MB "
            "(CLEARML_UTILS_ARTIFACT_MAX_MB); described, not stored"
        )
    return made


def size_of(value: Any) -> float:
    """Bytes `value` is likely to need; 0 where that cannot be told cheaply."""
    kind = kind_of(value)
    if kind == "frame":
        return float(value.memory_usage(index=True, deep=False).sum())
    if kind == "array":
        return float(value.nbytes)
    if kind == "file":
        return float(value.stat().st_size)
    if isinstance(value, (str, bytes, bytearray)):
        return float(len(value))
    return 0.0


def _frame_file(key: str, value: Any) -> Stored:
    snapshot = value.copy(deep=True) if size_of(value) < 5e6 else value.copy(deep=False)

    def write(path: Path) -> None:
        snapshot.to_csv(path, compression="gzip")

    return Stored(
        key,
        "pandas",
        "text/csv",
        ".csv.gz",
        write,
        preview=str(value.describe(include="all")) if len(value) and len(value) < 5_000 else f"{value.shape}",
        display=[("shape", str(value.shape))],
    )


def _array_file(key: str, value: Any) -> Stored:
    snapshot = value.copy()

    def write(path: Path) -> None:
        import numpy as np  # noqa: PLC0415 - the caller has an array, so it is there

        with path.open("wb") as stream:
            np.savez_compressed(stream, **{key: snapshot})

    return Stored(key, "numpy", "application/numpy", ".npz", write, display=[("shape", str(value.shape))])


def _json_file(key: str, value: Any) -> Stored:
    try:
        text = json.dumps(value, indent=1, sort_keys=True)
    except (TypeError, ValueError):
        return _pickled(key, value)
    return _bytes(key, "JSON", "application/json", ".json", text.encode(), preview=text[:_PREVIEW])


def _text_file(key: str, value: Any) -> Stored:
    return _bytes(key, "string", "text/plain", ".txt", value.encode(), preview=value[:_PREVIEW])


def _path_file(key: str, value: Any) -> Stored:
    if not value.is_file():
        raise FileNotFoundError(str(value))
    return Stored(
        key,
        "custom",
        "application/octet-stream",
        "".join(value.suffixes[-2:]) or ".bin",
        lambda path: _copy(value, path),
        preview=value.name,
        now=True,
    )


def _png_file(key: str, value: Any) -> Stored:
    return _bytes(key, "image", "image/png", ".png", matplotlib_png(value))


def _pickled(key: str, value: Any) -> Stored:
    preview = f"{type(value).__module__}.{type(value).__qualname__}"
    return _bytes(key, "pickle", "application/pickle", ".pkl", pickle.dumps(value), preview=preview)


def _bytes(key: str, kind: str, content_type: str, suffix: str, data: bytes, preview: str = "") -> Stored:
    return Stored(key, kind, content_type, suffix, lambda path: _write(path, data), preview=preview, data=data)


_ARTIFACTS: dict[str, Callable[[str, Any], Stored]] = {
    "frame": _frame_file,
    "series": lambda key, value: _frame_file(key, value.to_frame()),
    "array": _array_file,
    "mapping": _json_file,
    "numbers": _json_file,
    "text": _text_file,
    "file": _path_file,
    "matplotlib": _png_file,
}


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _copy(source: Path, target: Path) -> None:
    import shutil  # noqa: PLC0415 - rare

    shutil.copyfile(source, target)


def model_of(key: str, model: Any, options: Options) -> Stored:
    """How to store a fitted model: joblib's format where joblib is there, else pickle; a `Path` as it is."""
    if isinstance(model, Path):
        made = _path_file(key, model)
    else:
        data = _dump_model(model)
        made = _bytes(key, "model", "application/octet-stream", _SUFFIX, data)
        if len(data) > options.artifact_max_mb * 1e6:
            made.write = None
            made.notes.append(f"model {key}: {len(data) / 1e6:.0f} MB, over the limit; described, not stored")
    made.framework = _framework(model)
    return made


_SUFFIX = ".pkl"


def _dump_model(model: Any) -> bytes:
    return pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL)


def _framework(model: Any) -> str:
    top = type(model).__module__.split(".", 1)[0]
    return {"sklearn": "ScikitLearn", "statsmodels": "statsmodels", "xgboost": "XGBoost", "lightgbm": "LightGBM"}.get(
        top, "Custom"
    )
