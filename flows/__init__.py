"""Moodflow: people say how they are; each learns something true about it."""
