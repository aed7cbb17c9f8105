"""The README's example is a program that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.bridge.reading import Reader, properties

README = Path(__file__).parents[3] / "clearml_utils" / "README.md"


@pytest.mark.xdist_group("prefect")
def test_the_example_runs(tracked: Reader, tmp_path: Path):
    """The ten lines run as they stand, and leave a pipeline with one step in ClearML."""
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    lines = [ln for ln in code.group(1).splitlines() if ln.strip()]
    assert len(lines) <= 10
    path = tmp_path / "hello.py"
    path.write_text(code.group(1))
    exec(compile(code.group(1), str(path), "exec"), {"__name__": "hello"})  # noqa: S102 - the example is ours
    controllers = [
        t for t in tracked.tasks(system_tags=["__$all", "prefect"], type=["controller"])
        if properties(t).get("prefect_flow") == "hello"
    ]  # fmt: skip
    (child,) = tracked.tasks(parent=controllers[-1]["id"])
    assert tracked.values(child) == {"accuracy": 0.9}
    assert tracked.scalars(child)["loss"]["train"]["y"] == [pytest.approx(0.1)]
