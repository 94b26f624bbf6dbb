"""boto3 sending to a server that only confirms, measured as the cases of this bench are: batches of ten from many
threads, a warm-up, JSON in the last line."""
import json
import os
import resource
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

BATCH = 10


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rss_mb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def body_of(index):
    return json.dumps({"payload": [["tasks", "work"], [index], {}, -1], "queueName": "bench", "id": str(uuid.uuid4())})


def main():
    parameters = json.loads(sys.argv[1])
    n = parameters["n"]
    threads = parameters["settings"]["threads"]
    program = os.path.join(os.path.dirname(__file__), "../../build/bench/sqs/sink.js")
    node = os.environ.get("npm_node_execpath", "node")
    sink = subprocess.Popen([node, program, "--md5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    endpoint = sink.stdout.readline().strip()
    client = boto3.client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="AKIABENCH",
        aws_secret_access_key="bench-secret",
        config=Config(max_pool_connections=threads),
    )
    queue_url = endpoint + "/000000000000/bench"

    def send(start, end):
        entries = [{"Id": str(index - start), "MessageBody": body_of(index)} for index in range(start, end)]
        if client.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed"):
            raise RuntimeError("Expected all of a batch to be sent")

    def insert(pool, count):
        starts = range(0, count, BATCH)
        list(pool.map(lambda start: send(start, min(count, start + BATCH)), starts))

    def received():
        sink.stdin.write("what came?\n")
        sink.stdin.flush()
        return json.loads(sink.stdout.readline())["numbers"]

    with ThreadPoolExecutor(threads) as pool:
        insert(pool, min(n, 500))
        received()
        rss_before_mb = rss_mb()
        cpu_before = cpu_seconds()
        start = time.monotonic()
        insert(pool, n)
        seconds = time.monotonic() - start
        cpu = cpu_seconds() - cpu_before
    tasks = received()
    if sorted(tasks) != list(range(n)):
        raise RuntimeError(f"Expected each of {n} tasks once, got {len(tasks)}")
    sink.stdin.close()
    sink.wait()
    measurement = {
        "tasks": n,
        "seconds": seconds,
        "cpuSeconds": cpu,
        "rssBeforeMb": rss_before_mb,
        "rssPeakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(measurement))


main()
