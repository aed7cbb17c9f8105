"""One client process of the server benchmark: reports scalars through the ClearML SDK's own session and request classes.

Started by `tests.benchmarks.server` with CLEARML_* set. Prints `ready`, waits for a line, works, prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time

from clearml.backend_api import Session
from clearml.backend_api.services import events, tasks

METRICS, STEPS = 10, 100  # a batch is a thousand points: ten metrics over a hundred steps


def batch(task: str, number: int) -> events.AddBatchRequest:
    """A batch as the SDK's reporter makes it."""
    return events.AddBatchRequest(
        requests=[
            events.AddRequest(
                events.MetricsScalarEvent(
                    task=task, iter=number * STEPS + step, metric=f"metric {metric}", variant="train",
                    value=step / (metric + 1), timestamp=1_700_000_000_000 + step,
                )
            )
            for step in range(STEPS)
            for metric in range(METRICS)
        ]
    )  # fmt: skip


def main(batches: int, how: str) -> None:
    """Send batches: `client` encodes each as it is sent; `wire` sends what the SDK encoded before the clock started."""
    session = Session()
    task = session.send(tasks.CreateRequest(name="benchmark", type="training")).response.id
    requests = [batch(task, number) for number in range(batches)]
    encoded = ["\n".join(json.dumps(line) for line in request.get_json()) for request in requests]
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.time()
    for request, lines in zip(requests, encoded, strict=True):
        if how == "client":
            answer = session.send(request)
            added = answer.response.added
        else:
            answer = session.send_request(service="events", action="add_batch", method="post", data=lines)
            added = answer.json()["data"]["added"]
        assert added == METRICS * STEPS, answer
    end = time.time()
    raw = session.send_request(
        service="events", action="scalar_metrics_iter_raw", method="post",
        json={"task": task, "metric": {"metric": "metric 0"}, "count_total": True, "batch_size": 1},
    )  # fmt: skip
    assert raw.json()["data"]["total"] == batches * STEPS, raw.text
    print(json.dumps({"start": start, "end": end, "events": batches * METRICS * STEPS}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
