import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { InsertError, partial, range, TaskQueue } from 'ptq'
import { onEach } from '../poll/queues.js'
import { noop } from '../poll/tasks.js'
import { Doubled, Marked } from './sequences.js'

const noops = (count: number) => Array.from({ length: count }, (_, n) => partial(noop, n))

async function* later<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await new Promise(resolve => setImmediate(resolve))
    yield item
  }
}

/** The tasks that a worker of this process runs, as numbers in order. */
async function run(tq: TaskQueue): Promise<number[]> {
  const seen: number[] = []
  const note = ({ value }: { value: unknown }) => seen.push(Number(value))
  tq.events.on('succeeded', note)
  await tq.poll({ parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01 })
  tq.events.off('succeeded', note)
  return seen.sort((a, b) => a - b)
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('insert with `pack`', () => {
  onEach('stores that number of tasks in a message, and counts tasks', async queue => {
    const tq = queue.open()
    assert.equal(await tq.insert(noops(25), { pack: 10 }), 25)
    const { enqueued, messages, inserted } = await tq.status()
    assert.deepEqual([enqueued, messages, inserted], [25, 3, 25])
    assert.deepEqual(await run(tq), numbers(25))
    const after = await tq.status()
    assert.deepEqual([after.enqueued, after.messages, after.completed], [0, undefined, 25])
  })

  onEach('waits for a slow source to fill a pack', async queue => {
    const tq = queue.open()
    await tq.insert(later(noops(25)), { pack: 10 })
    assert.equal((await tq.status()).messages, 3)
    assert.deepEqual(await run(tq), numbers(25))
  })

  onEach(
    'sends the packs of a long source before the last of its tasks is made',
    async queue => {
      const tq = queue.open()
      const spun = (ms: number) => {
        for (const untilMs = performance.now() + ms; performance.now() < untilMs; );
      }
      let stored: Promise<number> | undefined
      function* slow() {
        for (const task of noops(100)) {
          spun(1)
          yield task
        }
        stored = tq.enqueued()
      }
      await tq.insert(slow(), { pack: 10 })
      assert.ok(Number(await stored) > 0, 'the first packs were stored')
    },
    ['mem'],
  )

  onEach('splits a pack whose payloads exceed the size of a message; a larger task is alone', async queue => {
    const tq = queue.open()
    const large = (kib: number) => ({ class: 'Any', text: 'x'.repeat(kib * 1024) })
    await tq.insert([large(400), large(400), large(400), large(1000), large(1)], { pack: 10 })
    const { enqueued, messages } = await tq.status()
    assert.deepEqual([enqueued, messages], [5, 4])
  })

  onEach('stores the slices of a sequence, without creating its tasks', async queue => {
    const tq = queue.open()
    assert.equal(await tq.insert(range(noop, 0, 1_000_000_000), { pack: 100_000_000 }), 1_000_000_000)
    const { enqueued, messages } = await tq.status()
    assert.deepEqual([enqueued, messages], [1_000_000_000, 10])
    await tq.purge()
    await tq.insert(range(noop, 5, 105), { pack: 40 })
    assert.equal((await tq.status()).messages, 3)
    assert.deepEqual(
      await run(tq),
      numbers(100).map(n => n + 5),
    )
    await tq.insert(new Doubled(0, 7), { pack: 3 })
    assert.deepEqual(
      await run(tq),
      numbers(7).map(n => 2 * n),
    )
  })

  for (const parallel of [0, 2]) {
    onEach(
      `resumes an insert whose source failed, and counts each task once: parallel ${parallel}`,
      async queue => {
        const tq = queue.open()
        const all = noops(1000)
        const broken = function* () {
          yield* all.slice(0, 777)
          throw new Error('the disk is gone')
        }
        const error = await tq.insert(broken(), { pack: 10, resume: 'run', parallel, total: 1000 }).then(
          () => assert.fail('expected a rejection'),
          (thrown: unknown) => thrown,
        )
        assert.ok(error instanceof InsertError)
        // A part of the last pack would be taken for the whole one.
        assert.deepEqual([error.inserted, error.failed, error.notTried], [770, 0, 230])
        const other = function* () {
          yield* all
        }
        assert.equal(await tq.insert(other(), { pack: 10, resume: 'run', parallel, total: 1000 }), 230)
        assert.equal(await tq.insert(other(), { pack: 10, resume: 'run', parallel, total: 1000 }), 0)
        const { enqueued, messages, inserted } = await tq.status()
        assert.deepEqual([enqueued, messages, inserted], [1000, 100, 1000])
        assert.deepEqual(await run(tq), numbers(1000))
        await assert.rejects(tq.insert(other(), { pack: 20, resume: 'run', parallel, total: 1000 }), /packs of 20/)
      },
      parallel === 0 ? ['mem', 'fq'] : ['fq'],
    )
  }

  onEach(
    'inserts the slices of a sequence in threads, and resumes',
    async queue => {
      const tq = queue.open()
      const tasks = range(noop, 0, 100_000)
      assert.equal(await tq.insert(tasks, { pack: 999, parallel: 2, resume: 'all' }), 100_000)
      assert.equal(await tq.insert(tasks, { pack: 999, parallel: 2, resume: 'all' }), 0)
      const { enqueued, messages, inserted } = await tq.status()
      assert.deepEqual([enqueued, messages, inserted], [100_000, 101, 100_000])
      await assert.rejects(tq.insert(tasks, { pack: 998, parallel: 2, resume: 'all' }), /Expected upload `all`/)
    },
    ['fq'],
  )

  onEach('refuses sizes that no message can have, before anything is inserted', async queue => {
    const tq = queue.open()
    for (const pack of [0, -1, 1.5, Number.NaN, 1_000_000_001, '10' as never, null as never]) {
      await assert.rejects(tq.insert(noops(1), { pack }), /Expected `pack` to be an integer from 1 to 1000000000, got/)
    }
    assert.equal(await tq.exists(), queue.kind === 'mem')
  })

  onEach('refuses a sequence that JSON would change, before anything is inserted', async queue => {
    const tq = queue.open()
    await assert.rejects(tq.insert(new Marked(new Map()), { pack: 2 }), /fields of Marked to be JSON.*Map/)
    await assert.rejects(tq.insert(new Marked(new Date(0)), { pack: 2 }), /same when it is rebuilt.*as JSON/)
    assert.equal(await tq.insert(new Marked('text'), { pack: 2 }), 3)
  })

  onEach('names the invalid task, and inserts those before it', async queue => {
    const tq = queue.open()
    const tasks = [...noops(12), { no: 'task' } as never, ...noops(3)]
    const error = await tq.insert(tasks, { pack: 10 }).then(
      () => assert.fail('expected a rejection'),
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof InsertError)
    assert.match(error.message, /12 of 16 tasks were inserted.*1 failed, 3 not tried: Task 12 of this insert, from 0/)
    assert.equal((await tq.status()).enqueued, 12)
  })

  onEach('copies the tasks of another queue into packs, with every digit', async queue => {
    const tq = queue.open()
    const other = queue.open(`${queue.url}-other`)
    const label = 12345678901234567890n
    await tq.insert(Array.from({ length: 5 }, () => ({ class: 'Any', label })))
    assert.equal(await other.insert(tq, { pack: 3 }), 5)
    assert.equal((await other.status()).messages, 2)
    for await (const task of other.tasks()) assert.match(task.payloadText, /12345678901234567890/)
  })

  it('makes one message of one task', async () => {
    await using tq = new TaskQueue(`mem://pack-of-one`, { progress: false })
    await tq.insert(noops(3), { pack: 1 })
    for (const task of await tq.list()) assert.equal(task.name, 'tasks.noop')
    await tq.purge()
  })
})
