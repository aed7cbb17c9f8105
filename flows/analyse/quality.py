"""The data-quality table: every rule that touched data, with how often, what was done, and one example."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

COLUMNS = ("rule", "rows", "action", "example")


@dataclass
class Quality:
    """Collects what the rules did.

    An example names a row and a column, never the answer in it: the table goes to ClearML.
    """

    rows: list[tuple[str, int, str, str]] = field(default_factory=list)

    def note(self, rule: str, count: int, action: str, example: str = "") -> None:
        """Add a rule that touched `count` rows; nothing is added for none."""
        if count:
            self.rows.append((rule, int(count), action, example))

    def mask(self, rule: str, touched: np.ndarray, lines: np.ndarray, action: str, column: str = "") -> None:
        """Add a rule from the mask of rows it touched; `lines` are the rows' numbers in their source."""
        count = int(np.count_nonzero(touched))
        if count:
            first = int(lines[int(np.argmax(touched))])
            self.note(rule, count, action, f"row {first}" + (f", column {column}" if column else ""))

    def table(self) -> pd.DataFrame:
        """One row per rule: `rule`, `rows` touched, `action`, `example`."""
        return pd.DataFrame(self.rows, columns=list(COLUMNS)).astype({"rows": "int64"})
