"""Python's TaskQueue on a file queue, measured as the cases of this bench are: no-op tasks, a warm-up, JSON in the last
line."""
import json
import os
import resource
import sys
import time
from functools import partial

from bench_tasks import noop
from taskqueue import TaskQueue


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rss_mb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def insert(queue, n):
    queue.insert((partial(noop, index) for index in range(n)), total=n)
    return queue.enqueued


def drain(queue, n):
    executed = queue.poll(lease_seconds=600, tally=True, stop_fn=lambda executed: executed >= n)
    if queue.enqueued != 0 or queue.completed != n:
        raise RuntimeError(f"Expected an empty queue and {n} completions")
    return executed


def main():
    parameters = json.loads(sys.argv[1])
    n = parameters["n"]
    threads = parameters["settings"]["threads"]
    work = {"insert": insert, "drain": drain}[parameters["settings"]["verb"]]

    def queue_with(name, tasks):
        path = "fq://" + os.path.join(parameters["dir"], name)
        if work is drain:
            insert(TaskQueue(path, n_threads=0, progress=False), tasks)
        return TaskQueue(path, n_threads=threads, progress=False)

    warm_up = min(n, 200)
    work(queue_with("warm-up", warm_up), warm_up)
    queue = queue_with("queue", n)
    rss_before_mb = rss_mb()
    cpu_before = cpu_seconds()
    start = time.monotonic()
    tasks = work(queue, n)
    seconds = time.monotonic() - start
    measurement = {
        "tasks": tasks,
        "seconds": seconds,
        "cpuSeconds": cpu_seconds() - cpu_before,
        "rssBeforeMb": rss_before_mb,
        "rssPeakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(measurement))


main()
