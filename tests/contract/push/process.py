"""A push as a process, to be killed."""

from __future__ import annotations

import json
import sys

from clearml_utils.endpoint import Address, Endpoint
from clearml_utils.push import Push


def main() -> None:
    here, there = (Endpoint(Address(**json.loads(text))) for text in sys.argv[1:3])
    print("pushing", flush=True)
    moved = Push(here, there, tell=lambda *at: print(*at, flush=True)).run()
    print(json.dumps({"copied": moved.copied, "present": moved.present, "events": moved.events, "files": moved.files}))


if __name__ == "__main__":
    main()
