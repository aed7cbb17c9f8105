"""The addresses that the ClearML SDK itself prints, opened in the viewer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.contract.viewer.filled import Filled

pytestmark = pytest.mark.xdist_group("viewer")
SCRIPT = """
from pathlib import Path
from clearml import Dataset, OutputModel, PipelineController, Task

task = Task.init("Printed", "experiment", output_uri=True)
Path("weights").write_text("w")
OutputModel(task, name="printed model").update_weights("weights", auto_delete_file=False)
print("log page", task.get_output_log_web_page())
task.close()
PipelineController("printed pipeline", "Printed", "1.0")
Task.current_task().close()
Dataset.create("printed data", "Printed", use_current_task=False).finalize()
"""


def test_what_the_sdk_prints_opens_the_thing_it_names(filled: Filled, tmp_path: Path):
    """Results page, log page, pipeline page and dataset page: each address the SDK writes to the console is a page of it."""
    config = tmp_path / "clearml.conf"
    config.write_text("sdk.development.report_use_subprocess: false\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {n: v for n, v in os.environ.items() if not n.startswith("CLEARML")} | filled.environment
    env |= {"CLEARML_CONFIG_FILE": str(config), "CLEARML_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = re.findall(rf"({re.escape(filled.web)}/\S+)", done.stdout + done.stderr)
    kinds = {"/output/log": "experiment", "/pipelines/": "printed pipeline", "/datasets/": "printed data"}
    opened = {part: [url for url in printed if part in url] for part in kinds}
    assert all(opened.values()), (json.dumps(opened), done.stdout[-3000:])
    for part, name in kinds.items():
        for url in opened[part]:
            page = httpx.get(url, follow_redirects=True)
            assert (url, page.status_code, "Not found" in page.text) == (url, 200, False)
        assert any(name in httpx.get(url, follow_redirects=True).text for url in opened[part]), part
