"""queues.*: who waits, in which order, and handing it out."""

from __future__ import annotations

from typing import Any

from server.embedded import clock, objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import TASK
from server.embedded.services.queues import store
from server.embedded.services.tasks import store as tasks


@endpoint("queues.add_task", version="2.4", write=True)
def add_task(call: Call) -> dict[str, Any]:
    """Let a task wait at the end of a queue."""
    queue = store.require(call, call.body["queue"])
    task = tasks.find(call.db, call.body["task"], call.company, ["id", "execution"])
    if store.waiting_in(call.db, task["id"]):
        raise fail("task_already_queued", task=task["id"])
    store.add(call.db, queue["id"], task["id"], call.now)
    if call.body.get("update_execution_queue") is not False:
        execution = tasks.EXECUTION | dict(task.get("execution") or {}) | {"queue": queue["id"]}
        objects.update(call.db, TASK, task["id"], {"execution": execution, "last_change": call.now})
    return {"added": 1}


@endpoint("queues.get_next_task", version="2.4", write=True)
def get_next_task(call: Call) -> dict[str, Any]:
    """Hand out the first task that waits, to one worker only: this runs in the one write thread."""
    queue = store.require(call, call.body["queue"])
    row = call.db.execute(
        "SELECT task, added FROM queue_entry WHERE queue = ? ORDER BY position LIMIT 1", (queue["id"],)
    ).fetchone()
    if row is None:
        return {}
    store.remove_waiting(call.db, row["task"], call.now, waited=(call.now - row["added"]) / 1e6)
    answer: dict[str, Any] = {"entry": {"task": row["task"], "added": clock.iso_millis(row["added"])}}
    if call.body.get("get_task_info"):
        task = objects.get(call.db, TASK, row["task"], call.company, ["company", "user"]) or {}
        answer["task_info"] = {key: task[key] for key in ("company", "user") if key in task}
    return answer


@endpoint("queues.peek_task", version="2.15")
def peek_task(call: Call) -> dict[str, Any]:
    """Name the first task that waits."""
    queue = store.require(call, call.body["queue"])
    row = call.db.execute(
        "SELECT task FROM queue_entry WHERE queue = ? ORDER BY position LIMIT 1", (queue["id"],)
    ).fetchone()
    return {"task": None if row is None else row[0]}


@endpoint("queues.get_by_task_id", version="2.34")
def get_by_task_id(call: Call) -> dict[str, Any]:
    """Name the queue a task waits in; nothing where it waits in none."""
    task = tasks.find(call.db, call.body["task"], call.company, ["id"])
    queue = store.waiting_in(call.db, task["id"])
    found = store.require(call, queue) if queue else {}
    return {name: found[name] for name in ("id", "name", "display_name") if found.get(name)}


@endpoint("queues.remove_task", version="2.4", write=True)
def remove_task(call: Call) -> dict[str, Any]:
    """Take a task out of a queue."""
    queue = store.require(call, call.body["queue"])
    _insist(call, queue["id"])
    store.remove_waiting(call.db, call.body["task"], call.now)
    if call.body.get("update_task_status"):
        release(call, call.body["task"])
    return {"removed": 1}


@endpoint("queues.clear_queue", version="2.31", write=True)
def clear_queue(call: Call) -> dict[str, Any]:
    """Take every task out of a queue, back to the status it had."""
    return {"removed_tasks": empty(call, store.require(call, call.body["queue"])["id"])}


def empty(call: Call, queue: str) -> list[str]:
    """Take every task out of a queue. Returns their ids in order."""
    rows = call.db.execute("SELECT task FROM queue_entry WHERE queue = ? ORDER BY position", (queue,)).fetchall()
    gone = [str(row[0]) for row in rows]
    for task in gone:
        store.remove_waiting(call.db, task, call.now)
        release(call, task)
    return gone


def release(call: Call, identifier: str) -> None:
    """Give a task that no longer waits the status it had before."""
    task = objects.get(call.db, TASK, identifier, call.company, ["id", "status", "enqueue_status", "execution"])
    if task is None or task["status"] != "queued":
        return
    execution = dict(task.get("execution") or {})
    execution.pop("queue", None)
    changes = {
        "status": task.get("enqueue_status") or "created",
        "status_changed": call.now,
        "enqueue_status": None,
        "execution": execution,
    }
    tasks.save(call, identifier, changes, progress=True)


def _insist(call: Call, queue: str) -> None:
    task = call.body["task"]
    if store.waiting_in(call.db, task) != queue:
        raise fail("invalid_queue_or_task_not_queued", task=task, id=queue, company=call.company)


def _move(call: Call, step: int | None, *, front: bool = False) -> dict[str, Any]:
    """Move a task by some places, or to an end for None. Returns where it is now."""
    queue = store.require(call, call.body["queue"])["id"]
    _insist(call, queue)
    task = call.body["task"]
    rows = call.db.execute("SELECT task, position FROM queue_entry WHERE queue = ? ORDER BY position", (queue,))
    order = [(str(row[0]), float(row[1])) for row in rows]
    here = next(index for index, (name, _) in enumerate(order) if name == task)
    del order[here]
    target = min(max(0, here + step), len(order)) if step is not None else (0 if front else len(order))
    before = order[target - 1][1] if target else None
    after = order[target][1] if target < len(order) else None
    _place(call, queue, task, before, after)
    return {"position": target}


def _place(call: Call, queue: str, task: str, before: float | None, after: float | None) -> None:
    if before is None:
        position = (after or 0.0) - 1
    elif after is None:
        position = before + 1
    else:
        position = (before + after) / 2
        if not before < position < after:  # halved too often: number the queue anew, then try again
            _renumber(call, queue)
            _move(call, 0)
            return
    call.db.execute("UPDATE queue_entry SET position = ? WHERE task = ?", (position, task))
    call.db.execute("UPDATE queue SET last_update = ? WHERE id = ?", (call.now, queue))


def _renumber(call: Call, queue: str) -> None:
    rows = call.db.execute("SELECT task FROM queue_entry WHERE queue = ? ORDER BY position", (queue,)).fetchall()
    far = 1e9
    for offset in (far, 0.0):  # twice, as no two may share a position on the way
        call.db.executemany(
            "UPDATE queue_entry SET position = ? WHERE task = ?",
            [(offset + number, row[0]) for number, row in enumerate(rows)],
        )


def _count(call: Call) -> int:
    count = call.body.get("count")
    return 1 if count is None else max(-(2**31), min(int(count), 2**31))


@endpoint("queues.move_task_forward", version="2.4", write=True)
def move_task_forward(call: Call) -> dict[str, Any]:
    """Move a task towards the head of its queue."""
    return _move(call, -_count(call))


@endpoint("queues.move_task_backward", version="2.4", write=True)
def move_task_backward(call: Call) -> dict[str, Any]:
    """Move a task towards the end of its queue."""
    return _move(call, _count(call))


@endpoint("queues.move_task_to_front", version="2.4", write=True)
def move_task_to_front(call: Call) -> dict[str, Any]:
    """Move a task to the head of its queue."""
    return _move(call, None, front=True)


@endpoint("queues.move_task_to_back", version="2.4", write=True)
def move_task_to_back(call: Call) -> dict[str, Any]:
    """Move a task to the end of its queue."""
    return _move(call, None)
