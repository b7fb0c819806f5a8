"""Clients of the services, test tasks, and the registry of checks."""

import taskcluster
from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterRestFailure

OPTIONS = {**taskcluster.optionsFromEnvironment(), "maxRetries": 1}
TASK_QUEUE = "e2e/linux"
WORKER = {"workerGroup": "e2e", "workerId": "python"}

queue = taskcluster.Queue(OPTIONS)
index = taskcluster.Index(OPTIONS)

CHECKS = []


def check(function):
    """Registers a check, whose name is a claim."""
    CHECKS.append(function)
    return function


def acting_as(service, credentials):
    """Returns a client of the service with other credentials."""
    return service({**OPTIONS, "credentials": credentials})


def rejected(status, code, function, *args, **kwargs):
    """Asserts that a call fails with this status and code; returns the body of the response."""
    try:
        result = function(*args, **kwargs)
    except (TaskclusterAuthFailure, TaskclusterRestFailure) as failure:
        got = (failure.status_code, failure.body.get("code"))
        assert got == (status, code), f"rejected with {got}, expected {(status, code)}: {failure.body}"
        return failure.body
    raise AssertionError(f"expected {status} {code}, got {result}")


def definition(**fields):
    """Returns a valid task definition with these fields replaced."""
    return {
        "taskQueueId": TASK_QUEUE,
        "created": taskcluster.fromNowJSON("0 seconds"),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "expires": taskcluster.fromNowJSON("1 day"),
        "payload": {},
        "metadata": {
            "name": "e2e",
            "description": "created by the e2e checks",
            "owner": "e2e@example.com",
            "source": "https://example.com/e2e",
        },
        **fields,
    }


def create(**fields):
    """Creates a task and returns its id."""
    task_id = taskcluster.slugId()
    queue.createTask(task_id, definition(**fields))
    return task_id


def claim(task_id):
    """Claims this task and cancels other pending tasks; returns the claim."""
    for _ in range(100):
        for claimed in queue.claimWork(TASK_QUEUE, {**WORKER, "tasks": 1})["tasks"]:
            if claimed["status"]["taskId"] == task_id:
                return claimed
            queue.cancelTask(claimed["status"]["taskId"])
    raise AssertionError(f"task {task_id} was never returned by claimWork")


def start(**fields):
    """Creates and claims a task; returns its id and a queue client with the credentials of the run."""
    task_id = create(**fields)
    return task_id, acting_as(taskcluster.Queue, claim(task_id)["credentials"])


def last_run(task_id):
    """Returns the state of the task and its last run."""
    status = queue.status(task_id)["status"]
    return status["state"], status["runs"][-1]


def temporary_credentials(until, scopes):
    """Returns credentials signed by the client, valid from an hour ago until the given time."""
    root = OPTIONS["credentials"]
    start, end = taskcluster.fromNow("-1 hour"), taskcluster.fromNow(until)
    made = taskcluster.createTemporaryCredentials(root["clientId"], root["accessToken"], start, end, scopes)
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in made.items()}
