"""Runs: claim, reclaim, report, retry."""

import asyncio

import taskcluster
import taskcluster.aio
from harness import OPTIONS, WORKER, acting_as, check, claim, create, definition, last_run, queue, rejected, start


@check
def run_is_claimed_reclaimed_and_completed():
    task_id = create()
    claimed = claim(task_id)
    first = acting_as(taskcluster.Queue, claimed["credentials"])
    reclaimed = first.reclaimTask(task_id, "0")
    assert reclaimed["credentials"] != claimed["credentials"]
    acting_as(taskcluster.Queue, reclaimed["credentials"]).reportCompleted(task_id, "0")
    state, run = last_run(task_id)
    assert (state, run["reasonResolved"], run["workerId"]) == ("completed", "completed", "python")


@check
def run_credentials_are_for_one_run():
    _, mine = start()
    other, _ = start()
    rejected(403, "InsufficientScopes", mine.reclaimTask, other, "0")
    rejected(403, "InsufficientScopes", mine.reportCompleted, other, "0")


@check
def cancelled_run_rejects_reclaim_and_report():
    task_id, run = start()
    queue.cancelTask(task_id)
    rejected(409, "RequestConflict", run.reclaimTask, task_id, "0")
    rejected(409, "RequestConflict", run.reportFailed, task_id, "0")
    state, last = last_run(task_id)
    assert (state, last["reasonResolved"]) == ("exception", "canceled")


@check
def first_resolution_wins():
    task_id, run = start()
    run.reportFailed(task_id, "0")
    run.reportFailed(task_id, "0")
    rejected(409, "RequestConflict", run.reportCompleted, task_id, "0")
    assert last_run(task_id)[0] == "failed"


@check
def shutdown_is_retried_while_retries_are_left():
    task_id, run = start(retries=1)
    run.reportException(task_id, "0", {"reason": "worker-shutdown"})
    state, last = last_run(task_id)
    assert (state, last["runId"], last["reasonCreated"]) == ("pending", 1, "retry")
    second = acting_as(taskcluster.Queue, claim(task_id)["credentials"])
    second.reportException(task_id, "1", {"reason": "worker-shutdown"})
    assert last_run(task_id)[0] == "exception"


@check
def malformed_payload_is_not_retried():
    task_id, run = start()
    run.reportException(task_id, "0", {"reason": "malformed-payload"})
    state, last = last_run(task_id)
    assert (state, last["runId"], last["reasonResolved"]) == ("exception", 0, "malformed-payload")


@check
def long_poll_returns_a_new_task():
    async def scenario():
        async with taskcluster.aio.createSession() as session:
            waiting = taskcluster.aio.Queue(OPTIONS, session=session)
            claiming = asyncio.create_task(waiting.claimWork("e2e/idle", {**WORKER, "tasks": 1}))
            await asyncio.sleep(0.3)
            assert not claiming.done(), "a claim from an empty queue is a long poll"
            task_id = taskcluster.slugId()
            await waiting.createTask(task_id, definition(taskQueueId="e2e/idle"))
            claimed = await asyncio.wait_for(claiming, timeout=5)
            assert [task["status"]["taskId"] for task in claimed["tasks"]] == [task_id]

    asyncio.run(scenario())
