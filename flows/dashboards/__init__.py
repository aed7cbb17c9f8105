"""ClearML Reports for people who look rather than query: what is written, and the flow that keeps it up to date.

`pages` writes Markdown from numbers (pure); `flow` reads the numbers from ClearML and stores the pages there.
Aggregates only: nothing about a group of fewer than `pages.SMALLEST` people.
"""
