"""The index and purge-cache requests."""

import time

import requests
import taskcluster
from artifacts import put_s3
from harness import OPTIONS, check, create, index, start
from taskcluster.exceptions import TaskclusterRestFailure


@check
def completed_task_is_indexed_by_its_route():
    namespace = f"e2e.routes.{time.time_ns()}"
    task_id, run = start(routes=[f"index.{namespace}"])
    put_s3(run, task_id, "public/indexed.txt", b"found me")
    run.reportCompleted(task_id, "0")
    deadline = time.monotonic() + 20
    while True:
        try:
            assert index.findTask(namespace)["taskId"] == task_id
            break
        except TaskclusterRestFailure as failure:
            assert failure.status_code == 404 and time.monotonic() < deadline, failure
            time.sleep(0.2)
    url = index.buildUrl("findArtifactFromTask", namespace, "public/indexed.txt")
    assert requests.get(url, timeout=60).content == b"found me"


@check
def lower_rank_does_not_replace_an_entry():
    namespace = f"e2e.ranks.{time.time_ns()}"
    high, low = create(), create()
    for task_id, rank in ((high, 5), (low, 4)):
        expires = taskcluster.fromNowJSON("1 hour")
        index.insertTask(namespace, {"taskId": task_id, "rank": rank, "data": {}, "expires": expires})
    assert index.findTask(namespace)["taskId"] == high


@check
def purge_request_is_for_one_queue():
    purge = taskcluster.PurgeCache(OPTIONS)
    # Deployments cache the requests of a queue for 10 s, so each run uses a new queue.
    mine, other = (f"e2e/purge-{kind}-{time.time_ns() % 1_000_000_000}" for kind in ("a", "b"))
    purge.purgeCache(mine, {"cacheName": "checkouts"})
    assert [request["cacheName"] for request in purge.purgeRequests(mine)["requests"]] == ["checkouts"]
    assert purge.purgeRequests(other)["requests"] == []
