"""What can be wrong with data, each with where it is and what to do.

AnalysisError
    StudyError        a file that cannot be read as a study
    SheetError        answers of the Sheet that cannot be read
    TargetError       the target or an item asked for is not there
"""

from __future__ import annotations


class AnalysisError(ValueError):
    """Data cannot be analysed: what is wrong, where, and what to do."""


class StudyError(AnalysisError):
    """A file cannot be read as a study."""


class SheetError(AnalysisError):
    """The answers worksheet cannot be read."""


class TargetError(AnalysisError):
    """The target, item or scale asked for is not in the data."""
