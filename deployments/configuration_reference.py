"""Writes docs/configuration.md from the settings' own descriptions: `python -m deployments.configuration_reference`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from flows.settings import Settings

TARGET = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
HEAD = """# Configuration

Generated from `flows/settings.py` by `python -m deployments.configuration_reference`; do not edit it here.

Every setting is an environment variable, or a line of `.env` in the working directory. ClearML's own `CLEARML_*` and
Prefect's own `PREFECT_*` variables mean what they always mean.

| variable | default | meaning |
|---|---|---|
"""


def reference() -> str:
    """Write the page."""
    rows = []
    for name, field in Settings.model_fields.items():
        hidden = field.default is None or field.default is PydanticUndefined or isinstance(field.default, SecretStr)
        shown = "" if hidden or field.default == "" else f"`{field.default}`"
        rows.append(f"| `MOODFLOW_{name.upper()}` | {shown} | {field.description} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference())
