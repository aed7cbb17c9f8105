"""login.*: what the web app asks before anybody is known."""

from __future__ import annotations

from typing import Any

from server.embedded.endpoints import Answer, Call, endpoint
from server.embedded.services.auth.routes import ended_cookie, revoke_token


@endpoint("login.supported_modes", version="2.9", auth=False)
def supported_modes(call: Call) -> dict[str, Any]:
    """Tell how one can log in."""
    return {
        "authenticated": bool(call.user),
        "basic": {"enabled": call.state.auth.password_mode, "guest": {"enabled": False}},
        "server_errors": {"es_connection_error": False, "missed_es_upgrade": False},
        "sso": {},
        "sso_providers": [],
    }


@endpoint("login.logout", version="2.13", auth=False, write=True)
def logout(call: Call) -> Answer:
    """End the session, if there is one."""
    revoke_token(call)
    return Answer(cookies=(ended_cookie(),))
