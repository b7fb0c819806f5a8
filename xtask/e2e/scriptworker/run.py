"""Measures no-op tasks per second of two workers on one queue: scriptworker from PyPI, and the program in the argument.

`cargo xtask e2e scriptworker` starts the embedded Taskcluster and this script. The time is measured by the queue, from
the start of the first run to the last resolution, so the start of the Python interpreter does not count.
"""

import datetime
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import taskcluster
import yaml

PROVISIONER = "compare"
MIN_RATIO = 10.0
ROUNDS = 3


def create(queue, worker_type, count, payload):
    """Creates no-op tasks and returns their ids."""
    metadata = {"name": "no-op", "description": "no-op", "owner": "e@example.com", "source": "https://example.com"}
    ids = [taskcluster.slugId() for _ in range(count)]
    for task_id in ids:
        queue.createTask(
            task_id,
            {
                "taskQueueId": f"{PROVISIONER}/{worker_type}",
                "created": taskcluster.fromNow("0 seconds"),
                "deadline": taskcluster.fromNow("1 hour"),
                "expires": taskcluster.fromNow("2 hours"),
                "payload": payload,
                "metadata": metadata,
            },
        )
    return ids


def wait_resolved(queue, ids, process):
    """Waits until all tasks are resolved; returns tasks per second by the clock of the queue."""
    # Only the last task is polled while the worker runs: a call of this client takes as much CPU time as a task of the
    # faster worker.
    resolved_run(queue, ids[-1], process)
    runs = [resolved_run(queue, task_id, process) for task_id in ids]
    started = min(instant(run["started"]) for run in runs)
    resolved = max(instant(run["resolved"]) for run in runs)
    return len(ids) / (resolved - started).total_seconds()


def resolved_run(queue, task_id, process):
    """Waits until a task is completed and returns its last run."""
    while True:
        status = queue.status(task_id)["status"]
        if status["state"] == "completed":
            return status["runs"][-1]
        if status["state"] in ("failed", "exception"):
            raise SystemExit(f"{task_id} is {status['state']}: {status['runs']}")
        if process.poll() is not None:
            raise SystemExit(f"the worker exited with {process.returncode} before its tasks were resolved")
        time.sleep(0.05)


def instant(text):
    """Parses a timestamp of the queue."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def measure(queue, command, worker_type, count, payload):
    """Runs a worker on pending tasks and returns tasks per second."""
    ids = create(queue, worker_type, count, payload)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            return wait_resolved(queue, ids, process)
        except BaseException:
            output.seek(0)
            print(output.read().decode(errors="replace")[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def scriptworker(folder):
    """Writes a configuration and returns the command of a scriptworker whose script does nothing."""
    folders = {name: str(folder / name) for name in ("work_dir", "log_dir", "artifact_dir")}
    for path in folders.values():
        os.makedirs(path)
    config = {
        "taskcluster_root_url": os.environ["TASKCLUSTER_ROOT_URL"],
        "provisioner_id": PROVISIONER,
        "worker_group": "scriptworker",
        "worker_type": "scriptworker",
        "worker_id": "scriptworker",
        "credentials": {
            "clientId": os.environ["TASKCLUSTER_CLIENT_ID"],
            "accessToken": os.environ["TASKCLUSTER_ACCESS_TOKEN"],
        },
        **folders,
        "task_log_dir": str(folder / "artifact_dir" / "public" / "logs"),
        "task_script": ["true"],
        "poll_interval": 1,
        "sign_chain_of_trust": False,
        "verify_chain_of_trust": False,
        "ed25519_private_key_path": str(folder / "none"),
        "verbose": False,
    }
    path = folder / "scriptworker.yaml"
    path.write_text(yaml.safe_dump(config))
    return [str(pathlib.Path(sys.executable).parent / "scriptworker"), str(path)]


def one_round(queue, program):
    """Runs both workers, one after the other; returns the ratio of their rates."""
    ours = [program, "--task-queue-id", f"{PROVISIONER}/ours", "--worker-id", "ours", "--capacity", "16"]
    with tempfile.TemporaryDirectory() as folder:
        theirs = measure(queue, scriptworker(pathlib.Path(folder)), "scriptworker", 60, {})
    rate = measure(queue, ours, "ours", 600, {"command": ["true"]})
    print(f"scriptworker {theirs:.1f} tasks/s, example worker with 16 concurrent tasks {rate:.1f} tasks/s: ratio {rate / theirs:.1f}", flush=True)
    return rate / theirs


def main():
    queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
    ratio = statistics.median(one_round(queue, sys.argv[1]) for _ in range(ROUNDS))
    print(f"median ratio of {ROUNDS} rounds: {ratio:.1f}, at least {MIN_RATIO:.0f} required")
    return 0 if ratio >= MIN_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
