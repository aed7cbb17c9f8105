"""A process of its own for code that wants ClearML's automatic logging.

ClearML's framework hooks (scikit-learn and joblib models, matplotlib figures, argparse, console, resources) come with
`Task.init`, which is one per process and patches what it finds. So it gets a process: the function runs there, under
the ClearML
task that already is the record of the current run, and its result comes back.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle  # type: ignore[import-untyped]  # it ships no types

from clearml_utils.errors import TrackingError
from clearml_utils.lifecycle import current_record

T = TypeVar("T")
_PATIENCE_SECONDS = 30.0
_HOOKED = ("joblib", "sklearn", "matplotlib.pyplot")
_START = (
    "import sys, pathlib; from clearml_utils.own_process import child; child(pathlib.Path(sys.argv[1]), *sys.argv[2:])"
)


def run_in_own_process(
    function: Callable[..., T],
    /,
    *args: Any,
    argv: list[str] | None = None,
    timeout: float | None = None,
    **kwargs: Any,
) -> T:
    """Call `function(*args, **kwargs)` in a new process under ClearML's own automatic logging.

    Parameters
    ----------
    function
        Anything cloudpickle takes.
    argv
        `sys.argv[1:]` there, for code that parses arguments: the parsed ones become parameters.
    timeout
        Seconds after which the process is killed.

    Returns
    -------
    Any
        What the function returned.

    Raises
    ------
    Exception
        What the function raised.
    TrackingError
        The process ended without a result.

    Notes
    -----
    Outside a tracked run, or where ClearML is not to be reached within half a minute, the function runs there without
    logging.
    """
    record = current_record()
    task = record.wait_for_id(_PATIENCE_SECONDS) if record else None
    with tempfile.TemporaryDirectory(prefix="clearml_utils-") as name:
        folder = Path(name)
        (folder / "call").write_bytes(cloudpickle.dumps((function, args, kwargs)))
        command = [sys.executable, "-c", _START, str(folder), task or "", *(argv or [])]
        path = os.pathsep.join(p or str(Path.cwd()) for p in sys.path)
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        result = folder / "result"
        if not result.is_file():
            raise TrackingError(
                f"the process ended with {done.returncode} and no result", where=task or "", hint=done.stderr[-2_000:]
            )
        raised, value = pickle.loads(result.read_bytes())  # noqa: S301 - our own child wrote it, in a directory of ours
    if raised:
        raise value
    return value  # type: ignore[no-any-return]


def child(folder: Path, task_id: str, *argv: str) -> None:
    """Be the process: set up the automatic logging, call the function, write its outcome, end."""
    report_in_process(folder)
    sys.argv = ["task", *argv]
    logged: Any = None
    if task_id:
        _load_hooked()
        from clearml import Task  # noqa: PLC0415 - after its configuration is in place

        logged = Task.init(
            continue_last_task=task_id,
            auto_connect_frameworks=True,
            auto_connect_arg_parser=True,
            output_uri=True,
            # the SDK waits for half a minute before it draws the machine's curves; many tasks are over by then
            auto_resource_monitoring={"first_report_sec": 2.0, "wait_for_first_iteration_to_start_sec": 0.0},
        )
    function, args, kwargs = pickle.loads((folder / "call").read_bytes())  # noqa: S301 - our own parent wrote it
    try:
        outcome = (False, function(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - it is raised in the parent
        outcome = (True, error)
    (folder / "result.new").write_bytes(cloudpickle.dumps(outcome))
    (folder / "result.new").rename(folder / "result")
    if logged is not None:
        logged.flush(wait_for_uploads=True)
        # the console goes out in the background, and only this call waits for it
        logged.get_logger()._close_stdout_handler(wait=True)  # noqa: SLF001 - nothing public waits
    os._exit(0)  # without the SDK's exit handler: how the task ends is the parent's to say


def report_in_process(folder: Path) -> None:
    """Have the SDK report from threads, here and in processes started from here; to be called before it is imported.

    By default it forks a reporter beside each process; both then share a kept-alive connection, and now and then one
    waits for ever for an answer that the other has read. A `clearml.conf` (written to `folder`, on top of the one there
    is) is the one way to tell it.
    """
    config = folder / "clearml.conf"
    base = Path(os.environ.get("CLEARML_CONFIG_FILE", "~/clearml.conf")).expanduser()
    own = base.read_text() if base.is_file() and base != config else ""
    config.touch(mode=0o600)  # it may hold credentials
    config.write_text(own + "\nsdk.development.report_use_subprocess: false\n")
    os.environ["CLEARML_CONFIG_FILE"] = str(config)


def _load_hooked() -> None:
    """Load what the SDK hooks before it looks: it finds what is loaded more surely than what is loaded later."""
    for name in _HOOKED:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    joblib: Any = sys.modules.get("joblib")
    if joblib is not None and not hasattr(joblib.numpy_pickle, "_read_fileobject"):
        # joblib 1.5 renamed it; the SDK's hooks stop there, silently, and with them those of models that are written
        joblib.numpy_pickle._read_fileobject = joblib.numpy_pickle._validate_fileobject_and_memmap  # noqa: SLF001 - see above
