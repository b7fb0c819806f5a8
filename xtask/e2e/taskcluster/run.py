"""Runs checks against the Taskcluster at TASKCLUSTER_ROOT_URL with the official client, as users and workers do.

`cargo xtask e2e taskcluster` starts the embedded Taskcluster and this script. All calls use the PyPI package
`taskcluster`, so the checks show compatibility with it. Prints a line per check and then `N passed, N failed`; the exit
status is 1 if a check failed. An argument selects checks by a part of their name.
"""

import sys
import time
import traceback

import artifacts  # noqa: F401  Importing a module registers its checks.
import claims  # noqa: F401
import credentials  # noqa: F401
import lookup  # noqa: F401
import tasks  # noqa: F401
from harness import CHECKS


def run_one(function):
    """Runs a check, prints its result, and returns whether it passed."""
    start = time.monotonic()
    try:
        function()
    except Exception:
        print(f"FAILED {function.__name__}", flush=True)
        traceback.print_exc(file=sys.stdout)
        return False
    print(f"ok     {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    return True


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    results = [run_one(function) for function in CHECKS if part in function.__name__]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 1 if not results or False in results else 0


if __name__ == "__main__":
    sys.exit(main())
