import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { LocalTaskQueue, partial } from 'ptq'
import { event, onEach, type TestQueue, task } from './queues.js'
import './tasks.js'

const folder = mkdtempSync(join(tmpdir(), 'ptq-helpers-'))
process.env.PTQ_TEST_HELPERS = folder
const { needsHelper } = await import('./load-tasks.js')
const helper = join(folder, 'helper.mjs')
const exits = join(folder, 'exits')

after(() => rm(folder, { recursive: true }))

const soon = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02, maxAttempts: 2 } as const

async function deadLetters(queue: TestQueue): Promise<number> {
  let letters = 0
  for await (const _ of queue.open().failures()) letters++
  return letters
}

/** Collects warnings with this code until it is disposed. */
function warnings(code: string) {
  const texts: string[] = []
  const listener = (warning: Error & { code?: string }) => {
    if (warning.code === code) texts.push(warning.message)
  }
  process.on('warning', listener)
  return { texts, [Symbol.dispose]: () => void process.off('warning', listener) }
}

// One after the other: they share the file that is missing.
describe('a file that threads cannot load', () => {
  for (const how of ['is missing', 'ends the thread'] as const) {
    for (const parallel of [1, 2]) {
      onEach(
        `that ${how} for a while: each task runs once when it is back, none becomes a dead letter; parallel ${parallel}`,
        async queue => {
          await breakIt(how)
          using warned = warnings('PTQ_NOT_LOADED')
          const tq = queue.open()
          await tq.insert(Array.from({ length: 300 }, (_, n) => partial(needsHelper, n)))
          const events: string[] = []
          for (const name of ['failed', 'dead-lettered'] as const) tq.events.on(name, () => events.push(name))
          const released = event(tq.events, 'released')
          const working = tq.poll({ ...soon, maxAttempts: 1, parallel, untilEmpty: true })
          const { task: given } = await released
          assert.equal(given.attempt, 1)
          await mendIt()
          assert.equal(await working, 300)
          assert.deepEqual(events, [])
          assert.equal(await deadLetters(queue), 0)
          assert.equal(warned.texts.length, 1)
          assert.match(
            warned.texts[0] ?? '',
            /^Tasks of file:.*load-tasks\.js are released, and no attempt is counted, until/,
          )
        },
      )
    }
  }

  onEach(
    'that never loads: other tasks run, its own stay in the queue, the worker ends with the reason',
    async queue => {
      await breakIt('is missing')
      const tq = queue.open()
      await tq.insert([
        ...Array.from({ length: 60 }, (_, n) => partial(needsHelper, n)),
        ...Array.from({ length: 50 }, (_, n) => task('noop', n)),
      ])
      let ran = 0
      let leased = 0
      let pauses = 0
      tq.events
        .on('succeeded', () => ran++)
        .on('leased', () => leased++)
        .on('idle', () => pauses++)
      await assert.rejects(
        // Short enough that on a fast machine seven threads have failed before the worker has seen the other tasks.
        tq.poll({ ...soon, parallel: 2 }),
        /^Error: Expected to run tasks of file:.*load-tasks\.js, but \d+ new threads in a row could not load it, .*ERR_MODULE_NOT_FOUND/,
      )
      assert.equal(ran, 50)
      // The number of requests depends on how long new threads take to fail: after each request that returned such
      // tasks it waits.
      assert.ok(leased <= 110 * (pauses + 1), `${leased} leases, ${pauses} pauses`)
      assert.equal(await deadLetters(queue), 0)
      const { enqueued, leased: held } = await tq.status()
      assert.deepEqual({ enqueued, held }, { enqueued: 60, held: 0 })
      await mendIt()
      assert.equal(await tq.poll({ ...soon, parallel: 1, untilEmpty: true }), 60)
    },
  )

  onEach("with onError 'throw': the worker ends at once, no attempt is counted", async queue => {
    await breakIt('is missing')
    const tq = queue.open()
    await tq.insert([partial(needsHelper, 1)])
    await assert.rejects(tq.poll({ ...soon, parallel: 1, onError: 'throw' }), { name: 'TaskError', attempt: 1 })
    await mendIt()
    const done = event(tq.events, 'succeeded')
    assert.equal(await tq.poll({ ...soon, parallel: 1, untilEmpty: true }), 1)
    assert.equal((await done).task.attempt, 1)
  })

  it('in one local run is loaded by the threads of the next run', async () => {
    await using lq = new LocalTaskQueue({ parallel: 1, progress: false })
    await breakIt('is missing')
    await assert.rejects(
      lq.insertAll([partial(needsHelper, 1)]),
      /load-tasks\.js to load in a thread, but it threw: Cannot find/,
    )
    await mendIt()
    assert.equal(await lq.insertAll([partial(needsHelper, 1)]), 1)
  })

  for (const concurrency of [1, 3]) {
    it(`is retried once in a new thread of a local run, with concurrency ${concurrency}`, async () => {
      await using lq = new LocalTaskQueue({ parallel: 1, concurrency, progress: false })
      await writeFile(
        helper,
        `import { existsSync, writeFileSync } from 'node:fs'\nconst met = ${JSON.stringify(join(folder, randomUUID()))}\nif (!existsSync(met)) { writeFileSync(met, ''); throw new Error('the first time') }`,
      )
      assert.equal(await lq.insertAll(Array.from({ length: 40 }, (_, n) => partial(needsHelper, n))), 40)
    })
  }
})

async function breakIt(how: 'is missing' | 'ends the thread'): Promise<void> {
  await rm(helper, { force: true })
  if (how === 'ends the thread') await writeFile(exits, '')
}

async function mendIt(): Promise<void> {
  await writeFile(helper, '')
  await rm(exits, { force: true })
}
