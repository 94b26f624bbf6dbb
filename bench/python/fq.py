"""Python's TaskQueue on a directory, measured as the cases of this bench are: a warm-up, JSON in the last line."""
import json
import resource
import sys
import time
from functools import partial

from bench_tasks import noop
from local import cpu_seconds, rss_mb
from taskqueue import TaskQueue

WARM_UP = 100


def insert(queue, n):
    return queue.insert((partial(noop, index) for index in range(n)), total=n)


def drain(queue, n):
    for _ in range(n):
        task = queue.lease(seconds=600)
        task.execute()
        queue.delete(task, tally=True)
    return n


def main():
    parameters = json.loads(sys.argv[1])
    n = parameters["n"]
    settings = parameters["settings"]
    work = {"insert": insert, "drain": drain}[settings["verb"]]
    queue = TaskQueue(f"fq://{parameters['dir']}/queue", n_threads=settings["threads"], progress=False)
    if work is drain:
        insert(queue, n + WARM_UP)
    work(queue, WARM_UP)
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
