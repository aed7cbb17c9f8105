"""What a person at the command line is told when something is wrong.

CommandError
├── SettingError   a setting is missing or wrong
├── PortError      a port is taken
├── ServiceError   a service did not start or died
└── StateError     the state directory is in use or holds something else
"""

from __future__ import annotations


class CommandError(Exception):
    """What, where, and the next step, in one text; the command exits with `code`."""

    code = 1


class SettingError(CommandError):
    """A setting is missing or wrong: nothing was started."""

    code = 2


class PortError(CommandError):
    """A port is taken: names the port and the option that moves it."""

    code = 2


class ServiceError(CommandError):
    """A service did not become ready, or died: names its log."""

    code = 3


class StateError(CommandError):
    """The state directory is in use by another run, or holds a real study."""

    code = 4
