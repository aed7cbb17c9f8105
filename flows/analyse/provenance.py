"""What may leave for ClearML as a data set: data that is public or synthetic, and nothing of this study's people."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from flows.analyse.errors import AnalysisError

OWN_COLUMNS = frozenset({"response_id", "prompt_id"})
"""Columns only answers collected here have."""


class PrivateData(AnalysisError):
    """Answers of people must not become a data set in ClearML."""


@dataclass(frozen=True)
class Provenance:
    """Where data comes from: `public` with its source and licence, or `synthetic` with how it was made."""

    kind: Literal["public", "synthetic"]
    source: str
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse a claim without its evidence."""
        if not self.source.strip():
            raise PrivateData(f"{self.kind} data needs its source: a citation or an address, or what generated it")
        if self.kind == "public" and not self.licence.strip():
            raise PrivateData("public data needs the licence under which it was published")


def refuse_private(
    name: str, header: Collection[str], people: Collection[str], own: Collection[str], *, in_home: bool
) -> None:
    """Let public and synthetic data pass.

    Parameters
    ----------
    name
        Of the file, for the error.
    header, people
        Its columns, and the people in it.
    own
        Pseudonyms of the people enrolled here, past ones included.
    in_home
        Whether the file lies in the state directory.

    Raises
    ------
    PrivateData
        The file is an export of answers collected here, whatever it is called.
    """
    if in_home:
        raise PrivateData(f"{name}: lies in the state directory, where only private data is")
    if marks := OWN_COLUMNS & {h.strip().lower() for h in header}:
        raise PrivateData(f"{name}: column {', '.join(sorted(marks))} shows an export of answers collected here")
    if known := {str(p) for p in people} & set(own):
        raise PrivateData(f"{name}: {len(known)} of its people are enrolled here under the same pseudonyms")
