import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { PythonSide } from '../fq/python-side.js'
import { noop } from '../poll/tasks.js'

test('a Python worker fails on a pack, which is then run by a worker that supports packs', async () => {
  const root = join(mkdtempSync(join(tmpdir(), 'ptq-packs-')), 'queue')
  await using tq = new TaskQueue(root, { progress: false })
  await tq.insert(
    Array.from({ length: 100 }, (_, n) => partial(noop, n)),
    { pack: 50 },
  )
  // Its leases are over at once for ours.
  const python = new PythonSide(root, () => Date.now() / 1000 - 100)
  for (let n = 0; n < 2; n++) {
    const payload: unknown = python.lease(1)?.payload
    // It finds no such class: its `deserialize` raises, and the worker ends or continues without deleting the task.
    assert.ok(typeof payload === 'object' && payload !== null && 'class' in payload && payload.class === 'ptq.Pack')
  }
  assert.equal((await tq.status()).enqueued, 100)
  assert.equal(await tq.poll({ parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01 }), 100)
  const { enqueued, completed } = await tq.status()
  assert.deepEqual([enqueued, completed, python.enqueued], [0, 100, 0])
  rmSync(join(root, '..'), { recursive: true })
})
