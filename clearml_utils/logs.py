"""Log lines of a run, and of that run only, however many run at once."""

from __future__ import annotations

import logging

_LOGGERS = ("", "prefect.flow_runs", "prefect.task_runs")
_ENGINE = ("prefect/task_engine.py", "prefect/flow_engine.py", "prefect\\task_engine.py", "prefect\\flow_engine.py")
_TAKEN = "_clearml_utils_taken"
_LEVELS = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class RunHandler(logging.Handler):
    """Gives a line to the run Prefect says it belongs to, else to the run whose code wrote it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Put the line into its run's console log."""
        if record.name.startswith("clearml") or record.pathname.endswith(_ENGINE):
            return
        if getattr(record, _TAKEN, False):  # a logger that propagates hands its lines to two of ours
            return
        setattr(record, _TAKEN, True)
        from clearml_utils.lifecycle import CURRENT  # noqa: PLC0415 - the two modules know each other
        from clearml_utils.recorder import recorder  # noqa: PLC0415 - as above

        run = str(getattr(record, "task_run_id", "") or getattr(record, "flow_run_id", "") or CURRENT.get())
        target = recorder().live.get(run)
        if target is None or target.policy == "none":
            return
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[0]:
                kind = record.exc_info[0].__name__
                text += (
                    f"\n{logging.Formatter().formatException(record.exc_info)}"
                    if target.policy == "full"
                    else f" [{kind}]"
                )
            target.text(text, next((name for level, name in _LEVELS if record.levelno >= level), "debug"))
        except Exception:  # noqa: BLE001 - logging's own way: a bad line must not end the program
            self.handleError(record)


class _NotOurs(logging.Filter):
    """Keeps Prefect's two lines about every hook call out of the log where the hook is ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.pathname.endswith(_ENGINE) and "clearml_utils_hook" in str(record.msg))


_HANDLER = RunHandler()
_FILTER = _NotOurs()


def listen() -> None:
    """Attach to the loggers; doing it again changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _HANDLER not in logger.handlers:
            logger.addHandler(_HANDLER)


def quieten() -> None:
    """Silence Prefect about our own hooks."""
    for name in (*_LOGGERS[1:], "prefect.engine"):
        logging.getLogger(name).addFilter(_FILTER)
