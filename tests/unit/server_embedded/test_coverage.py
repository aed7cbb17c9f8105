"""The list of endpoints is what the server has."""

from __future__ import annotations

from server.embedded import coverage, services
from server.embedded.catalogue import ENDPOINTS
from server.embedded.endpoints import REGISTRY


def test_the_list_of_endpoints_is_fresh() -> None:
    """COVERAGE.md says what is registered, no more and no less."""
    assert coverage.PATH.read_text() == coverage.rendered()


def test_only_endpoints_of_the_api_are_registered() -> None:
    """No endpoint is made up, and all that the SDK, the agent and the web app call are there."""
    services.load()
    assert set(REGISTRY) == set(ENDPOINTS)
    assert len(ENDPOINTS) == 204 + 1  # the schema's, and one that newer web apps ask
