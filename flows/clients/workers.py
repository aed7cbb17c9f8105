"""Dask workers for analysis and training; without an address everything runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flows.analyse.spread import Spread, in_turn


class NoWorkers(RuntimeError):
    """The Dask scheduler of the settings cannot be used: what is wrong, and what to do."""


@contextmanager
def workers(address: str, timeout: float = 30) -> Iterator[Spread]:
    """Spread work over the workers of a Dask scheduler.

    Parameters
    ----------
    address
        Of the scheduler, e.g. `tcp://127.0.0.1:8786`; empty: work is done here, one part after another.
    timeout
        Seconds to wait for the scheduler.

    Raises
    ------
    NoWorkers
        Dask is not installed, or the scheduler does not answer.
    """
    if not address:
        yield in_turn
        return
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoWorkers("MOODFLOW_DASK is set and Dask is not installed: pip install 'moodflow[dask]'") from error
    connect: Any = distributed.Client
    try:
        client: Any = connect(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise NoWorkers(f"no Dask scheduler answers at {address}: start it, or unset MOODFLOW_DASK") from error
    with client:

        def spread(work: Callable[..., Any], parts: Sequence[Any], shared: Any) -> list[Any]:
            there = client.scatter(shared, broadcast=True, hash=False)
            done = client.map(work, list(parts), [there] * len(parts), pure=False)
            return list(client.gather(done))

        yield spread
