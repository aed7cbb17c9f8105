"""The official ClearML Server by docker compose: secrets, configuration, start, bootstrap, smoke test, backup."""
