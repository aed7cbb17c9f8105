"""organization.*: across projects."""

from __future__ import annotations

from typing import Any

from server.embedded.auth import COMPANY_NAME, WEB_USER
from server.embedded.endpoints import Call, endpoint


@endpoint("organization.get_user_companies")
def get_user_companies(call: Call) -> dict[str, Any]:
    """Tell the caller's one company and who is in it."""
    rows = call.db.execute("SELECT id, name, avatar FROM user WHERE id <> ? ORDER BY seq", (WEB_USER,)).fetchall()
    owners = [dict(row) for row in rows]
    return {"companies": [{"id": call.company, "name": COMPANY_NAME, "allocated": 1, "owners": owners}]}
