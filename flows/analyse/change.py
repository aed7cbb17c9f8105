"""Trend and change: told at most once by chance in twenty people over a whole study."""

from __future__ import annotations

CHANGE_ALPHA = 0.04
"""Probability that a stable person is ever told of a change in a study of four weeks."""
