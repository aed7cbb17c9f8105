"""Only Prefect and ClearML: the package in an environment that has nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contract.bridge.reading import Reader, properties
from tests.contract.bridge.test_readme import README

ROOT = README.parents[1]
FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.campaign]


def _claimed(name: str) -> str:
    """What pyproject.toml asks of a distribution."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return next(line.removeprefix(name) for line in wanted if re.match(rf"{name}\b", line))


def _oldest() -> str:
    found = re.search(r">=([\d.]+)", _claimed("prefect"))
    assert found is not None
    return f"prefect=={found.group(1)}"  # an index reads 3.8 as 3.8.0


def _pip(python: str, *words: str) -> None:
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *words], check=True, timeout=1200
    )


def _needed(*names: str) -> set[str]:
    """Distributions that those need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            asked = map(Requirement, metadata.requires(name) or ())
            waiting += [one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def _link(names: set[str], site: Path) -> None:
    """Put the files of installed distributions, and no others, into a folder of packages."""
    for name in names:
        for file in metadata.files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(Path(str(file.locate())).resolve())


def _environment(folder: Path, which: str) -> str:
    """A Python that has Prefect, ClearML and what they need: in full from the index, else of what is installed here, with
    the oldest Prefect claimed from the index in the place of the one installed.
    """
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    wanted = f"clearml{_claimed('clearml')}"
    if FULL and which == "newest":
        _pip(python, "--upgrade", f"prefect{_claimed('prefect')}", wanted)
    elif FULL:
        pins = (ROOT / "constraints.txt").read_text().splitlines()
        others = folder / "constraints.txt"
        others.write_text("\n".join(line for line in pins if not line.startswith("prefect==")))
        _pip(python, "-c", str(others), _oldest(), wanted)
    else:
        (site,) = (folder / "lib").glob("python*/site-packages")
        old = which == "oldest"
        _link(_needed("prefect", "clearml") - {"prefect" if old else "", "setuptools", "pip"}, site)
        if old:
            _pip(python, "--no-deps", _oldest())
    return python


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_the_example_runs_where_only_prefect_and_clearml_are(tracked: Reader, tmp_path: Path, which: str):
    """The README's example runs, and is recorded, with the oldest and the newest Prefect claimed and nothing else installed."""
    python = _environment(tmp_path / "venv", which)
    said = subprocess.run(
        [python, "-c", "import prefect; print(prefect.__version__)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if which == "oldest":
        assert _oldest() in {f"prefect=={said}", f"prefect=={said.removesuffix('.0')}"}
    else:
        assert FULL or said == metadata.version("prefect")
    for other in ("pandas", "sklearn", "matplotlib", "telegram", "gspread"):
        assert subprocess.run([python, "-c", f"import {other}"], capture_output=True, check=False).returncode, other
    shutil.copytree(ROOT / "clearml_utils", tmp_path / "site" / "clearml_utils")
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "hello.py").write_text(code.group(1))
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PREFECT_HOME": str(tmp_path / "prefect")}
    env.pop("PREFECT_API_URL", None)  # a server of its own: it must be of the same version
    env["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "240"
    done = subprocess.run(
        [python, str(tmp_path / "hello.py")],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    controllers = [
        t for t in tracked.tasks(system_tags=["__$all", "prefect"], type=["controller"])
        if properties(t).get("prefect_flow") == "hello"
    ]  # fmt: skip
    (child,) = tracked.tasks(parent=controllers[-1]["id"])
    assert child["status"] == "completed"
    assert tracked.values(child) == {"accuracy": 0.9}
