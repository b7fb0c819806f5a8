"""Reads the metrics of a worker with the parser of Prometheus's Python client.

STATUS_URL is the URL of the worker's status page.
"""

import os
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

# Name, type and unit of metric families that every worker has.
EXPECTED = [
    ("worker_disk_free_bytes", "gauge", "bytes"),
    ("worker_memory_available_bytes", "gauge", "bytes"),
    ("worker_process_cpu_seconds", "gauge", "seconds"),
    ("worker_redactions", "counter", ""),
    ("worker_tasks", "gauge", ""),
]


def main() -> int:
    with urllib.request.urlopen(os.environ["STATUS_URL"] + "metrics") as response:
        content_type = response.headers["content-type"]
        text = response.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    failed = []
    if not content_type.startswith("application/openmetrics-text; version=1.0.0"):
        failed.append(f"the content type is {content_type}")
    for name, metric_type, unit in EXPECTED:
        family = families.get(name)
        found = family and (family.type, family.unit)
        if found != (metric_type, unit):
            failed.append(f"{name}: {found}, expected {(metric_type, unit)}")
        elif not family.documentation or family.documentation == "No description.":
            failed.append(f"{name} has no help text")
    states = {sample.labels["state"]: sample.value for sample in families["worker_tasks"].samples}
    if states != {"claimed": 0.0, "running": 2.0}:
        failed.append(f"tasks by state: {states}")
    for line in failed:
        print(f"FAILED {line}")
    print(f"{len(families)} families read, {len(failed)} failed")
    return 1 if failed else 0


sys.exit(main())
