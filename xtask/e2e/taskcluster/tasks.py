"""Tasks: creation, dependencies, rejected definitions."""

import time

import taskcluster
from harness import TASK_QUEUE, acting_as, check, claim, create, definition, last_run, queue, rejected


@check
def task_is_returned_as_created():
    payload = {"command": ["echo", "smörgås \u2603"], "nested": [1, None, {"deep": True}]}
    task_id = create(payload=payload, tags={"kind": "e2e"})
    task = queue.task(task_id)
    assert task["payload"] == payload and task["tags"] == {"kind": "e2e"}
    assert task["taskGroupId"] == task_id and task["taskQueueId"] == TASK_QUEUE
    assert last_run(task_id)[0] == "pending"


@check
def creation_is_idempotent_but_rejects_changes():
    task_id, task = taskcluster.slugId(), definition()
    first, again = queue.createTask(task_id, task), queue.createTask(task_id, task)
    assert first["status"]["runs"] == again["status"]["runs"]
    rejected(409, "RequestConflict", queue.createTask, task_id, {**task, "payload": {"changed": True}})


@check
def invalid_definition_is_rejected_with_the_field():
    task = definition()
    del task["deadline"]
    body = rejected(400, "InputValidationError", queue.createTask, taskcluster.slugId(), task)
    assert "deadline" in body["message"], body


@check
def task_waits_for_its_dependencies():
    first = create()
    second = create(dependencies=[first])
    assert queue.status(second)["status"]["state"] == "unscheduled"
    acting_as(taskcluster.Queue, claim(first)["credentials"]).reportCompleted(first, "0")
    deadline = time.monotonic() + 20
    while queue.status(second)["status"]["state"] != "pending":
        assert time.monotonic() < deadline, "the dependent task was not scheduled"
        time.sleep(0.2)
