"""What is not recorded: secrets, content under `summary`, anything under `none`."""

from __future__ import annotations

from typing import Annotated

import pytest
from prefect.logging import get_run_logger
from pydantic import SecretStr

from clearml_utils import Sensitive, flow, task
from tests.contract.bridge.reading import Reader, everything, parameters, properties

pytestmark = [pytest.mark.xdist_group("prefect")]


def test_secrets_do_not_reach_clearml(tracked: Reader):
    """Secrets given as arguments, by name, by type or marked, are nowhere in the record, also where an exception quotes them."""
    secrets = {
        "hunter2-and-more",
        "s3cr3t-of-type",
        "very private answer",
        "12345678:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ",
    }
    by_name, by_type, marked, token = sorted(secrets, key=lambda s: ["h", "s", "v", "1"].index(s[0]))

    @task
    def leak(password: str, key: SecretStr, words: Annotated[str, Sensitive], url: str) -> None:
        get_run_logger().warning("using %s and %s", password, url)
        raise RuntimeError(f"cannot sign in with {password}, {key.get_secret_value()}, {words} at {url}")

    @flow(project="Bridge")
    def leaking(password: str, key: SecretStr, words: Annotated[str, Sensitive], url: str):
        leak(password, key, words, url)

    run = leaking(
        by_name, SecretStr(by_type), marked, f"https://api.telegram.org/bot{token}/x", return_state=True
    ).state_details.flow_run_id
    (child,) = tracked.children(run)
    for record in (child, tracked.of(run)):
        text = everything(tracked, record)
        assert [s for s in secrets if s in text] == []
        assert "<redacted>" in text
    assert child["status_reason"] == "RuntimeError"


def test_summary_holds_no_content(tracked: Reader):
    """Under `summary`: shapes, types, counts and hashes of tables; no cell, no text, no exception message."""
    import pandas as pd

    @task
    def rows() -> pd.DataFrame:
        return pd.DataFrame({"answer": ["I cried all night", "fine"], "n": [1, 2]})

    @task
    def words(frame: pd.DataFrame) -> str:
        return str(frame["answer"][0])

    @task
    def fail(frame: pd.DataFrame) -> None:
        raise ValueError(f"cannot read {frame['answer'][0]}")

    @flow(project="Bridge", capture="summary")
    def private():
        words(rows())
        fail(rows())

    run = private(return_state=True).state_details.flow_run_id
    children = tracked.children(run)
    text = "".join(everything(tracked, t) for t in [*children, tracked.of(run)])
    assert "cried" not in text
    first = properties(next(t for t in children if t["name"].startswith("rows")))
    assert (first["result_rows"], first["result_columns"]) == ("2", "2")
    assert len(first["result_sha256"]) == 64


def test_none_records_only_that_it_ran(tracked: Reader):
    """Under `none`: name, time and end; no argument, no result, no log."""

    @task(capture="none")
    def quiet(x: int) -> int:
        get_run_logger().info("psst")
        return x

    @flow(project="Bridge")
    def silent():
        quiet(41)

    (child,) = tracked.children(silent(return_state=True).state_details.flow_run_id)
    assert child["status"] == "completed"
    assert (parameters(child), tracked.values(child), tracked.log(child)) == ({}, {}, [])
