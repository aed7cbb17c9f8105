"""`moodflow models`: versions of the forecast model, and their comparison, which needs ClearML beside the forecasts."""

from flows.commands.compare import compare_versions
from flows.forecast.commands import models

if "compare" not in {command.name for command in models.registered_commands}:
    models.command("compare")(compare_versions)

__all__ = ["models"]
