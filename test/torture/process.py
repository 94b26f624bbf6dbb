"""The Python processes of the torture, by Python's own task-queue: what python-roles.ts stands for where there is no Python."""
import json
import os
import random
import re
import signal
import sys
import time

from taskqueue import FunctionTask, QueueEmptyError, TaskQueue

LEASE_SECONDS = 3
SLOW_SECONDS = 3.5
BATCH = 25
PAUSE_SECONDS = 0.25
ENOUGH_TASKS = 1500

options = json.loads(sys.argv[1])
process_number = options["processNumber"]
queues = options["queues"]
ledger = options["ledger"]
parent = os.getppid()


def note(verb, what):
  line = "{} {} {} {}\n".format(verb, process_number, ",".join(what), int(time.time() * 1000))
  file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
  os.write(file, line.encode())
  os.close(file)


def end_with_parent():
  if os.getppid() != parent:
    sys.exit(2)


def open_queue(url):
  return TaskQueue(url, n_threads=0, progress=False)


def kind_at(index):
  if index % 500 == 250:
    return "s"
  if index % 100 == 50:
    return "f"
  if index % 1000 == 777:
    return "p"
  if index % 100 == 23:
    return "d"
  if index % 400 == 110:
    return "r"
  return "x" if index % 700 == 333 else "n"


def insert():
  turns = [(open_queue(queues["main"]), "inserted"), (open_queue(queues["transit"]), "carried")]
  note("python", ["inserter"])
  batch = 0
  while True:
    end_with_parent()
    tq, way = turns[batch % 2]
    indexes = range(batch * BATCH, (batch + 1) * BATCH)
    keys = ["{}-{}{}-{}.".format(kind_at(index), way, process_number, index) for index in indexes]
    note("intend", keys)
    tq.insert(
      [FunctionTask(["tasks", "leaveTrace"], [key, ledger], {}, -1) for key in keys],
      skip_insert_counter=True,
    )
    note("counting", [way])
    tq.add_insert_count(len(keys))
    note("counted", [way])
    note("inserted", keys)
    batch += 1
    time.sleep(PAUSE_SECONDS)
    while tq.enqueued > ENOUGH_TASKS:
      end_with_parent()
      time.sleep(PAUSE_SECONDS)


def work():
  tq = open_queue(queues["main"])
  note("python", ["worker"])
  while True:
    end_with_parent()
    try:
      task = tq.lease(seconds=LEASE_SECONDS)
    except QueueEmptyError:
      time.sleep(PAUSE_SECONDS)
      continue
    key = task.args[0]
    kind = key[0]
    if kind == "p":
      # The line that the torture expects.
      sys.stderr.write("RangeError: task {} fails\n".format(key))
      sys.exit(1)
    if kind == "k":
      note("SIGKILL", ["poison"])
      os.kill(os.getpid(), signal.SIGKILL)
    if kind == "s":
      for _ in range(3):
        time.sleep(SLOW_SECONDS / 4)
        try:
          tq.renew(task, LEASE_SECONDS)
        except FileNotFoundError:
          # Another worker has finished it, and removed its record.
          pass
      time.sleep(SLOW_SECONDS / 4)
    note("run", [key])
    tq.delete(task, tally=True)
    note("done", [key])


insert() if options["role"] == "python-inserter" else work()
