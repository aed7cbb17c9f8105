"""ClearML's projects, found or made by name."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

from clearml_utils.connection import Connection
from clearml_utils.errors import Rejected
from clearml_utils.names import safe_segment


class Projects:
    """Project ids by name, made when missing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()

    def id(self, name: str, system_tags: Sequence[str] = ()) -> str:
        """Id of the project `name`; two that make it at once end with the same."""
        with self._lock:
            if name not in self._ids:
                self._ids[name] = self._find(name) or self._create(name, system_tags)
            return self._ids[name]

    def pipeline(self, project: str, flow: str) -> str:
        """Id of the hidden project that makes `flow` a line of the Pipelines page."""
        self.id(f"{project}/.pipelines", ["hidden"])
        return self.id(f"{project}/.pipelines/{safe_segment(flow)}", ["pipeline", "hidden"])

    def _find(self, name: str) -> str | None:
        found = self._connection.call(
            "projects.get_all", name=f"^{re.escape(name)}$", search_hidden=True, only_fields=["id", "name"]
        )["projects"]
        return next((str(p["id"]) for p in found if p["name"] == name), None)

    def _create(self, name: str, system_tags: Sequence[str]) -> str:
        try:
            return str(
                self._connection.call("projects.create", name=name, description="", system_tags=list(system_tags))["id"]
            )
        except Rejected:
            found = self._find(name)
            if found is None:
                raise
            return found
