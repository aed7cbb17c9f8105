"""What the server remembers, in one SQLite file: one module per kind of thing, plain SQL."""
