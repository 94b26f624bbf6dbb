import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type Backend,
  type BatchFailure,
  type Counts,
  type LeasedTask,
  LeaseLostError,
  type ListedTask,
  partial,
  queueable,
  registerBackend,
  TaskQueue,
  UnregisteredTaskError,
  UnsupportedOperationError,
} from 'ptq'
import { ManualClock } from 'ptq/testing'
import { opener as memOpener } from '#ptq/backends/mem/index.js'
import { Leasing } from '#ptq/queue/leasing.js'

const addUp = queueable(function addUp(a: number, b: number) {
  return a + b
})

let queues = 0
const open: TaskQueue[] = []

function newQueue(clock = new ManualClock(), options: { concurrency?: number } = {}): TaskQueue {
  const tq = new TaskQueue(`mem://task-queue${++queues}`, { progress: false, clock, ...options })
  open.push(tq)
  return tq
}

/** A queue in memory with some members changed or, where `undefined`, missing; and the backend below it. */
async function changedQueue(
  change: (mem: Backend) => { [K in keyof Backend]?: Backend[K] | undefined },
  options: { concurrency?: number } = {},
): Promise<{ tq: TaskQueue; mem: Backend }> {
  const name = `changed${++queues}`
  const mem = await memOpener.open({ protocol: 'mem', path: name }, { clock: new ManualClock() })
  const changed = change(mem)
  const backend = new Proxy(mem, {
    get(target, key) {
      const value: unknown = Reflect.has(changed, key) ? Reflect.get(changed, key) : Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  registerBackend(name, { open: async () => backend })
  const tq = new TaskQueue(`${name}://q`, { progress: false, ...options })
  open.push(tq)
  return { tq, mem }
}

function numbered(count: number) {
  return Array.from({ length: count }, (_, i) => ({ class: 'Numbered', i }))
}

/** Exactly one task. */
async function leaseOne(tq: TaskQueue, seconds = 60): Promise<LeasedTask> {
  const [task, ...others] = await tq.lease({ seconds })
  assert.ok(task)
  assert.equal(others.length, 0)
  return task
}

/** Resolves when Node warns of a message of this backend. */
function warningOf({ label }: Backend): Promise<string> {
  return new Promise(resolve => {
    const onWarning = ({ name, message }: Error) => {
      if (!message.includes(`${label} `)) return
      process.off('warning', onWarning)
      resolve(`${name}: ${message}`)
    }
    process.on('warning', onWarning)
  })
}

afterEach(async () => {
  for (const tq of open.splice(0)) {
    await tq.close()
  }
})

describe('a TaskQueue', () => {
  it('refuses invalid arguments before the queue is opened', async () => {
    assert.throws(() => new TaskQueue('my-queue'), /Expected `url` to be .*`\.\/my-queue`.*`sqs:\/\/my-queue`/)
    for (const concurrency of [0, -1, 1.5, Number.NaN]) {
      assert.throws(
        () => new TaskQueue('mem://q', { concurrency }),
        /Expected `concurrency` to be an integer of 1 or more/,
      )
    }
    assert.throws(
      // @ts-expect-error a boolean
      () => new TaskQueue('mem://q', { progress: 1 }),
      /Expected `progress` to be true or false, got `1` \(number\)/,
    )
    // @ts-expect-error an object
    assert.throws(() => new TaskQueue('mem://q', 'eu-central-1'), /Expected `options` to be an object/)

    registerBackend('unopened', { open: async () => assert.fail('opened') })
    const tq = new TaskQueue('unopened://q')
    for (const seconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(tq.lease({ seconds }), /Expected `seconds` to be a number of seconds above 0, got `/)
      await assert.rejects(tq.renew([], seconds), /Expected `seconds`/)
      await assert.rejects(tq.blockUntilEmpty({ intervalSeconds: seconds }), /Expected `intervalSeconds`/)
    }
    for (const numTasks of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(tq.lease({ numTasks }), /Expected `numTasks` to be an integer of 1 or more, got `/)
    }
    await assert.rejects(tq.lease({ waitSeconds: -1 }), /Expected `waitSeconds` to be a number of seconds of 0 or more/)
    // @ts-expect-error a boolean
    await assert.rejects(tq.delete([], { tally: 1 }), /Expected `tally` to be true or false/)
    // @ts-expect-error a boolean
    await assert.rejects(tq.purge({ native: 1 }), /Expected `native` to be true or false/)
    // A misspelt option would silently do nothing.
    const wrong = { numTask: 5 } as object
    for (const [verb, call] of Object.entries({
      insert: () => tq.insert([], wrong),
      lease: () => tq.lease(wrong),
      delete: () => tq.delete([], wrong),
      purge: () => tq.purge(wrong),
      blockUntilEmpty: () => tq.blockUntilEmpty(wrong),
    })) {
      await assert.rejects(
        call(),
        new RegExp(`^TypeError: Expected options of ${verb} to be among .*, got \`numTask\``),
      )
    }
    for (const bad of ['id', undefined, null, {}, [{}], [undefined]]) {
      // @ts-expect-error none of these is a leased task
      await assert.rejects(tq.delete(bad), /Expected `tasks(\[0\])?` to be .*task.* that this queue leased/)
    }
    await tq.close()
  })

  it('rounds times up to what the queue supports, and refuses those beyond', async () => {
    const asked: number[] = []
    const { tq } = await changedQueue(mem => ({
      capabilities: { ...mem.capabilities, secondsStep: 1, maxLeaseSeconds: 43_200, maxDelaySeconds: 900 },
      lease: async options => {
        asked.push(options.seconds)
        return mem.lease(options)
      },
      insert: async (messages, options) => {
        asked.push(options.delaySeconds)
        return mem.insert(messages, { delaySeconds: 0 })
      },
    }))
    await tq.insert(numbered(1), { delaySeconds: 0.01 })
    const task = await leaseOne(tq, 1.2)
    await tq.lease({ seconds: 43_200 })
    assert.deepEqual(asked, [1, 2, 43_200])
    const limit =
      /Expected `seconds` to be at most 43200 seconds, the limit of mem:\/\/changed\d+, got `43200\.5` \(number\)/
    await assert.rejects(tq.lease({ seconds: 43_200.5 }), limit)
    await assert.rejects(tq.renew(task, 43_200.5), limit)
    await assert.rejects(tq.insert(numbered(1), { delaySeconds: 901 }), /`delaySeconds` to be at most 900 seconds/)
    assert.equal(asked.length, 3)
  })

  it('returns tasks that can be executed, also if their code is unknown here', async () => {
    const tq = newQueue()
    await tq.insert([partial(addUp, 40, 2), { class: 'Elsewhere', x: 18446744073709551615n }])
    const [known, unknown, ...others] = await tq.lease({ numTasks: 5 })
    assert.ok(known && unknown)
    assert.equal(others.length, 0)
    assert.equal(known.execute(), 42)
    assert.equal(known.task, known.task)
    assert.equal(known.attempt, 1)
    assert.deepEqual(known.payload(), [['task-queue.test', 'addUp'], [40, 2], {}, -1])
    assert.equal(unknown.payloadText, '{"class":"Elsewhere","x":18446744073709551615}')
    assert.throws(() => unknown.task, UnregisteredTaskError)
    assert.throws(() => unknown.execute(), UnregisteredTaskError)
    assert.equal(await tq.delete([known, unknown]), 2)
  })

  it('returns counts', async () => {
    const clock = new ManualClock()
    const tq = newQueue(clock)
    assert.equal(await tq.isEmpty(), true)
    await tq.insert(numbered(5))
    await tq.insert(numbered(2), { delaySeconds: 10 })
    const task = await leaseOne(tq)
    await leaseOne(tq)
    await tq.delete(task, { tally: true })
    assert.deepEqual(await tq.status(), {
      queue: tq.url,
      approximate: false,
      enqueued: 6,
      leased: 1,
      delayed: 2,
      inserted: 7,
      completed: 1,
      quarantined: 0,
    })
    assert.equal(await tq.enqueued(), 6)
    assert.equal(await tq.inserted(), 7)
    assert.equal(await tq.completed(), 1)
    assert.equal(await tq.leased(), 1)
    assert.equal(await tq.isEmpty(), false)
    await tq.rezero()
    assert.equal(await tq.inserted(), 0)
    assert.equal(await tq.completed(), 0)
    await tq.purge()
    assert.equal(await tq.isEmpty(), true)
  })

  it('renews and releases leases', async () => {
    const clock = new ManualClock()
    const tq = newQueue(clock)
    const other = new TaskQueue(tq.url, { progress: false })
    open.push(other)
    await tq.insert(numbered(1))
    const task = await leaseOne(tq, 10)
    await tq.renew(task, 100)
    clock.advance(50)
    assert.deepEqual(await other.lease(), [])
    await tq.release(task)
    const again = await leaseOne(other, 10)
    assert.equal(again.id, task.id)
    assert.equal(again.attempt, 1)
    await other.cancel(again)
    const underItsFormerName = await leaseOne(other, 10)
    assert.deepEqual([underItsFormerName.id, underItsFormerName.attempt], [task.id, 1])
    assert.equal(await tq.releaseAll(), 1)
    const third = await leaseOne(tq)
    await assert.rejects(
      other.delete(underItsFormerName),
      (error: unknown) => error instanceof LeaseLostError && error.id === task.id,
    )
    await tq.delete(third)
  })

  it('reports lost leases by task, and processes all others', async () => {
    const clock = new ManualClock()
    const tq = newQueue(clock)
    const other = new TaskQueue(tq.url, { progress: false })
    open.push(other)
    await tq.insert(numbered(3))
    const lost = await tq.lease({ seconds: 10, numTasks: 3 })
    clock.advance(10)
    const taken = await other.lease({ seconds: 1000, numTasks: 3 })
    await tq.insert(numbered(2))
    const [first, second] = await tq.lease({ numTasks: 2 })
    assert.ok(first && second && lost[0])

    await assert.rejects(tq.delete([first, lost[0]], { tally: true }), (error: unknown) => {
      return error instanceof LeaseLostError && error.id === lost[0]?.id
    })
    assert.equal(await tq.completed(), 1)
    for (const verb of [
      () => tq.renew([...lost, second], 500),
      () => tq.release([...lost, second]),
      () => tq.delete(lost, { tally: true }),
    ]) {
      await assert.rejects(verb(), (error: unknown) => {
        assert.ok(error instanceof AggregateError)
        assert.deepEqual(error.errors.map(({ id }) => id).sort(), lost.map(({ id }) => id).sort())
        assert.match(error.message, /^[01] of [34] .* mem:\/\/\S+; 3 failed, 3 of them with a lost lease: /)
        return true
      })
    }
    assert.equal((await leaseOne(tq)).id, second.id)
    assert.equal(await other.delete(taken, { tally: true }), 3)
    assert.equal(await tq.completed(), 4)
  })

  it('accepts only tasks that it has leased itself, and each once', async () => {
    const tq = newQueue()
    const other = new TaskQueue(tq.url, { progress: false })
    open.push(other)
    await tq.insert(numbered(2))
    const [task, second] = await tq.lease({ numTasks: 2 })
    assert.ok(task && second)
    await assert.rejects(other.delete(task), /Expected `task` to be a task that this queue leased/)
    await assert.rejects(other.delete([task]), /Expected `tasks\[0\]` to be a task that this queue leased/)
    const [listed] = await tq.list()
    assert.ok(listed)
    // @ts-expect-error a listed task is not ours to delete
    await assert.rejects(tq.delete(listed), /that this queue leased/)
    assert.equal(await tq.delete([task, task, second]), 2)
    await assert.rejects(tq.delete(task), LeaseLostError)
    assert.equal(await tq.delete([]), 0)
  })

  it('sends leases in batches, several at once', async () => {
    const sizes: number[] = []
    let underWay = 0
    let most = 0
    const { tq } = await changedQueue(
      mem => ({
        capabilities: { ...mem.capabilities, leaseBatch: 10 },
        delete: async (leases, options) => {
          sizes.push(leases.length)
          underWay += 1
          most = Math.max(most, underWay)
          await nextTurn()
          underWay -= 1
          if (leases.length === 5) throw new Error('EIO')
          return mem.delete(leases, options)
        },
      }),
      { concurrency: 3 },
    )
    await tq.insert(numbered(95))
    const tasks = await tq.lease({ numTasks: 95 })
    await assert.rejects(tq.delete(tasks), /^Error: EIO$/)
    assert.deepEqual(sizes, [10, 10, 10, 10, 10, 10, 10, 10, 10, 5])
    assert.equal(most, 3)
    assert.equal(await tq.enqueued(), 5)
  })

  it('lists its tasks without leasing them', async () => {
    const tq = newQueue()
    await tq.insert(numbered(2))
    await tq.insert({ class: 'Later' }, { delaySeconds: 5 })
    const leased = await leaseOne(tq)
    const seen = new Map<unknown, string>()
    for await (const task of tq.tasks()) seen.set(task.id === leased.id ? 'leased' : task.payload(), task.state)
    assert.equal(seen.size, 3)
    assert.equal(seen.get('leased'), 'leased')
    const tasks: ListedTask[] = await tq.list()
    assert.deepEqual(tasks.map(task => task.state).sort(), ['delayed', 'leased', 'ready'])
    // A reader that stops does not block close.
    for await (const _ of tq.tasks()) break
    const looking = tq.tasks()
    await looking.next()
    await tq.close()
    await assert.rejects(looking.next(), /was closed/)
  })

  it('copies payloads byte for byte, also those of other programs', async () => {
    const { tq, mem } = await changedQueue(() => ({}))
    const payload = '[["tasks", "f"], [1.0, 18446744073709551615, "\\u010d"], {"x": NaN}, -1]'
    await mem.insert([{ id: 'a', body: `{"payload": ${payload}, "queueName": "/q"}` }], { delaySeconds: 0 })
    const copy = newQueue()
    assert.equal(await copy.insert(tq), 1)
    assert.equal((await leaseOne(copy)).payloadText, payload)
  })

  it('says in one sentence which verbs its queue does not support', async () => {
    const { tq } = await changedQueue(() => ({
      list: undefined,
      rezero: undefined,
      releaseAll: undefined,
      counts: async () => ({ enqueued: Number.NaN }) as Counts,
    }))
    for (const verb of [
      () => tq.list(),
      () => tq.tasks().next(),
      () => tq.rezero(),
      () => tq.releaseAll(),
      () => tq.isEmpty(),
      () => tq.blockUntilEmpty(),
    ]) {
      await assert.rejects(verb(), (error: unknown) => {
        assert.ok(error instanceof UnsupportedOperationError)
        assert.match(error.message, /^mem:\/\/changed\d+ (can't|keeps no) /)
        return true
      })
    }
  })

  it('is empty after as many empty counts as its queue requires', async () => {
    const counts = [0, 3, 0, 0, 0, 0, 0]
    const { tq, mem } = await changedQueue(backend => ({
      capabilities: { ...backend.capabilities, emptyConfirmations: { samples: 3, windowSeconds: 0.002 } },
      counts: async () => ({ ...(await mem.counts()), enqueued: counts.shift() ?? assert.fail('looked too often') }),
    }))
    assert.equal(await tq.isEmpty(), false)
    assert.equal(counts.length, 5)
    await tq.blockUntilEmpty({ intervalSeconds: 0.001 })
    assert.equal(counts.length, 2)
  })

  it('blocks until it is empty, aborted or closed', async () => {
    const tq = newQueue()
    await tq.insert(numbered(1))
    const task = await leaseOne(tq)
    const empty = tq.blockUntilEmpty({ intervalSeconds: 0.001 })
    const reason = new Error('enough')
    const abort = new AbortController()
    const aborted = tq.blockUntilEmpty({ intervalSeconds: 1000, signal: abort.signal })
    await nextTurn()
    abort.abort(reason)
    await assert.rejects(aborted, reason)
    await assert.rejects(tq.blockUntilEmpty({ signal: abort.signal }), reason)
    await tq.delete(task)
    await empty

    await tq.insert(numbered(1))
    const closed = tq.blockUntilEmpty({ intervalSeconds: 1000 })
    await nextTurn()
    await Promise.all([tq.close(), assert.rejects(closed, /was closed/)])
  })

  it('waits for an interval above 2^31 ms', async () => {
    let looks = 0
    const { tq } = await changedQueue(backend => ({
      counts: () => {
        looks++
        return backend.counts()
      },
    }))
    await tq.insert(numbered(1))
    const abort = new AbortController()
    const waiting = tq.blockUntilEmpty({ intervalSeconds: 2_592_000, signal: abort.signal })
    // A timer of a length that Node can't have fires at once: after some others it has.
    for (let timer = 0; timer < 5; timer++) await new Promise(resolve => setTimeout(resolve, 2))
    assert.equal(looks, 1)
    abort.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
  })

  it('releases leased tasks and ends waiting calls on close', async () => {
    const clock = new ManualClock()
    const tq = newQueue(clock)
    const other = new TaskQueue(tq.url, { progress: false })
    open.push(other)
    await tq.insert(numbered(4))
    const [finished, released, lost, held] = await tq.lease({ seconds: 10, numTasks: 4 })
    assert.ok(finished && released && lost && held)
    await tq.delete(finished)
    await tq.renew([held], 1000)
    await tq.release(released)
    await leaseOne(other, 1000)
    clock.advance(10)
    await leaseOne(other, 1000)
    const waiting = tq.lease({ waitSeconds: 10_000 })
    await nextTurn()
    await tq.close()
    assert.deepEqual(await waiting, [])
    const back = await leaseOne(other)
    assert.equal(back.id, held.id)
    assert.equal(back.attempt, 1)
    await assert.rejects(tq.delete(held), /was closed/)
  })

  it('reports tasks that could not be released on close, and closes the backend', async () => {
    let closed = 0
    const { tq } = await changedQueue(mem => ({
      release: async () => {
        throw new Error('EROFS')
      },
      close: async () => {
        closed += 1
        await mem.close()
      },
    }))
    await tq.insert(numbered(1))
    await leaseOne(tq)
    await assert.rejects(tq.close(), /EROFS/)
    await assert.rejects(tq.close(), /EROFS/)
    assert.equal(closed, 1)
    open.splice(open.indexOf(tq), 1)
  })

  it('is closed by `await using`', async () => {
    const tq = newQueue()
    await tq.insert(numbered(1))
    await tq[Symbol.asyncDispose]()
    await assert.rejects(tq.enqueued(), /was closed/)
  })

  it('ends the wait for a task on an abort', async () => {
    const tq = newQueue()
    const abort = new AbortController()
    const waiting = tq.lease({ waitSeconds: 10_000, signal: abort.signal })
    await nextTurn()
    abort.abort()
    assert.deepEqual(await waiting, [])
    const next = tq.lease({ waitSeconds: 10_000 })
    await tq.insert(numbered(1))
    assert.equal((await next).length, 1)
  })
})

describe('an invalid message', () => {
  const bad = (id: string) => ({ id, body: '{"payload": {"no": "class"}, "queueName": "q"}' })

  it('is quarantined with a warning, and others are leased instead', async () => {
    const { tq, mem } = await changedQueue(() => ({}))
    const messages = [bad('a'), bad('b'), bad('c')]
    await mem.insert(messages, { delaySeconds: 0 })
    await tq.insert(numbered(2))
    const warned = warningOf(mem)
    const tasks = await tq.lease({ numTasks: 2 })
    assert.deepEqual(
      tasks.map(task => Reflect.get(task.payload(), 'i')),
      [0],
    )
    assert.match(
      await warned,
      /^PtqWarning: Message a of mem:\/\/changed\d+ is no task and was set aside: Expected the payload/,
    )
    assert.equal((await tq.status()).quarantined, 3)
    assert.equal((await leaseOne(tq)).payloadText, '{"class":"Numbered","i":1}')
    assert.deepEqual(await tq.lease(), [])
  })

  it('is released if the queue has no quarantine, and lease does not retry endlessly', async () => {
    const { tq, mem } = await changedQueue(() => ({ quarantine: undefined }))
    await mem.insert([bad('a'), bad('b')], { delaySeconds: 0 })
    const warned = warningOf(mem)
    assert.deepEqual(await tq.lease({ numTasks: 2 }), [])
    assert.match(await warned, /Message a of .* is no task and was released/)
    await tq.insert(numbered(1))
    assert.equal((await tq.lease({ numTasks: 3 })).length, 1)
    assert.equal((await tq.status()).leased, 1)
  })

  it('that cannot be moved does not prevent leases of others', async () => {
    const { tq, mem } = await changedQueue(() => ({
      quarantine: async () => {
        throw new Error('EROFS')
      },
    }))
    await mem.insert([bad('a')], { delaySeconds: 0 })
    await tq.insert(numbered(1))
    const warned = warningOf(mem)
    assert.equal((await tq.lease({ numTasks: 2 })).length, 1)
    assert.match(await warned, /Message a of .* was not set aside \(EROFS\): Expected the payload/)
  })

  it('is not requested again from a backend that only postpones it', async () => {
    let quarantined = 0
    const { tq, mem } = await changedQueue(backend => ({
      quarantine: async lease => {
        quarantined += 1
        await backend.release([lease], { delaySeconds: 0 })
      },
    }))
    await mem.insert([bad('a')], { delaySeconds: 0 })
    assert.deepEqual(await tq.lease(), [])
    assert.equal(quarantined, 2)
  })

  it('is left out of a listing with a warning', async () => {
    const { tq, mem } = await changedQueue(() => ({}))
    await mem.insert([bad('a')], { delaySeconds: 0 })
    await tq.insert(numbered(1))
    const warned = warningOf(mem)
    assert.equal((await tq.list()).length, 1)
    assert.match(await warned, /Message a of .* was left out of the list/)
  })
})

describe('held leases', () => {
  it('are forgotten when they expire, to free their memory', async () => {
    const leasing = new Leasing(1)
    const mem = await memOpener.open({ protocol: 'mem', path: 'sweep' }, {})
    const signal = new AbortController().signal
    const noFailure: BatchFailure[] = []
    const endless: Backend = new Proxy(mem, {
      get(target, key) {
        if (key === 'lease')
          return async () => [{ id: 'a', body: '{"payload": {"class": "A"}}', attempt: 1, handle: 0 }]
        if (key === 'delete') return async () => noFailure
        return Reflect.get(target, key)
      },
    })
    let most = 0
    let last: LeasedTask | undefined
    for (let i = 0; i < 5000; i++) {
      ;[last] = await leasing.lease(endless, { seconds: -1, max: 1, waitSeconds: 0, signal })
      most = Math.max(most, leasing.held.length)
    }
    assert.ok(most <= 1024, `${most} leases were held`)
    assert.ok(last)
    assert.equal((await leasing.delete(endless, [last], { tally: false })).size, 0)
    await mem.close()
  })
})
