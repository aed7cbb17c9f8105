"""What `get_all` means: filters to SQL, order, pages and scrolls, and the fields a client asked for."""

from server.embedded.query.find import Page, find, ids_matching
from server.embedded.query.project import project_fields

__all__ = ["Page", "find", "ids_matching", "project_fields"]
