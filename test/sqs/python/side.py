"""Python's own TaskQueue on an SQS-compatible server. Arguments: `insert`, queue, endpoint, ledger; or `run`, queue,
endpoint, how many tasks."""
import sys
from functools import partial

from python_tasks import NoteTask, note
from taskqueue import TaskQueue

verb, queue, endpoint, argument = sys.argv[1:]
tq = TaskQueue(queue, region_name="us-east-1", endpoint_url=endpoint, progress=False)
if verb == "insert":
    numbers = [*range(25), 2**64 - 1, 0.5]
    tasks = [partial(note, n, argument, who="\u4e16 \U0001F600") for n in numbers]
    print(tq.insert(tasks + [NoteTask("\u03c0", argument)]))
else:
    print(tq.poll(lease_seconds=60, stop_fn=lambda executed: executed >= int(argument)))
