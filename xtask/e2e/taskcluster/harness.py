"""What the checks share: a client for each service, a task to work on, and how a check is registered."""

import taskcluster
from taskcluster.exceptions import TaskclusterAuthFailure, TaskclusterRestFailure

OPTIONS = {**taskcluster.optionsFromEnvironment(), "maxRetries": 1}
TASK_QUEUE = "e2e/linux"
WORKER = {"workerGroup": "e2e", "workerId": "python"}

queue = taskcluster.Queue(OPTIONS)
index = taskcluster.Index(OPTIONS)

CHECKS = []


def check(function):
    """Registers a check; its name is the claim that it checks."""
    CHECKS.append(function)
    return function


def acting_as(service, credentials):
    """The same service for somebody else's credentials."""
    return service({**OPTIONS, "credentials": credentials})


def refused(status, code, function, *args, **kwargs):
    """Expects the client to raise with this status and code; returns the answer's body."""
    try:
        answer = function(*args, **kwargs)
    except (TaskclusterAuthFailure, TaskclusterRestFailure) as failure:
        got = (failure.status_code, failure.body.get("code"))
        assert got == (status, code), f"refused with {got}, wanted {(status, code)}: {failure.body}"
        return failure.body
    raise AssertionError(f"wanted {status} {code}, got {answer}")


def definition(**fields):
    """A valid task definition with these fields instead of the usual ones."""
    return {
        "taskQueueId": TASK_QUEUE,
        "created": taskcluster.fromNowJSON("0 seconds"),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "expires": taskcluster.fromNowJSON("1 day"),
        "payload": {},
        "metadata": {
            "name": "e2e",
            "description": "made by the e2e checks",
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
    """Claims this task, and cancels what else is pending; returns the claim."""
    for _ in range(100):
        for claimed in queue.claimWork(TASK_QUEUE, {**WORKER, "tasks": 1})["tasks"]:
            if claimed["status"]["taskId"] == task_id:
                return claimed
            queue.cancelTask(claimed["status"]["taskId"])
    raise AssertionError(f"task {task_id} was never handed out")


def start(**fields):
    """Creates and claims a task; returns its id and a queue that acts for the run."""
    task_id = create(**fields)
    return task_id, acting_as(taskcluster.Queue, claim(task_id)["credentials"])


def last_run(task_id):
    """The state of the task, and its last run."""
    status = queue.status(task_id)["status"]
    return status["state"], status["runs"][-1]


def temporary_credentials(until, scopes):
    """Credentials that the client signs itself: valid since an hour ago, until then."""
    root = OPTIONS["credentials"]
    start, end = taskcluster.fromNow("-1 hour"), taskcluster.fromNow(until)
    made = taskcluster.createTemporaryCredentials(root["clientId"], root["accessToken"], start, end, scopes)
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in made.items()}
