"""The methods of the Bot API this server has, by name in lower case."""

from __future__ import annotations

from importlib import import_module

from server.telegram.methods.registry import METHODS, Method

__all__ = ["METHODS", "Method"]

MODULES = ("identity", "receiving", "messages", "media", "editing", "callbacks", "polls", "forwarding", "chats")
for _module in MODULES:  # importing a module registers its methods
    import_module(f"{__name__}.{_module}")
