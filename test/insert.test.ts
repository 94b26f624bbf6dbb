import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import {
  type Backend,
  type BatchFailure,
  FunctionTask,
  InsertError,
  type Message,
  partial,
  queueable,
  RegisteredTask,
  registerBackend,
  registerTask,
  TaskQueue,
  UnsupportedOperationError,
} from 'ptq'
import type { Uploads } from '#ptq/backend/uploads.js'
import { opener as memOpener } from '#ptq/backends/mem/index.js'

const addUp = queueable(function addUp(a: number, b: number) {
  return a + b
})
const nothing = queueable(function nothing() {
  return undefined
})

class Numbered extends RegisteredTask<{ i: number }> {
  override execute() {
    return this.args.i
  }
}
registerTask(Numbered)

/** Hooks on a queue in memory: events that a test observes or makes fail. */
interface Changes {
  insertBatch?: number
  insert?: (
    messages: readonly Message[],
    store: () => Promise<readonly BatchFailure[]>,
  ) => Promise<readonly BatchFailure[]>
  addInserted?: (count: number) => Promise<void>
  uploads?: (mem: Uploads) => Partial<Uploads>
  without?: keyof Backend
}

/** The warnings of the process while `work` runs. */
async function warningsOf(work: () => Promise<void>): Promise<(Error & { code?: string })[]> {
  const said: (Error & { code?: string })[] = []
  const listen = (warning: Error & { code?: string }) => said.push(warning)
  process.on('warning', listen)
  try {
    await work()
    // Node gives warnings in the next tick.
    await nextTurn()
  } finally {
    process.off('warning', listen)
  }
  return said
}

let queues = 0
const open: TaskQueue[] = []

/** A TaskQueue on a queue in memory with some changes. */
async function changedQueue(changes: Changes = {}, options: { concurrency?: number } = {}): Promise<TaskQueue> {
  const name = `insert${++queues}`
  const mem = await memOpener.open({ protocol: 'mem', path: name }, {})
  const { insertBatch = 10, insert, addInserted, uploads, without } = changes
  const changed: Partial<Backend> = { capabilities: { ...mem.capabilities, insertBatch } }
  if (insert !== undefined) {
    changed.insert = (messages, insertOptions) => insert(messages, () => mem.insert(messages, insertOptions))
  }
  if (addInserted !== undefined) changed.addInserted = addInserted
  if (uploads !== undefined && mem.uploads !== undefined) {
    const own = mem.uploads
    const other: Partial<Uploads> = uploads(own)
    const proxy = new Proxy(own, {
      get(target, key) {
        const value: unknown = Reflect.get(other, key) ?? Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    Object.assign(changed, { uploads: proxy })
  }
  const backend = new Proxy(mem, {
    get(target, key) {
      if (key === without) return undefined
      const value: unknown = Reflect.get(changed, key) ?? Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  registerBackend(name, { open: async () => backend })
  const tq = new TaskQueue(`${name}://q`, { progress: false, ...options })
  open.push(tq)
  return tq
}

afterEach(async () => {
  for (const tq of open.splice(0)) await tq.close()
})

function* numbered(count: number) {
  for (let i = 0; i < count; i++) yield { class: 'Numbered', i }
}

async function payloads(tq: TaskQueue): Promise<unknown[]> {
  return (await tq.list()).map(task => task.payload())
}

async function insertError(insert: Promise<number>): Promise<InsertError> {
  try {
    await insert
  } catch (error) {
    assert.ok(error instanceof InsertError, String(error))
    return error
  }
  assert.fail('expected an InsertError')
}

describe('insert', () => {
  it('accepts one task in every form', async () => {
    const tq = await changedQueue()
    assert.equal(await tq.insert(partial(addUp, 1, 2)), 1)
    assert.equal(await tq.insert(new Numbered({ i: 1 })), 1)
    assert.equal(await tq.insert([['m', 'f'], [1], {}, -1]), 1)
    assert.equal(await tq.insert({ class: 'Unknown', x: 1 }), 1)
    assert.equal(await tq.insertAll(nothing), 1)
    assert.deepEqual(await payloads(tq), [
      [['insert.test', 'addUp'], [1, 2], {}, -1],
      { i: 1, class: 'Numbered' },
      [['m', 'f'], [1], {}, -1],
      { class: 'Unknown', x: 1 },
      [['insert.test', 'nothing'], [], {}, -1],
    ])
    assert.equal(await tq.inserted(), 5)
  })

  it('accepts any iterable and async iterable, and nothing else', async () => {
    const tq = await changedQueue()
    assert.equal(await tq.insert([]), 0)
    assert.equal(await tq.insert([...numbered(3)]), 3)
    assert.equal(await tq.insert(new Set(numbered(4))), 4)
    assert.equal(await tq.insert(numbered(25)), 25)
    const later = async function* () {
      for (const task of numbered(12)) {
        await nextTurn()
        yield task
      }
    }
    assert.equal(await tq.insert(later()), 12)
    assert.equal(await tq.enqueued(), 44)
    assert.equal(await tq.inserted(), 44)
    for (const bad of [undefined, null, 7, 'task', {}, Promise.resolve([])]) {
      // @ts-expect-error none of these is a task or holds tasks
      await assert.rejects(tq.insert(bad), { name: 'TypeError', message: /^Expected `tasks` to be / })
    }
    assert.equal(await tq.inserted(), 44)
  })

  it('refuses invalid options before anything is pulled', async () => {
    const tq = await changedQueue()
    const source = {
      [Symbol.iterator]: () => ({ next: () => assert.fail('pulled') }),
    }
    for (const delaySeconds of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(
        tq.insert(source, { delaySeconds }),
        /Expected `delaySeconds` to be a number of seconds of 0/,
      )
    }
    // @ts-expect-error a delay is a number
    await assert.rejects(tq.insert(source, { delaySeconds: '1' }), /Expected `delaySeconds` .* got `'1'` \(string\)/)
    for (const total of [-1, 1.5]) {
      await assert.rejects(tq.insert(source, { total }), /Expected `total` to be an integer of 0 or more/)
    }
  })

  it('pulls no more than the batches that may be in flight', async () => {
    const started: (() => void)[] = []
    let most = 0
    const tq = await changedQueue(
      {
        async insert(_, store) {
          await new Promise<void>(resolve => {
            started.push(resolve)
            most = Math.max(most, started.length)
          })
          return store()
        },
      },
      { concurrency: 3 },
    )
    let pulled = 0
    const source = (function* () {
      for (const task of numbered(200)) {
        pulled += 1
        yield task
      }
    })()
    const insert = tq.insert(source)
    let released = 0
    while (released < 20) {
      while (started.length === 0) await nextTurn()
      // Lets it pull as far as it will.
      for (let turn = 0; turn < 5; turn++) await nextTurn()
      assert.ok(pulled <= (released + 4) * 10, `pulled ${pulled} when ${released} batches were stored`)
      started.shift()?.()
      released += 1
    }
    assert.equal(await insert, 200)
    assert.equal(most, 3)
  })

  it('sends the tasks of a slow source without waiting for a full batch', async () => {
    const tq = await changedQueue()
    let arrived: () => void = () => undefined
    const seen = new Promise<void>(resolve => {
      arrived = resolve
    })
    const source = (async function* () {
      yield partial(addUp, 1, 2)
      await seen
      yield partial(addUp, 3, 4)
    })()
    const insert = tq.insert(source)
    const [task] = await tq.lease({ waitSeconds: 30 })
    assert.ok(task)
    arrived()
    assert.equal(await insert, 2)
  })

  it('lets other work of the process run', async () => {
    const tq = await changedQueue({ insertBatch: 1000 })
    let turns = 0
    const count = () => {
      turns += 1
      if (!done) setImmediate(count)
    }
    let done = false
    setImmediate(count)
    await tq.insert(numbered(100_000))
    done = true
    assert.ok(turns > 5, `expected the event loop to turn, it turned ${turns} times`)
  })

  it('gives every task an id of its own', async () => {
    const tq = await changedQueue()
    const task = partial(addUp, 1, 2)
    await tq.insert([task, task, task])
    const ids = (await tq.list()).map(listed => listed.id)
    assert.equal(new Set(ids).size, 3)
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('raises the counter once by the number of inserted tasks, or not at all with that option', async () => {
    const counts: number[] = []
    const tq = await changedQueue({
      async addInserted(count) {
        counts.push(count)
      },
    })
    await tq.insert(numbered(35))
    await tq.insert([])
    await tq.insert(numbered(5), { skipInsertCounter: true })
    assert.deepEqual(counts, [35])
  })

  it('succeeds if only the counter failed, and warns once how many were not counted', async () => {
    const tq = await changedQueue({
      async addInserted() {
        throw new Error('EDQUOT')
      },
    })
    const said = await warningsOf(async () => {
      assert.equal(await tq.insert(numbered(35)), 35)
      assert.equal(await tq.insert(numbered(5)), 5)
    })
    assert.deepEqual(
      said.map(({ code }) => code),
      ['PTQ_NOT_COUNTED'],
    )
    assert.match(
      said[0]?.message ?? '',
      /^35 tasks were inserted into mem:.*, but not counted as inserted: .*EDQUOT\. The count is that much too low/,
    )
    assert.equal(await tq.enqueued(), 40)
  })

  it('succeeds as a move, copy or resumed insert too if only the counter failed; the next resume counts', async () => {
    let broken = true
    const counts: number[] = []
    const changes: Changes = {
      async addInserted(count) {
        if (broken) throw new Error('EDQUOT')
        counts.push(count)
      },
    }
    const [resumed, to] = [await changedQueue(changes), await changedQueue(changes)]
    const tasks = [...numbered(35)]
    const said = await warningsOf(async () => {
      assert.equal(await resumed.insert(tasks, { resume: 'job' }), 35)
      assert.equal(await resumed.copyTo(to), 35)
      assert.equal((await resumed.moveTo(to)).moved, 35)
    })
    assert.equal(said.length, 2)
    assert.match(said[0]?.message ?? '', /^35 tasks .* The same insert with resume: 'job' counts them\./)
    assert.equal(await to.enqueued(), 35)
    broken = false
    assert.equal(await resumed.insert(tasks, { resume: 'job' }), 0)
    assert.equal(await resumed.insert(tasks, { resume: 'job' }), 0)
    assert.deepEqual(counts, [35])
    assert.equal(await resumed.enqueued(), 0)
  })

  for (const verb of ['counted', 'finish'] as const) {
    it(`succeeds with resume if only its journal cannot be written: ${verb}; the next one inserts nothing again`, async () => {
      let broken = true
      const counts: number[] = []
      const tq = await changedQueue({
        async addInserted(count) {
          counts.push(count)
        },
        uploads: mem => ({
          [verb]: async (run: string, count: number) => {
            if (broken) throw new Error('EDQUOT')
            await mem[verb](run, count)
          },
        }),
      })
      const tasks = [...numbered(35)]
      const said = await warningsOf(async () => {
        assert.equal(await tq.insert(tasks, { resume: 'job' }), 35)
      })
      const code = verb === 'counted' ? 'PTQ_NOT_COUNTED' : 'PTQ_INSERT_NOT_CLOSED'
      assert.deepEqual(
        said.map(warning => warning.code),
        [code],
      )
      assert.match(said[0]?.message ?? '', /EDQUOT.* The same insert with resume: 'job'/)
      broken = false
      assert.equal(await tq.insert(tasks, { resume: 'job' }), 0)
      assert.equal(await tq.insert(tasks, { resume: 'job' }), 0)
      assert.deepEqual(counts, [35])
      assert.equal(await tq.enqueued(), 35)
    })
  }

  it('ends at the first failure with an error with exact counts', async () => {
    let calls = 0
    let returned = false
    const tq = await changedQueue(
      {
        async insert(messages, store) {
          calls += 1
          if (calls === 3) throw new Error('EIO')
          if (calls === 2) return [{ index: messages.length - 1, error: new Error('too long') }, ...(await store())]
          return store()
        },
      },
      { concurrency: 1 },
    )
    const source = (function* () {
      try {
        yield* numbered(1000)
      } finally {
        returned = true
      }
    })()
    const error = await insertError(tq.insert(source, { total: 1000 }))
    assert.equal(calls, 2)
    const { inserted, failed, notTried } = error
    assert.deepEqual({ inserted, failed, notTried }, { inserted: 19, failed: 1, notTried: 980 })
    assert.match(
      error.message,
      /^19 of 1000 tasks were inserted into mem:\/\/insert\d+, 1 failed, 980 not tried: too long$/,
    )
    assert.ok(error.cause instanceof Error && error.cause.message === 'too long')
    assert.equal(returned, true)
    assert.equal(await tq.inserted(), 19)

    calls = 2
    const whole = await insertError(tq.insert(numbered(30)))
    assert.deepEqual([whole.inserted, whole.failed, whole.notTried], [0, 10, undefined])
    assert.match(whole.message, /^0 tasks were inserted into .*, 10 failed, an unknown number not tried: EIO$/)
  })

  it('names the index of an invalid task and of a value that JSON cannot represent', async () => {
    const tq = await changedQueue()
    const bad: unknown[] = [...numbered(12), 'nonsense', ...numbered(3)]
    // @ts-expect-error a text is no task
    const error = await insertError(tq.insert(bad))
    assert.deepEqual([error.inserted, error.failed, error.notTried], [10, 1, 5])
    assert.match(error.message, /Task 12 of this insert, from 0, can't be inserted: Expected `task` to be a task/)
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    const second = await insertError(tq.insert([new FunctionTask(['m', 'f'], [1, cyclic])]))
    assert.match(second.message, /Task 0 .*`args\[1\]\[0\]` to be free of cycles/)
    // A pair with extra arguments is for running here, not for a queue.
    // @ts-expect-error a pair is no task
    await insertError(tq.insert([[{ class: 'A' }, [1]]]))
    assert.equal(await tq.enqueued(), 10)
  })

  it('inserts the tasks that a generator yielded before it threw, and rejects with its error', async () => {
    const tq = await changedQueue()
    const boom = new Error('no such file')
    const source = (function* () {
      yield* numbered(15)
      throw boom
    })()
    const { inserted, failed, notTried, cause } = await insertError(tq.insert(source, { total: 20 }))
    assert.equal(cause, boom)
    assert.deepEqual({ inserted, failed, notTried }, { inserted: 15, failed: 0, notTried: 5 })
  })

  it('counts every task in its error under random failures', async () => {
    const property = fc.asyncProperty(
      fc.nat(120),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.uniqueArray(fc.nat(150), { maxLength: 3 }),
      fc.uniqueArray(fc.nat(15), { maxLength: 2 }),
      async (count, insertBatch, concurrency, badTasks, badBatches) => {
        let batches = 0
        const tq = await changedQueue(
          {
            insertBatch,
            async insert(_, store) {
              const batch = batches++
              await nextTurn()
              if (badBatches.includes(batch)) throw new Error('EIO')
              await store()
              return []
            },
          },
          { concurrency },
        )
        const tasks: unknown[] = [...numbered(count)].map((task, i) => (badTasks.includes(i) ? i : task))
        // @ts-expect-error numbers are no tasks
        const result = await tq.insert(tasks).catch((error: unknown) => error)
        const enqueued = await tq.enqueued()
        assert.equal(await tq.inserted(), enqueued)
        if (result instanceof InsertError) {
          assert.equal(result.inserted, enqueued)
          assert.equal(result.inserted + result.failed + (result.notTried ?? Number.NaN), count)
          assert.ok(result.failed > 0)
        } else {
          assert.equal(result, count)
          assert.equal(enqueued, count)
        }
        await tq.purge()
        await tq.close()
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  it('ends on close, also while it waits for its source', async () => {
    const tq = await changedQueue()
    const source = (async function* () {
      yield partial(addUp, 1, 2)
      await new Promise<never>(() => undefined)
    })()
    const insert = tq.insert(source)
    await tq.lease({ waitSeconds: 30 })
    const closed = tq.close()
    const error = await insertError(insert)
    assert.equal(error.inserted, 1)
    assert.match(error.message, /was closed/)
    await closed
  })

  it('copies another queue without changing its messages', async () => {
    const source = await changedQueue()
    const target = await changedQueue()
    await source.insert([{ class: 'Unknown', id: 18446744073709551615n }, partial(addUp, 1, 2)])
    await source.lease({ numTasks: 1 })
    assert.equal(await target.insert(source), 2)
    const texts = async (tq: TaskQueue) => (await tq.list()).map(task => task.payloadText).sort()
    assert.deepEqual(await texts(target), await texts(source))
    assert.equal(await target.inserted(), 2)

    const [leased] = await target.lease()
    assert.ok(leased)
    assert.equal(await source.insert([leased, ...(await target.list())]), 3)
    assert.equal(await source.enqueued(), 5)
  })

  it('refuses to copy a queue into itself, and one that cannot be listed', async () => {
    const tq = await changedQueue()
    await assert.rejects(tq.insert(tq), /Expected `tasks` to be another queue/)
    await assert.rejects(tq.insert(new TaskQueue(tq.url)), /Expected `tasks` to be another queue/)
    const unlisted = await changedQueue({ without: 'list' })
    await assert.rejects(tq.insert(unlisted), UnsupportedOperationError)
  })
})

/** Calls that the compiler has to refuse. */
export function refusedByTheCompiler(tq: TaskQueue): void {
  // @ts-expect-error an argument is missing
  void tq.insert(partial(addUp, 1))
  // @ts-expect-error an argument is missing
  void tq.insert(addUp)
  // @ts-expect-error no such option
  void tq.insert(nothing, { delay: 1 })
}
