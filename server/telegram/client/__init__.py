"""The people's side: what a person does in the app, as JSON over HTTP, for the page, replays and tests."""
