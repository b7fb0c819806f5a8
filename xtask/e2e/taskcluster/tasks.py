"""Tasks: created, depended on, refused."""

import time

import taskcluster
from harness import TASK_QUEUE, acting_as, check, claim, create, definition, last_run, queue, refused


@check
def a_task_comes_back_as_it_was_created():
    payload = {"command": ["echo", "smörgås \u2603"], "nested": [1, None, {"deep": True}]}
    task_id = create(payload=payload, tags={"kind": "e2e"})
    task = queue.task(task_id)
    assert task["payload"] == payload and task["tags"] == {"kind": "e2e"}
    assert task["taskGroupId"] == task_id and task["taskQueueId"] == TASK_QUEUE
    assert last_run(task_id)[0] == "pending"


@check
def creating_twice_is_safe_to_retry_but_not_to_change():
    task_id, task = taskcluster.slugId(), definition()
    first, again = queue.createTask(task_id, task), queue.createTask(task_id, task)
    assert first["status"]["runs"] == again["status"]["runs"]
    refused(409, "RequestConflict", queue.createTask, task_id, {**task, "payload": {"changed": True}})


@check
def an_invalid_definition_is_refused_and_the_message_names_the_field():
    task = definition()
    del task["deadline"]
    body = refused(400, "InputValidationError", queue.createTask, taskcluster.slugId(), task)
    assert "deadline" in body["message"], body


@check
def a_task_waits_for_what_it_depends_on():
    first = create()
    second = create(dependencies=[first])
    assert queue.status(second)["status"]["state"] == "unscheduled"
    acting_as(taskcluster.Queue, claim(first)["credentials"]).reportCompleted(first, "0")
    deadline = time.monotonic() + 20
    while queue.status(second)["status"]["state"] != "pending":
        assert time.monotonic() < deadline, "the dependent task was not scheduled"
        time.sleep(0.2)
