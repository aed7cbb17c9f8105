"""The MLflow side of the server benchmark; runs in MLflow's own environment, not in the project's.

`ingest URL BATCHES client|wire` prints `ready`, waits for a line, logs batches of a thousand through MLflow's client, prints one JSON
line. `page URL EXPERIMENT` times one page of 500 runs. `fill DATABASE COUNT` writes runs into a stopped server's database
with MLflow's own table classes: creating them one by one through the client would take the better part of an hour.
"""

from __future__ import annotations

import json
import os
import sys
import time

METRICS, STEPS, PAGE = 10, 100, 500


def ingest(url: str, batches: int, how: str) -> None:
    """Log `batches` thousands of points to a run of its own; `wire` sends what was encoded before the clock started."""
    import requests
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.protos.service_pb2 import LogBatch
    from mlflow.utils.proto_json_utils import message_to_json

    client = MlflowClient(url)
    run = client.create_run(client.create_experiment(f"ingest {os.getpid()} {time.time()}")).info.run_id
    work = [
        [
            Metric(f"metric {metric}", step / (metric + 1), 1_700_000_000_000 + step, number * STEPS + step)
            for step in range(STEPS)
            for metric in range(METRICS)
        ]
        for number in range(batches)
    ]
    encoded = [message_to_json(LogBatch(run_id=run, metrics=[item.to_proto() for item in items])) for items in work]
    session = requests.Session()
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.time()
    for metrics, body in zip(work, encoded, strict=True):
        if how == "client":
            client.log_batch(run, metrics=metrics)
        else:
            answer = session.post(
                f"{url}/api/2.0/mlflow/runs/log-batch", data=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 200, answer.text
    end = time.time()
    assert len(client.get_metric_history(run, "metric 0")) == batches * STEPS
    print(json.dumps({"start": start, "end": end, "events": batches * METRICS * STEPS}), flush=True)


def page(url: str, experiment: str) -> None:
    """Time one page with a status, a tag and a metric filter, in the order of the metric."""
    from mlflow import MlflowClient

    client = MlflowClient(url)
    found = []
    for _ in range(6):
        start = time.perf_counter()
        runs = client.search_runs(
            [experiment],
            filter_string="attributes.status = 'FINISHED' and tags.team = 'a' and metrics.loss < 0.9",
            max_results=PAGE,
            order_by=["metrics.loss ASC"],
        )
        found.append(1000 * (time.perf_counter() - start))
        assert len(runs) == PAGE, len(runs)
    print(json.dumps(found[1:]), flush=True)


def fill(database: str, count: int) -> None:
    """Write `count` finished runs: status, tag, parameter and ten last metrics each."""
    from mlflow.store.tracking.dbmodels import models as m
    from sqlalchemy import create_engine, insert

    engine = create_engine(f"sqlite:///{database}")
    rows: dict[type, list[dict[str, object]]] = {m.SqlRun: [], m.SqlTag: [], m.SqlParam: [], m.SqlMetric: [],
                                                 m.SqlLatestMetric: []}  # fmt: skip
    for number in range(count):
        run = f"{number:032x}"
        rows[m.SqlRun].append(
            {"run_uuid": run, "name": f"run {number}", "source_type": "LOCAL", "source_name": "", "entry_point_name": "",
             "user_id": "u", "status": "FINISHED" if number % 2 else "RUNNING", "start_time": number, "end_time": number,
             "deleted_time": None, "source_version": "", "lifecycle_stage": "active", "artifact_uri": f"mlflow-artifacts:/{run}",
             "experiment_id": 0}
        )  # fmt: skip
        rows[m.SqlTag].append({"run_uuid": run, "key": "team", "value": "ab"[number // 2 % 2]})
        rows[m.SqlParam].append({"run_uuid": run, "key": "lr", "value": str(number)})
        for metric in range(METRICS):
            name = "loss" if metric == 0 else f"metric {metric}"
            value = (number * 7919 % count) / count if metric == 0 else number / (metric + 1)
            point = {"run_uuid": run, "key": name, "value": value, "timestamp": 1, "step": 1, "is_nan": False}
            rows[m.SqlMetric].append(point)
            rows[m.SqlLatestMetric].append(point)
    with engine.begin() as connection:
        for table, listed in rows.items():
            connection.execute(insert(table), listed)


if __name__ == "__main__":
    if sys.argv[1] == "ingest":
        ingest(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == "page":
        page(sys.argv[2], sys.argv[3])
    else:
        fill(sys.argv[2], int(sys.argv[3]))
