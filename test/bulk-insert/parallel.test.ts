import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  grid,
  InsertError,
  type InsertOptions,
  partial,
  queueable,
  range,
  sliceable,
  TaskQueue,
  type TaskQueueOptions,
  UnsupportedOperationError,
} from 'ptq'
import { ThreadPool } from '#ptq/threads/pool.js'
import { inFolder } from '../fq/folder.js'
import { Breaking } from '../local/nested-tasks.js'
import { FaultyNumbers, LaterNumbers, made, Numbers, numbered, Secretive } from './sequences.js'
import { eventsOf, type SpyEvent, type SpyOptions } from './spy-backend.js'
import { Unloadable } from './unloadable-sequence.js'

const here = queueable(function here(i: number) {
  return i
})

/** A class in the main script. */
class HereNumbers extends Numbers {}
sliceable(HereNumbers)

function inQueue(work: (tq: TaskQueue, root: string) => Promise<void>, options: TaskQueueOptions = {}): Promise<void> {
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using tq = new TaskQueue(root, { progress: false, ...options })
    await work(tq, root)
  })
}

function inSpy(options: SpyOptions, work: (tq: TaskQueue, events: () => SpyEvent[]) => Promise<void>): Promise<void> {
  return inFolder(async folder => {
    const file = join(folder, 'events')
    await using tq = new TaskQueue(`spy://${file}`, { progress: false, ...options })
    await work(tq, () => eventsOf(file))
  })
}

async function numbersIn(tq: TaskQueue): Promise<number[]> {
  const numbers: number[] = []
  for await (const task of tq.tasks()) {
    const payload = task.payload()
    assert.ok(Array.isArray(payload))
    numbers.push(Number(payload[1][0]))
  }
  return numbers.sort((a, b) => a - b)
}

const upTo = (end: number, start = 0) => Array.from({ length: end - start }, (_, i) => start + i)

async function insertError(inserting: Promise<number>): Promise<InsertError> {
  const error = await inserting.then(
    count => count,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof InsertError, `Expected an InsertError, got ${error}`)
  return error
}

const stored = (events: readonly SpyEvent[]) =>
  events.flatMap(event => (event.event === 'insert' ? event.indices : [])).sort((a, b) => a - b)

describe('insert with parallel', () => {
  it('inserts every task of a sliceable sequence once, for any length and number of threads', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat(20), fc.nat(500)),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: -5, max: 5 }),
        (length, parallel, start) =>
          inQueue(async tq => {
            made.tasks = 0
            assert.equal(await tq.insert(new Numbers(start, start + length), { parallel }), length)
            assert.equal(made.tasks, 0, 'the main thread makes no task')
            if (length > 0) {
              assert.deepEqual(await numbersIn(tq), upTo(start + length, start))
              assert.equal(await tq.inserted(), length)
            }
          }),
      ),
      { numRuns: 25 },
    )
  })

  it('inserts every task of a generator, an async generator and an array once', async () => {
    const sources: ((length: number) => Iterable<ReturnType<typeof task>> | AsyncIterable<ReturnType<typeof task>>)[] =
      [
        length => upTo(length).map(task),
        function* (length) {
          for (let i = 0; i < length; i++) yield task(i)
        },
        async function* (length) {
          for (let i = 0; i < length; i++) yield await Promise.resolve(task(i))
        },
        length => new Set(upTo(length).map(task)),
      ]
    const task = (i: number) => partial(numbered, i)
    for (const source of sources) {
      for (const length of [0, 7, 2_100]) {
        await inQueue(async tq => {
          assert.equal(await tq.insert(source(length), { parallel: 2 }), length)
          if (length > 0) assert.deepEqual(await numbersIn(tq), upTo(length))
        })
      }
    }
  })

  it('takes ranges, grids, slices with asynchronous iterators, single tasks and other queues', () =>
    inQueue(async tq => {
      assert.equal(await tq.insert(range(numbered, 0, 10), { parallel: 2 }), 10)
      assert.equal(await tq.insert(new LaterNumbers(10, 40), { parallel: 2 }), 30)
      assert.equal(await tq.insert(partial(numbered, 40), { parallel: true }), 1)
      await inQueue(async other => {
        await other.insert(range(numbered, 41, 60))
        assert.equal(await tq.insert(other, { parallel: 1 }), 19)
      })
      assert.deepEqual(await numbersIn(tq), upTo(60))
      const boxes = queueable((box: unknown) => box, { name: 'boxes' })
      assert.equal(await tq.insert(grid(boxes, { shape: [10, 10], chunk: 3 }), { parallel: 2 }), 16)
      assert.equal(await tq.inserted(), 76)
    }))

  it('leaves only tasks in the folder of the queue', () =>
    inQueue(async (tq, root) => {
      await tq.insert(new Numbers(0, 500), { parallel: 2, delaySeconds: 100 })
      for (const folder of ['uploads', 'staging']) assert.deepEqual(readdirSync(join(root, folder)), [])
      assert.equal((await tq.status()).delayed, 500)
    }))

  it('pulls a generator only as far ahead as the threads need', () =>
    inQueue(async (tq, root) => {
      let most = 0
      function* tasks() {
        for (let i = 0; i < 12_000; i++) {
          if (i % 1000 === 999) most = Math.max(most, i - readdirSync(join(root, 'queue')).length)
          yield partial(numbered, i)
        }
      }
      await tq.insert([partial(numbered, 0)], { parallel: 2 })
      assert.equal(await tq.insert(tasks(), { parallel: 2 }), 12_000)
      // Blocks of 2,000: one in each thread, one ahead, and one that is being made.
      assert.ok(most <= 4 * 2000, `${most} tasks were held`)
    }))

  it('updates the counter once, or not at all', () =>
    inSpy({}, async (tq, events) => {
      await tq.insert(new Numbers(0, 300), { parallel: 2 })
      await tq.insert(new Numbers(0, 300), { parallel: 2, skipInsertCounter: true })
      assert.deepEqual(
        events().flatMap(event => (event.event === 'count' ? [[event.thread, event.added]] : [])),
        [[0, 300]],
      )
    }))

  it('opens the queue once in each thread, with all options, and closes it', () =>
    inSpy(
      { region: 'eu-west-9', endpoint: 'http://localhost:1', durable: true, concurrency: 3 },
      async (tq, events) => {
        await tq.insert(new Numbers(0, 3000), { parallel: 2, delaySeconds: 7 })
        const opened = events().flatMap(event => (event.event === 'open' && event.thread !== 0 ? [event] : []))
        assert.ok(opened.length <= 2 && opened.length === new Set(opened.map(({ thread }) => thread)).size)
        for (const { options } of opened) {
          const { region, endpoint, durable, concurrency } = options
          assert.deepEqual(
            { region, endpoint, durable, concurrency },
            { region: 'eu-west-9', endpoint: 'http://localhost:1', durable: true, concurrency: 3 },
          )
        }
        const inserts = events().flatMap(event => (event.event === 'insert' ? [event] : []))
        assert.ok(inserts.every(({ thread, delaySeconds }) => thread !== 0 && delaySeconds === 7))
        assert.deepEqual(stored(events()), upTo(3000))
        assert.equal(new Set(inserts.flatMap(({ ids }) => ids)).size, 3000)
      },
    ))

  it('refuses options and sequences that threads cannot use, before anything is changed', async () => {
    const refused = async (
      tq: TaskQueue,
      tasks: Parameters<TaskQueue['insert']>[0],
      options: InsertOptions,
      like: RegExp,
    ) => assert.rejects(tq.insert(tasks, options), like)
    await inQueue(async (tq, root) => {
      const numbers = new Numbers(0, 5)
      await refused(
        tq,
        numbers,
        { parallel: -1 },
        /Expected `parallel` to be an integer of 0 or more, or true for all cores/,
      )
      await refused(
        tq,
        new HereNumbers(0, 5),
        { parallel: 1 },
        /Expected HereNumbers to be importable by a thread.*is the script that was started/,
      )
      await refused(
        tq,
        new Secretive(5),
        { parallel: 1 },
        /Expected a Secretive to work when it is rebuilt.*`#private`/,
      )
      await refused(
        tq,
        Object.assign(new Numbers(0, 5), { open: () => 1 }),
        { parallel: 1 },
        /Expected `Numbers.open` to be data that can be cloned/,
      )
      await refused(
        tq,
        Object.assign(new FaultyNumbers(5, {}), { length: -1 }),
        { parallel: 1 },
        /Expected `FaultyNumbers.length` to be an integer of 0 or more/,
      )
      assert.throws(() => readdirSync(root), { code: 'ENOENT' })
    })
    await inQueue(
      tq =>
        refused(
          tq,
          new Numbers(0, 5),
          { parallel: 1 },
          /Expected `hostNowMs` to be data that can be cloned to a thread, since with `parallel`/,
        ),
      {
        hostNowMs: Date.now,
      },
    )
    await using mem = new TaskQueue('mem://parallel', { progress: false })
    await assert.rejects(mem.insert(new Numbers(0, 5), { parallel: 1 }), (error: Error) => {
      assert.ok(error instanceof UnsupportedOperationError)
      assert.match(error.message, /^mem:\/\/parallel is in the memory of this thread.*`parallel: 0`$/)
      return true
    })
    assert.equal(await mem.insert(new Numbers(0, 5), { parallel: 0 }), 5)
    // A function of the started script is fine: a thread only writes its name down.
    await inQueue(async tq => assert.equal(await tq.insert(range(here, 0, 4), { parallel: 2 }), 4))
  })

  it('refuses classes that are not sequences, and a second class with the same name', () => {
    // @ts-expect-error no sequence
    assert.throws(() => sliceable(class Nothing {}), /Expected `Class` to be a class with `slice\(start, end\)`/)
    const Other = class Numbers extends LaterNumbers {}
    assert.throws(() => sliceable(Other), /Expected the name of sliceable class Numbers to be free/)
    assert.equal(sliceable(Other, { name: 'OtherNumbers' }), Other)
  })
})

describe('a slice that fails', () => {
  it('because the constructor of a task throws is reported with its range; the others continue', () =>
    inQueue(async tq => {
      const error = await insertError(tq.insert(new FaultyNumbers(320, { throwsAt: 105 }), { parallel: 2 }))
      // Slices of 10: what the generator gave before it threw is inserted.
      const lost = upTo(110, 105)
      assert.deepEqual([error.inserted, error.failed, error.notTried], [315, 5, 0])
      assert.deepEqual(
        error.failedSlices.map(({ start, end }) => ({ start, end })),
        [{ start: 105, end: 110 }],
      )
      assert.match(
        error.message,
        /315 of 320 tasks were inserted into fq.*5 failed, 0 not tried: Tasks 105 to 109, from 0: not inserted: no task 105/,
      )
      assert.ok(error.cause instanceof Error && error.cause.cause instanceof RangeError)
      assert.deepEqual(
        await numbersIn(tq),
        upTo(320).filter(i => !lost.includes(i)),
      )
      assert.equal(await tq.inserted(), 315)
    }))

  it('because its tasks throw a value nested too deeply is reported', () =>
    inQueue(async tq => {
      await assert.rejects(tq.insert(new Breaking(10, 4000), { parallel: 2 }), /InsertError: .*no tasks/)
    }))

  it('because it yields too few or too many tasks is reported, and no id is used twice', async () => {
    for (const excess of [-1, 1]) {
      await inQueue(async tq => {
        const error = await insertError(tq.insert(new FaultyNumbers(32, { excess }), { parallel: 1 }))
        assert.match(error.message, /Expected a slice of 2 tasks to give 2 when it is iterated, got (1|more)/)
        const numbers = await numbersIn(tq)
        assert.equal(new Set(numbers).size, numbers.length)
        assert.equal(error.inserted, numbers.length)
      })
    }
  })

  it('because its thread died is retried, and nothing is inserted twice', () =>
    inQueue(async (tq, root) => {
      const faults = { diesAt: 1234, once: join(root, '..') }
      // Slices of 100.
      assert.equal(await tq.insert(new FaultyNumbers(3200, faults), { parallel: 2 }), 3200)
      assert.deepEqual(readdirSync(join(root, '..')).sort(), ['died', 'queue-of-test'])
      assert.deepEqual(await numbersIn(tq), upTo(3200))
      assert.equal(await tq.inserted(), 3200)
    }))

  /** Threads have the environment that their process had when they were started. */
  async function setForNewThreads(unloadable: string): Promise<void> {
    process.env.PTQ_TEST_UNLOADABLE = unloadable
    await ThreadPool.stopUnused()
  }

  it('because its thread could not import the task file is retried in a new thread, then fails with the reason', async () => {
    try {
      await inQueue(async (tq, root) => {
        await setForNewThreads(join(root, '../failed'))
        assert.equal(await tq.insert(new Unloadable(0, 320), { parallel: 1 }), 320)
        assert.deepEqual(await numbersIn(tq), upTo(320))
        assert.ok(existsSync(join(root, '../failed')))
      })
      await inQueue(async tq => {
        await setForNewThreads('always')
        const error = await insertError(tq.insert(new Unloadable(0, 10), { parallel: 1 }))
        assert.equal(error.inserted, 0)
        assert.match(
          error.message,
          /not inserted: Expected file:\S+unloadable-sequence\.js to load in a thread, but it threw: missing for a moment/,
        )
        assert.deepEqual(await numbersIn(tq), [])
      })
    } finally {
      delete process.env.PTQ_TEST_UNLOADABLE
    }
  })

  it('because its thread dies each time fails in the end; the others continue', () =>
    inQueue(async tq => {
      const error = await insertError(tq.insert(new FaultyNumbers(320, { diesAt: 105 }), { parallel: 2 }))
      assert.match(error.message, /Tasks 100 to 109, from 0: not inserted: The thread died while it inserted/)
      assert.deepEqual([error.inserted, error.failed, error.notTried], [310, 10, 0])
      assert.deepEqual(
        await numbersIn(tq),
        upTo(320).filter(i => i < 100 || i >= 110),
      )
    }))

  it('because its thread died during a request does not send its pending tasks again', () =>
    inSpy({ dieWith: 105 }, async (tq, events) => {
      // Slices of 100 in batches of 10, one at a time.
      const error = await insertError(tq.insert(new Numbers(0, 3200), { parallel: 2 }))
      const numbers = stored(events())
      assert.equal(new Set(numbers).size, numbers.length)
      assert.deepEqual([error.inserted, error.failed + error.inserted, error.notTried], [numbers.length, 3200, 0])
      assert.ok(numbers.includes(99) && numbers.includes(199) && !numbers.includes(105))
      assert.match(error.message, /it is not known whether they were inserted: The thread died/)
    }))

  it('because the queue refuses some tasks is reported with these', () =>
    inSpy({ refuse: [105, 107], concurrency: 1 }, async (tq, events) => {
      const error = await insertError(tq.insert(new Numbers(0, 3200), { parallel: 2 }))
      assert.deepEqual(
        error.failedSlices.map(({ start, end }) => [start, end]),
        [
          [105, 106],
          [107, 108],
          [110, 200],
        ],
      )
      assert.deepEqual([error.inserted, error.failed, error.notTried], [3200 - 92, 92, 0])
      assert.equal(stored(events()).length, error.inserted + 2)
    }))

  it('ends the insert if every other slice fails too', () =>
    inQueue(async tq => {
      const error = await insertError(tq.insert(new FaultyNumbers(320, { excess: -20 }), { parallel: 2 }))
      assert.equal(error.inserted, 0)
      assert.ok(error.notTried !== undefined && error.notTried > 200, `${error.notTried} were not tried`)
    }))

  it('does not begin after the queue was closed; slices in progress are counted', () =>
    inFolder(async folder => {
      const tq = new TaskQueue(join(folder, 'q'), { progress: false })
      let closing: Promise<void> | undefined
      function* tasks() {
        for (let i = 0; i < 1_000_000; i++) {
          if (i === 10_000) closing = tq.close()
          yield partial(numbered, i)
        }
      }
      const error = await insertError(tq.insert(tasks(), { parallel: 2 }))
      await closing
      await using after = new TaskQueue(join(folder, 'q'), { progress: false })
      assert.match(String(error.cause), /was closed/)
      assert.equal(await after.enqueued(), error.inserted)
      assert.equal(await after.inserted(), error.inserted)
      assert.ok(error.inserted < 20_000)
    }))
})
