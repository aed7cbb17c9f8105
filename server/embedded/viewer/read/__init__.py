"""What the pages show, read from the database: one module per kind of page, plain data out."""
