"""One folder per API service; importing a folder's `routes` registers its endpoints."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import the routes of every service."""
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            importlib.import_module(f"{__name__}.{module.name}.routes")
