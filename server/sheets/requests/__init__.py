"""The requests of `spreadsheets.batchUpdate`, one function each."""
