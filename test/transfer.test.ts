import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FunctionTask, TaskQueue } from 'ptq'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import { withMessageId } from '#ptq/backend/envelope.js'
import type { BatchFailure, Message } from '#ptq/backend/messages.js'
import { opener as fq } from '#ptq/backends/fq/index.js'
import { opener as mem } from '#ptq/backends/mem/index.js'
import { copyMessages } from '#ptq/queue/copy-messages.js'
import { moveMessages } from '#ptq/queue/move-messages.js'
import type { TransferPlan } from '#ptq/queue/transfer.js'

function envelope(text: string, id: string = randomUUID()): Message {
  return { id, body: `{"payload": {"class": "T", "txt": ${JSON.stringify(text)}}, "queueName": "q", "id": "${id}"}` }
}

function messages(count: number): Message[] {
  return Array.from({ length: count }, (_, n) => envelope(String(n)))
}

function openMem(clock = new ManualClock()): Promise<Backend> {
  return mem.open({ protocol: 'mem', path: randomUUID() }, { clock })
}

/** `backend` with some of its verbs replaced. */
function altered(backend: Backend, verbs: Partial<Backend>): Backend {
  return new Proxy(backend, {
    get(target, name: keyof Backend) {
      const value = name in verbs ? verbs[name] : target[name]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function plan(from: Backend, to: Backend, more: Partial<TransferPlan> = {}): TransferPlan {
  const { signal } = new AbortController()
  return { from, to, concurrency: 3, progress: false, signal, clock: new ManualClock(), ...more }
}

async function drain(backend: Backend): Promise<Message[]> {
  const drained: Message[] = []
  for (;;) {
    // A slow filesystem gives a part of them at a time.
    const leases = await backend.lease({ seconds: 600, max: 10_000, waitSeconds: 0 })
    if (leases.length === 0) return byId(drained)
    assert.deepEqual(await backend.delete(leases, { tally: false }), [])
    drained.push(...leases.map(({ id, body }) => ({ id, body })))
  }
}

function byId(list: readonly Message[]): Message[] {
  return list.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

async function fill(backend: Backend, list: readonly Message[]): Promise<void> {
  assert.deepEqual(await backend.insert(list, { delaySeconds: 0 }), [])
  await backend.addInserted?.(list.length)
}

test('messages move between queues of two kinds unchanged, invalid tasks too, and are counted', async () => {
  const [from, to] = [await openMem(), await openMem()]
  const sent = [...messages(2500), { id: randomUUID(), body: 'no JSON \u0000 at all' }, envelope('é \u{1f680}')]
  await fill(from, sent)
  assert.deepEqual(await moveMessages(plan(from, to)), { moved: 2502, uncertain: 0 })
  assert.deepEqual([(await from.counts()).enqueued, (await to.counts()).inserted], [0, 2502])
  assert.deepEqual(await drain(to), byId(sent))
})

test('a backend that may refuse characters gets them escaped, and ids that are no UUIDs are mapped to UUIDs deterministically', async () => {
  const [from, to] = [await openMem(), await openMem()]
  const ascii = altered(to, { capabilities: { ...to.capabilities, asciiBodies: true } })
  await fill(from, [{ id: 'order 7 of today', body: '{"payload": "é\u{1f680}", "queueName": "q"}' }])
  await moveMessages(plan(from, ascii))
  const [arrived] = await drain(to)
  assert.ok(arrived)
  assert.match(arrived.id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(arrived.body, `{"payload": "\\u00e9\\ud83d\\ude80", "queueName": "q", "id": "${arrived.id}"}`)
  await fill(from, [{ id: 'order 7 of today', body: '' }])
  await moveMessages(plan(from, to))
  assert.equal((await drain(to))[0]?.id, arrived.id)
})

test('only an envelope of the usual form without an id is given one', () => {
  const id = 'the-id'
  assert.equal(
    withMessageId('{"payload": 1, "queueName": "q"}', id),
    '{"payload": 1, "queueName": "q", "id": "the-id"}',
  )
  for (const body of [
    '{"payload": 1, "queueName": "q", "id": "other"}',
    '{"payload": 1, "queueName": "q", "failures": []}',
    '{"queueName": "q", "payload": {"a": 1, "queueName": "x"}}',
    'no envelope',
    '',
  ]) {
    assert.equal(withMessageId(body, id), body)
  }
})

test('a message that the other queue refuses stays and is reported, and the others are moved', async () => {
  const [from, to] = [await openMem(), await openMem()]
  await fill(from, messages(40))
  const picky = altered(to, {
    capabilities: { ...to.capabilities, insertBatch: 10 },
    async insert(list: readonly Message[], options: { delaySeconds: number }): Promise<readonly BatchFailure[]> {
      const bad = list.flatMap(({ body }, index) =>
        /"[37]"/.test(body) ? [{ index, error: new Error('too odd') }] : [],
      )
      const good = list.filter((_, index) => !bad.some(failure => failure.index === index))
      await to.insert(good, options)
      return bad
    },
  })
  await assert.rejects(
    moveMessages(plan(from, picky)),
    /38 tasks were moved from mem:.* to mem:.*, 2 refused there, 0 may be in both: too odd/,
  )
  const { enqueued, leased } = await from.counts()
  assert.deepEqual([enqueued, leased], [2, 0], 'given back')
  assert.equal((await to.counts()).enqueued, 38)
})

test('an insert that fails as a whole ends the move; each message is in one of the queues, and none stays leased', async () => {
  const [from, to] = [await openMem(), await openMem()]
  await fill(from, messages(40))
  let batches = 0
  const failing = altered(to, {
    capabilities: { ...to.capabilities, insertBatch: 10 },
    async insert(list: readonly Message[], options: { delaySeconds: number }) {
      if (++batches > 2) throw new Error('no network')
      return to.insert(list, options)
    },
  })
  await assert.rejects(moveMessages(plan(from, failing, { concurrency: 1 })), /20 tasks were moved .*: no network/)
  const { enqueued, leased } = await from.counts()
  assert.deepEqual([enqueued, leased, (await to.counts()).enqueued], [20, 0, 20])
})

test('leases are renewed while an insert takes long; a lost one is counted as uncertain', async () => {
  const clock = new ManualClock()
  const [from, to] = [await openMem(clock), await openMem(clock)]
  await fill(from, messages(3))
  const slow = altered(to, {
    async insert(list: readonly Message[], options: { delaySeconds: number }) {
      // Each step is shorter than a lease, all of them are longer than ten.
      for (let step = 0; step < 30; step++) {
        clock.advance(25)
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.deepEqual(await from.lease({ seconds: 1, max: 9, waitSeconds: 0 }), [], 'still ours')
      return to.insert(list, options)
    },
  })
  assert.deepEqual(await moveMessages(plan(from, slow, { clock })), { moved: 3, uncertain: 0 })

  await fill(from, messages(3))
  const stuck = altered(to, {
    async insert(list: readonly Message[], options: { delaySeconds: number }) {
      clock.advance(61)
      assert.equal((await from.lease({ seconds: 100, max: 2, waitSeconds: 0 })).length, 2)
      return to.insert(list, options)
    },
  })
  // The keeper's clock stands still: as if this process had been stopped for a minute.
  assert.deepEqual(await moveMessages(plan(from, stuck)), { moved: 1, uncertain: 2 })
})

test('an abort ends a move after its current batches', async () => {
  const [from, to] = [await openMem(), await openMem()]
  await fill(from, messages(30))
  const abort = new AbortController()
  const batched = altered(to, {
    capabilities: { ...to.capabilities, insertBatch: 10 },
    insert(list: readonly Message[], options: { delaySeconds: number }) {
      abort.abort()
      return to.insert(list, options)
    },
  })
  const { moved } = await moveMessages(plan(from, batched, { concurrency: 1, signal: abort.signal }))
  assert.equal(moved, 10)
  assert.deepEqual([(await from.counts()).enqueued, (await to.counts()).inserted], [20, 10])
})

test('a copy has each message of any state once, also after an interrupted copy', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ptq-transfer-'))
  const from = await openMem()
  const to = await fq.open({ protocol: 'fq', path: join(folder, 'queue') }, {})
  const sent = messages(2500)
  await fill(from, sent)
  await from.lease({ seconds: 10, max: 5, waitSeconds: 0 })
  const abort = new AbortController()
  const interrupted = altered(to, {
    insert(list: readonly Message[], options: { delaySeconds: number }) {
      abort.abort()
      return to.insert(list, options)
    },
  })
  const first = await copyMessages(plan(from, interrupted, { concurrency: 1, signal: abort.signal }))
  assert.ok(first >= 10 && first < 2500, String(first))
  // Leased there in the meantime: it has a new name, and is still found.
  const held = await to.lease({ seconds: 60, max: 10, waitSeconds: 0 })
  assert.equal(await copyMessages(plan(from, to)), 2500 - first)
  assert.deepEqual(await to.release(held, { delaySeconds: 0 }), [])
  assert.equal((await from.counts()).enqueued, 2500)
  assert.equal((await to.counts()).inserted, 2500)
  assert.deepEqual(await drain(to), byId(sent))
  await to.close()
  await rm(folder, { recursive: true })
})

test('TaskQueue refuses to copy or move what it cannot; a task is found by its id with its failures', async () => {
  await using one = new TaskQueue(`mem://${randomUUID()}`)
  await using two = new TaskQueue(`mem://${randomUUID()}`)
  await assert.rejects(async () => one.moveTo(one), /Expected `destination` to be another queue than the one itself/)
  await assert.rejects(async () => one.copyTo('mem://x' as never), /Expected `destination` to be a TaskQueue/)
  await assert.rejects(
    async () => one.copyTo(two, { from: 3 } as never),
    /Expected options of a transfer to be among signal/,
  )
  await one.insert([new FunctionTask(['tasks', 'print'], ['a']), new FunctionTask(['tasks', 'print'], ['b'])])
  assert.equal(await one.copyTo(two), 2)
  const [task] = await one.list()
  assert.ok(task)
  assert.deepEqual(await two.moveTo(new TaskQueue(`mem://${randomUUID()}`)), { moved: 2, uncertain: 0 })
  const found = await one.find(task.id)
  assert.deepEqual([found?.id, found?.name, found?.state, found?.failures], [task.id, 'tasks.print', 'ready', []])
  assert.equal(await one.find('other'), undefined)
  await assert.rejects(async () => one.find(''), /Expected `id`/)
})
