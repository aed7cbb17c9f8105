"""Points of scalar series: packed when they arrive, joined into arrays when they are read."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINT = struct.Struct("<qqd")
MERGE = 256  # points a block may grow to by small appends; a larger block is written once and left alone
SINGLE = -(2**31)  # the iteration of values reported without one: "single values"
NO_ITER = -(2**62)  # events that carried no iteration at all


@dataclass(frozen=True)
class Points:
    """Points of one series by rising iteration, one per iteration.

    Attributes
    ----------
    iters, timestamps
        int64, shape (n,); timestamps are milliseconds since 1970.
    values
        float64, shape (n,).
    """

    iters: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


def pack(points: Iterable[tuple[int, int, float]]) -> bytes:
    """Pack (iteration, milliseconds, value) triples."""
    one = POINT.pack
    return b"".join([one(*point) for point in points])


def append(db: sqlite3.Connection, series: int, points: Sequence[tuple[int, int, float]]) -> None:
    """Add points to a series: into its last block while that is small, else as a new one."""
    data = pack(points)
    count = len(points)
    if count < MERGE:
        last = db.execute(
            "SELECT id, n, data FROM scalar_block WHERE series = ? ORDER BY id DESC LIMIT 1", (series,)
        ).fetchone()
        if last is not None and last[1] + count <= MERGE:
            db.execute(
                "UPDATE scalar_block SET n = ?, data = ? WHERE id = ?", (last[1] + count, last[2] + data, last[0])
            )
            return
    db.execute("INSERT INTO scalar_block (series, n, data) VALUES (?, ?, ?)", (series, count, data))


def read(db: sqlite3.Connection, series: int) -> Points:
    """Read a series whole."""
    rows = db.execute("SELECT data FROM scalar_block WHERE series = ? ORDER BY id", (series,))
    return unpack(b"".join([row[0] for row in rows]))


def unpack(data: bytes) -> Points:
    """Turn packed points into arrays, the last of each iteration kept."""
    import numpy as np  # noqa: PLC0415 - 25 MB that a server which only records never needs

    raw: Any = np.frombuffer(data, dtype=[("iter", "<i8"), ("timestamp", "<i8"), ("value", "<f8")])
    iters = raw["iter"]
    if len(raw) > 1 and not bool(np.all(iters[1:] > iters[:-1])):
        order = np.argsort(iters, kind="stable")
        ordered = iters[order]
        raw = raw[order[np.append(ordered[1:] != ordered[:-1], True)]]
    return Points(raw["iter"], raw["timestamp"], raw["value"])


def plotted(points: Points) -> Points:
    """Leave out single values and points without an iteration, which no curve shows."""
    if not len(points.iters) or points.iters[0] > SINGLE:
        return points
    first = int(points.iters.searchsorted(SINGLE, side="right"))
    return Points(points.iters[first:], points.timestamps[first:], points.values[first:])


def sampled(
    x: NDArray[np.int64], y: NDArray[np.float64], samples: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Thin a curve to at most `samples` points: equal steps of x, each with the mean of its values.

    A curve that is short enough, and any curve for 0 samples, stays as it is.
    """
    import numpy as np  # noqa: PLC0415 - see unpack

    if samples <= 0 or len(x) <= samples:
        return x, y
    span = int(x[-1]) - int(x[0]) + 1
    step = min(max(1, -(-span // samples)), 2**62)
    bucket = (x - x[0]) // step
    starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
    counts = np.diff(np.append(starts, len(x)))
    return x[0] + bucket[starts] * step, np.add.reduceat(y, starts) / counts
