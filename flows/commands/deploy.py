"""`moodflow deploy`: the work pool, every flow of `prefect.yaml`, and the automations, on the Prefect that is named."""

from __future__ import annotations

import os

from flows import settings as product
from flows.commands import prefect_api, stack
from flows.commands.errors import SettingError


def deploy() -> None:
    """Make or renew the work pool, the deployments and the automations; run twice it changes nothing."""
    if not os.environ.get("PREFECT_API_URL"):
        raise SettingError("PREFECT_API_URL is not set and no local stack runs: name the Prefect server to deploy to")
    home = product.load().home
    (home / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
    prefect_api.make_pool(os.environ, stack.WORK_POOL)
    prefect_api.deploy_all(os.environ, home / "logs" / "deploy.log")
    print(f"deployed to {os.environ['PREFECT_API_URL']}")
