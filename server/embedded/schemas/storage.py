"""What the endpoints of `storage` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "set_settings": "aws:@aws google:@google azure:@azure",
    "reset_settings": "keys:[<azure|aws|google>]",
}
