"""Starts the training by itself: `python -m deployments.training_schedule --task ID {time,trigger}`.

`ID` is a run of `deployments.training_pipeline`; the scheduler clones it and puts the clone into the queue.
"""

from __future__ import annotations

import argparse
from datetime import time

from clearml.automation import TaskScheduler, TriggerScheduler

from flows import settings as product

NEW_DATA = "train"
"""Tag of a data set that asks for a training."""


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def by_time(
    task: str, queue: str, *, at: time = time(3), weekday: str = "monday", sync_minutes: float = 1
) -> TaskScheduler:
    """Train every week on `weekday` at `at` (UTC)."""
    project = product.load().project
    scheduler = TaskScheduler(
        sync_frequency_minutes=sync_minutes, force_create_task_name="training schedule",
        force_create_task_project=project,
    )  # fmt: skip
    scheduler.add_task(
        name="weekly training",
        schedule_task_id=task,
        queue=queue,
        hour=at.hour,
        minute=at.minute,
        day=0,  # without it ClearML reads: every so many hours, on this weekday
        weekdays=[weekday],
    )
    return scheduler


def by_trigger(task: str, queue: str, *, poll_minutes: float = 1) -> TriggerScheduler:
    """Train when a data set of the project is published with the tag `train`, or an import of one completes."""
    project = product.load().project
    trigger = TriggerScheduler(
        pooling_frequency_minutes=poll_minutes, sync_frequency_minutes=poll_minutes,
        force_create_task_name="training trigger", force_create_task_project=project,
    )  # fmt: skip
    trigger.add_dataset_trigger(
        name="new data set", schedule_task_id=task, schedule_queue=queue, trigger_project=project,
        trigger_on_tags=[NEW_DATA], trigger_on_publish=True,
    )  # fmt: skip
    trigger.add_task_trigger(
        name="data imported", schedule_task_id=task, schedule_queue=queue, trigger_project=project,
        trigger_on_status=["completed"], trigger_required_tags=[NEW_DATA],
    )  # fmt: skip
    return trigger


def main() -> None:
    """Watch until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("by", choices=["time", "trigger"])
    parser.add_argument("--task", required=True, help="ClearML id of a run of the training pipeline.")
    parser.add_argument("--queue", default="default")
    parser.add_argument("--at", type=time.fromisoformat, default=time(3), help="HH:MM (UTC), for `time`.")
    parser.add_argument("--weekday", choices=WEEKDAYS, default="monday", help="For `time`.")
    parser.add_argument("--poll-minutes", type=float, default=1, help="How often ClearML is asked.")
    given = parser.parse_args()
    if given.by == "time":
        by_time(given.task, given.queue, at=given.at, weekday=given.weekday, sync_minutes=given.poll_minutes).start()
    else:
        by_trigger(given.task, given.queue, poll_minutes=given.poll_minutes).start()


if __name__ == "__main__":
    main()
