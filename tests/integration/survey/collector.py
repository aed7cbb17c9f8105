"""A collector that goes on for ever, to be killed: what `collect` does, without Prefect around it."""

from __future__ import annotations

import sys
import time

from flows import settings as configuration
from flows.clients.google import SheetError
from flows.clock import SharedClock
from flows.collect.flow import Writer, one_writer
from flows.store import Store


def main() -> None:
    """Write what is new, several times a second; after an error begin afresh, as a retried task does."""
    settings = configuration.load()
    print("collecting", flush=True)
    while True:
        try:
            with one_writer(settings.home), Store.open(settings.database) as store:
                Writer(settings, store, SharedClock(settings.home)).everything()
        except SheetError as error:
            print(error, file=sys.stderr)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
