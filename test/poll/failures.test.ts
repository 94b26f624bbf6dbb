import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { describe, it } from 'node:test'
import { type Failure, type ListedTask, registerBackend, TaskError, TaskQueue, type WorkerEventMap } from 'ptq'
import { opener as memOpener } from '#ptq/backends/mem/index.js'
import { event, onEach, recorded, type TestQueue, task } from './queues.js'
import './tasks.js'

/** Failed tasks are tried again after whole seconds on fq. */
const soon = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02, untilEmpty: true } as const

async function letters(tq: TaskQueue, deadLetter?: string): Promise<ListedTask[]> {
  const all: ListedTask[] = []
  for await (const letter of tq.failures(deadLetter === undefined ? {} : { deadLetter })) all.push(letter)
  return all
}

/** Exactly one. */
async function theLetter(tq: TaskQueue, deadLetter?: string): Promise<ListedTask> {
  const [letter, ...others] = await letters(tq, deadLetter)
  assert.ok(letter)
  assert.equal(others.length, 0)
  return letter
}

async function insertOne(tq: TaskQueue, name: string, ...args: unknown[]): Promise<string> {
  await tq.insert([task(name, ...args)])
  const [inserted] = await tq.list()
  assert.ok(inserted)
  return inserted.id
}

// Most of the time passes until tasks may be tried again: whole seconds on fq.
describe('failures', { concurrency: 6 }, () => {
  onEach(
    'a task that throws is retried, and moves to the dead letters with its history after maxAttempts',
    async queue => {
      const tq = queue.open()
      const id = await insertOne(tq, 'throwing', 'line one\nline two\u001b[31m')
      const seen: WorkerEventMap['failed'][] = []
      tq.events.on('failed', failed => seen.push(failed))
      const dead = event(tq.events, 'dead-lettered')
      const before = Date.now()
      assert.equal(await tq.poll({ ...soon, parallel: 1, maxAttempts: 2, tally: true }), 0)
      assert.deepEqual(
        seen.map(({ task: { attempt }, error, retryInSeconds }) => [
          attempt,
          String(error),
          retryInSeconds !== undefined,
        ]),
        [
          [1, 'Error: line one\nline two\u001b[31m', true],
          [2, 'Error: line one\nline two\u001b[31m', false],
        ],
      )
      const { reason, deadLetter } = await dead
      assert.equal(reason, 'Error: line one line two [31m')
      assert.equal(deadLetter, `${queue.url}/failed`)
      const letter = await theLetter(tq)
      assert.equal(letter.id, id)
      assert.deepEqual(letter.payload(), [['tasks', 'throwing'], ['line one\nline two\u001b[31m'], {}, -1])
      assert.equal(letter.failures.length, 2)
      letter.failures.forEach((failure, index) => {
        const { failedAtMs, durationSeconds, stack, ...rest } = failure
        // Of the last one alone, without the control characters of its message.
        if (index === 0) assert.equal(stack, undefined)
        else assert.match(stack ?? '', /^Error: line one\nline two \[31m\n {4}at /)
        assert.deepEqual(rest, {
          attempt: index + 1,
          reason,
          host: hostname(),
          pid: process.pid,
        } satisfies Partial<Failure>)
        assert.ok(failedAtMs >= before && failedAtMs <= Date.now())
        assert.ok(durationSeconds >= 0)
      })
      const { enqueued, completed } = await tq.status()
      assert.deepEqual({ enqueued, completed }, { enqueued: 0, completed: 0 })
      assert.equal(await queue.open(deadLetter).inserted(), 1)
    },
  )

  onEach('a task that throws an unreadable value fails alone', async queue => {
    const tq = queue.open()
    await tq.insert([task('unreadable'), task('noop', 1)])
    assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 1 }), 1)
    assert.equal((await theLetter(tq)).failures[0]?.reason, "Error: can't be read: looked at")
  })

  onEach('a task that succeeds later leaves no history', async queue => {
    const tq = queue.open()
    await tq.insert([task('throwUntil', 3)])
    const succeeded = event(tq.events, 'succeeded')
    assert.equal(await tq.poll({ ...soon, parallel: 0 }), 1)
    assert.equal((await succeeded).value, 3)
    assert.deepEqual(await letters(tq), [])
  })

  onEach(
    'the default is five attempts, and none is counted before',
    async queue => {
      const tq = queue.open()
      await tq.insert([task('noop', 1)])
      assert.deepEqual(await letters(tq), [])
      await tq.purge()
      await tq.insert([task('throwing', 'x')])
      await tq.poll({ ...soon, parallel: 0 })
      assert.equal((await theLetter(tq)).failures.length, 5)
    },
    ['mem'],
  )

  onEach('a task that ends its thread fails alone, with the reason', async queue => {
    const tq = queue.open()
    await tq.insert([task('exitThread'), ...Array.from({ length: 30 }, (_, n) => task('noop', n))])
    assert.equal(await tq.poll({ ...soon, parallel: 2, maxAttempts: 2 }), 30)
    const { failures } = await theLetter(tq)
    assert.deepEqual(
      failures.map(({ reason }) => /process\.exit\(3\)/.test(reason)),
      [true, true],
    )
  })

  onEach('a task that exceeds its time-out is stopped, also in a synchronous loop', async queue => {
    const tq = queue.open()
    await tq.insert([task('spinForever'), task('noop', 1)])
    assert.equal(await tq.poll({ ...soon, parallel: 1, timeoutSeconds: 1, maxAttempts: 1 }), 1)
    const { failures } = await theLetter(tq)
    assert.match(failures[0]?.reason ?? '', /^TimeoutError: .*timeoutSeconds \(1 s\)/)
    assert.ok((failures[0]?.durationSeconds ?? 0) >= 1)
  })

  onEach(
    'a task that exceeds maxMemoryMb fails alone',
    async queue => {
      const tq = queue.open()
      await tq.insert([task('swell'), task('noop', 1)])
      assert.equal(await tq.poll({ ...soon, parallel: 1, maxMemoryMb: 60, maxAttempts: 1 }), 1)
      assert.match((await theLetter(tq)).failures[0]?.reason ?? '', /maxMemoryMb \(60 MB\)/)
    },
    ['fq'],
  )

  onEach(
    'a task that is not registered here is left to other workers, and becomes a dead letter after maxAttempts',
    async queue => {
      const tq = queue.open()
      await tq.insert([{ class: 'NowhereToBeFound', n: 1 }, task('noop', 1)])
      const seen = recorded(tq.events, 'started')
      assert.equal(await tq.poll({ ...soon, parallel: 1, maxAttempts: 2 }), 1)
      assert.equal(seen.length, 1)
      const letter = await theLetter(tq)
      assert.deepEqual(letter.payload(), { class: 'NowhereToBeFound', n: 1 })
      assert.deepEqual(
        letter.failures.map(({ reason }) => reason.split(':')[0]),
        ['not registered', 'not registered'],
      )
    },
  )

  onEach('a task with fewer arguments than minArgs fails', async queue => {
    const tq = queue.open()
    await tq.insert([task('waitAt', 'x')])
    const [letter] = await tq.list()
    assert.ok(letter)
    await tq.purge()
    const backend = await queue.backend()
    const id = randomUUID()
    const payload = '[["tasks", "leaveLine"], [], {}, -1]'
    await backend.insert([{ id, body: `{"payload": ${payload}, "queueName": "q", "id": "${id}"}` }], {
      delaySeconds: 0,
    })
    assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 1 }), 0)
    assert.match(
      (await theLetter(tq)).failures[0]?.reason ?? '',
      /^TypeError: Expected at least 1 argument for tasks\.leaveLine/,
    )
  })

  onEach('dead letters go to the queue named by deadLetter', async queue => {
    const tq = queue.open()
    const deadLetter = queue.kind === 'fq' ? `${queue.folder}/elsewhere` : `mem://${randomUUID()}`
    const id = await insertOne(tq, 'throwing', 'x')
    await tq.poll({ ...soon, parallel: 0, maxAttempts: 1, deadLetter })
    assert.equal((await theLetter(tq, deadLetter)).id, id)
    assert.deepEqual(await letters(tq), [])
    await assert.rejects(
      tq.poll({ deadLetter: queue.url }),
      /Expected `deadLetter` to be another queue than the one itself/,
    )
  })

  onEach('onError throw ends the worker with the first failure; the task stays with its history', async queue => {
    const tq = queue.open()
    const id = await insertOne(tq, 'throwing', 'on purpose')
    await tq.insert(Array.from({ length: 5 }, (_, n) => task('noop', n)))
    for (const parallel of [0, 1]) {
      await assert.rejects(tq.poll({ ...soon, parallel, onError: 'throw', maxAttempts: 9 }), error => {
        assert.ok(error instanceof TaskError)
        assert.equal(error.id, id)
        assert.equal(error.attempt, parallel + 1)
        assert.match(error.message, /^Task tasks\.throwing \(.*\) failed at attempt \d: Error: on purpose$/)
        assert.equal((error.cause as Error).message, 'on purpose')
        assert.match(error.stack ?? '', /^TaskError: .*\n {4}at .*failures\.test\.[jt]s:/)
        return true
      })
      assert.equal((await tq.status()).leased, 0)
      const backend = await queue.backend()
      assert.equal((await backend.failures?.({ id }))?.length, parallel + 1)
    }
    await tq.purge()
    await tq.insert([{ class: 'NowhereToBeFound' }])
    await assert.rejects(tq.poll({ ...soon, parallel: 0, onError: 'throw' }), { name: 'TaskError' })
  })

  onEach(
    'a task whose worker died maxAttempts times while it ran alone is dead-lettered without running',
    async queue => {
      const backend = await queue.backend()
      const tq = queue.open()
      const id = await insertOne(tq, 'noop', 1)
      const die = async (alone: boolean) => {
        const [lease] = await backend.lease({ seconds: 1, max: 1, waitSeconds: 30 })
        assert.ok(lease)
        if (alone) await backend.runsAlone?.(lease)
      }
      for (const alone of [false, true, false, true]) await die(alone)
      const seen = recorded(tq.events, 'started', 'failed')
      assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 2 }), 0)
      assert.deepEqual(seen, [])
      const letter = await theLetter(tq)
      assert.equal(letter.id, id)
      const reason =
        'The attempts are over: in 2 the worker died, or was silent until its lease ended, while it ran this task alone'
      assert.deepEqual(
        letter.failures.map(failure => [failure.attempt, failure.reason]),
        [[4, reason]],
      )
    },
  )

  onEach(
    'a task that failed before workers died with it keeps its error as the reason, and as its history',
    async queue => {
      const backend = await queue.backend()
      const tq = queue.open()
      const id = await insertOne(tq, 'throwing', 'once more')
      const [first] = await backend.lease({ seconds: 60, max: 1, waitSeconds: 0 })
      assert.ok(first)
      const failure = {
        attempt: 1,
        reason: 'RangeError: no space left',
        host: 'h',
        pid: 1,
        failedAtMs: 1,
        durationSeconds: 1,
      }
      assert.deepEqual(await backend.release([first], { delaySeconds: 0, failure }), [])
      const [second] = await backend.lease({ seconds: 1, max: 1, waitSeconds: 0 })
      assert.ok(second)
      await backend.runsAlone?.(second)
      const dead = event(tq.events, 'dead-lettered')
      assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 2 }), 0)
      const reason =
        'RangeError: no space left; the attempts are over: 1 failed, ' +
        'in 1 the worker died, or was silent until its lease ended, while it ran this task alone'
      assert.equal((await dead).reason, reason)
      const told = ({ failures }: ListedTask) => failures.map(({ attempt, reason }) => [attempt, reason])
      assert.deepEqual(told(await theLetter(tq)), [
        [1, failure.reason],
        [2, reason],
      ])

      assert.equal(await tq.retry({ match: 'no space left' }), 1)
      const again = await tq.find(id)
      assert.ok(again)
      assert.deepEqual(told(again), [
        [1, failure.reason],
        [2, reason],
      ])
      // Fails again: each attempt is counted from 1, and the history is complete.
      assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 2 }), 0)
      assert.deepEqual(told(await theLetter(tq)), [
        [1, failure.reason],
        [2, reason],
        [1, 'Error: once more'],
        [2, 'Error: once more'],
      ])
    },
  )

  onEach('a task whose attempts all failed, found by another worker, has its last error as the reason', async queue => {
    const tq = queue.open()
    await insertOne(tq, 'throwing', 'the same')
    const stopFn = ({ failed }: { failed: number }) => failed === 2
    assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 3, stopFn }), 0)
    assert.equal(await queue.open().poll({ ...soon, parallel: 0, maxAttempts: 2 }), 0)
    const { failures } = await theLetter(tq)
    assert.deepEqual(
      failures.map(({ attempt, reason }) => [attempt, reason]),
      [
        [1, 'Error: the same'],
        [2, 'Error: the same'],
      ],
    )
  })

  onEach('dead letters that cannot be written end the worker, and the task stays', async queue => {
    const tq = queue.open()
    await insertOne(tq, 'throwing', 'x')
    const protocol = `broken${randomUUID().slice(0, 8)}`
    const inner = await memOpener.open({ protocol: 'mem', path: protocol }, {})
    const broken = new Proxy(inner, {
      get(target, key) {
        if (key === 'insert') return () => Promise.reject(new Error('the disk is full'))
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    registerBackend(protocol, { open: async () => broken })
    const options = { ...soon, parallel: 0, maxAttempts: 1, deadLetter: `${protocol}://x` } as const
    await assert.rejects(tq.poll(options), /the disk is full/)
    const { enqueued, leased } = await tq.status()
    assert.deepEqual({ enqueued, leased }, { enqueued: 1, leased: 0 })
    // The second attempt is one too many: refused before it is run.
    await assert.rejects(tq.poll({ ...options, untilEmpty: false }), /the disk is full/)
    assert.equal((await tq.status()).leased, 0)
  })

  it('a failing task in a queue without dead letters is retried without limit, with one warning', {
    timeout: 120_000,
  }, async () => {
    const protocol = `plain${randomUUID().slice(0, 8)}`
    const inner = await memOpener.open({ protocol: 'mem', path: protocol }, {})
    const hidden = new Set<string | symbol>(['deadLetterUrl', 'failures', 'workers', 'reportWorker'])
    const plain = new Proxy(inner, {
      get(target, key) {
        const value: unknown = hidden.has(key) ? undefined : Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    registerBackend(protocol, { open: async () => plain })
    await using tq = new TaskQueue(`${protocol}://x`, { progress: false })
    await tq.insert([task('throwing', 'x')])
    await tq.insert([task('throwing', 'y')])
    const warned: string[] = []
    const onWarning = (warning: Error & { code?: string }) => {
      if (warning.code === 'PTQ_NO_DEAD_LETTERS') warned.push(warning.message)
    }
    process.on('warning', onWarning)
    const stopFn = ({ failed }: { failed: number }) => failed === 8
    assert.equal(await tq.poll({ ...soon, parallel: 0, maxAttempts: 2, stopFn }), 0)
    process.off('warning', onWarning)
    assert.equal(warned.length, 1)
    assert.match(
      warned[0] ?? '',
      /^mem:\S+ has no place for .*maxAttempts \(2\) has no effect: .* tried again without limit\. .*pass the URL of a queue as `deadLetter`/,
    )
    assert.equal(await tq.enqueued(), 2)
    await assert.rejects(letters(tq), {
      name: 'UnsupportedOperationError',
      message: /pass the URL of the queue as `deadLetter`/,
    })
    await assert.rejects(tq.retry(), { name: 'UnsupportedOperationError' })
    await assert.rejects(tq.workers(), { name: 'UnsupportedOperationError' })
    await tq.purge()
  })
})

describe('retry', { concurrency: 4 }, () => {
  async function withLetters(queue: TestQueue, count: number): Promise<TaskQueue> {
    const tq = queue.open()
    await tq.insert(Array.from({ length: count }, (_, n) => task('throwing', `number ${n}.`)))
    await tq.poll({ ...soon, parallel: 0, maxAttempts: 1 })
    assert.equal((await letters(tq)).length, count)
    return tq
  }

  onEach('puts dead letters back under their ids, without attempts, with their history', async queue => {
    const tq = await withLetters(queue, 5)
    const ids = (await letters(tq)).map(({ id }) => id).sort()
    const { inserted } = await tq.status()
    assert.equal(await tq.retry(), 5)
    assert.deepEqual(await letters(tq), [])
    const leased = await tq.lease({ numTasks: 9 })
    assert.deepEqual(leased.map(({ id }) => id).sort(), ids)
    for (const { attempt, failures } of leased) {
      assert.equal(attempt, 1)
      assert.deepEqual(
        failures.map(({ attempt, reason }) => [attempt, reason.replace(/\d/, 'N')]),
        [[1, 'Error: number N.']],
      )
    }
    const backend = await queue.backend()
    for (const id of ids) assert.deepEqual(await backend.failures?.({ id }), [])
    assert.equal((await tq.status()).inserted, inserted, 'they were counted when they were inserted')
    await tq.release(leased)
    await tq.poll({ ...soon, parallel: 0, maxAttempts: 1 })
    assert.equal((await letters(tq)).length, 5)
  })

  onEach('moves only those that match by id, payload or reason; the others stay unchanged', async queue => {
    const tq = await withLetters(queue, 12)
    assert.equal(await tq.retry({ match: 'number 11.' }), 1)
    const [one, two] = await letters(tq)
    assert.ok(one && two)
    assert.equal(await tq.retry({ match: one.id }), 1)
    assert.equal(await tq.retry({ match: 'no such text' }), 0)
    const left = await letters(tq)
    assert.equal(left.length, 10)
    assert.deepEqual(
      left.map(({ state }) => state),
      Array(10).fill('ready'),
    )
    assert.equal(left.find(({ id }) => id === two.id)?.failures[0]?.attempt, 1)
    assert.equal(await tq.retry({ match: 'Error: number' }), 10)
  })

  onEach('a retry that dies halfway loses no task, and the next one completes it', async queue => {
    const tq = await withLetters(queue, 3)
    const deadLetter = `${queue.url}/failed`
    // Inserted, not yet deleted from the dead letters.
    const [first] = await letters(tq)
    assert.ok(first)
    const backend = await queue.backend()
    const body = `{"payload": ${first.payloadText}, "queueName": "q", "id": "${first.id}"}`
    await backend.insert([{ id: first.id, body }], { delaySeconds: 0 })
    assert.equal(await tq.retry({ deadLetter }), 3)
    assert.equal(await tq.enqueued(), 3)
    assert.deepEqual(await letters(tq), [])
  })

  onEach('two concurrent retries put each dead letter back once', async queue => {
    const tq = await withLetters(queue, 40)
    const moved = await Promise.all([tq.retry(), queue.open().retry()])
    assert.equal(moved[0] + moved[1], 40)
    assert.equal(await tq.enqueued(), 40)
  })

  onEach('a task that is retried many times keeps only its newest failures', async queue => {
    const tq = queue.open()
    const id = await insertOne(tq, 'throwing', 'again')
    for (let round = 0; round < 22; round++) {
      await tq.poll({ ...soon, parallel: 0, maxAttempts: 1 })
      assert.equal(await tq.retry(), 1)
    }
    assert.equal((await tq.find(id))?.failures.length, 20)
  })

  onEach('finds nothing in a queue without dead letters, and refuses wrong options', async queue => {
    const tq = queue.open()
    assert.equal(await tq.retry(), 0)
    const wrong: [object, RegExp][] = [
      [{ match: 5 }, /Expected `match` to be a text, got `5`/],
      [{ mach: 'x' }, /Expected options of retry to be among match, group, deadLetter, signal, got `mach`/],
      [{ signal: 1 }, /Expected `signal` to be an AbortSignal/],
      [{ deadLetter: queue.url }, /another queue than the one itself/],
    ]
    for (const [options, message] of wrong) await assert.rejects(tq.retry(options), message)
    await assert.rejects(tq.retry({ signal: AbortSignal.abort(new Error('enough')) }), /enough/)
  })
})
