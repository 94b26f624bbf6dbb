"""Python's LocalTaskQueue, measured as the cases of this bench are: no-op tasks, a warm-up, JSON in the last line.

Its tasks run in processes of their own, which count nothing that we could read, so what is checked is how many
LocalTaskQueue says it ran. CPU time includes those processes; memory is that of the main process.
"""
import json
import resource
import sys
import time
from functools import partial

from bench_tasks import noop
from taskqueue import LocalTaskQueue


def cpu_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def rss_mb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def main():
    parameters = json.loads(sys.argv[1])
    n = parameters["n"]
    queue = LocalTaskQueue(parallel=parameters["settings"]["parallel"], progress=False)
    # Each insert_all starts new processes: their start is part of the warm-up and of the measurement.
    queue.insert_all(partial(noop, index) for index in range(min(n, 1000)))
    rss_before_mb = rss_mb()
    cpu_before = cpu_seconds()
    start = time.monotonic()
    tasks = queue.insert_all(partial(noop, index) for index in range(n))
    seconds = time.monotonic() - start
    measurement = {
        "tasks": tasks,
        "seconds": seconds,
        "cpuSeconds": cpu_seconds() - cpu_before,
        "rssBeforeMb": rss_before_mb,
        "rssPeakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(measurement))


# Spawned processes import this file again.
if __name__ == "__main__":
    main()
