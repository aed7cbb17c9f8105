"""What is kept: one SQLite file, rows stored one by one."""
