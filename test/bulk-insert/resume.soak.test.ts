import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { InsertError, partial, TaskQueue, type TaskQueueOptions } from 'ptq'
import { inFolder } from '../fq/folder.js'
import { interfered } from '../fq/test-files.js'
import { FaultyNumbers, Numbers, numbered } from './sequences.js'

const upTo = (end: number, start = 0) => Array.from({ length: end - start }, (_, i) => start + i)

function queueAt(root: string, options: TaskQueueOptions = {}): TaskQueue {
  return new TaskQueue(root, { progress: false, ...options })
}

function inQueue(work: (tq: TaskQueue, root: string, folder: string) => Promise<void>): Promise<void> {
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using tq = queueAt(root)
    await work(tq, root, folder)
  })
}

/** Leases and deletes tasks, at most `max`; resolves with their numbers. */
async function drain(tq: TaskQueue, max = Number.POSITIVE_INFINITY): Promise<number[]> {
  const numbers: number[] = []
  for (;;) {
    const tasks = await tq.lease({ seconds: 600, numTasks: Math.min(200, max - numbers.length) })
    for (const task of tasks) numbers.push(Number((task.payload() as unknown as [unknown, [number]])[1][0]))
    await tq.delete(tasks, { tally: true })
    if (tasks.length === 0 || numbers.length === max) return numbers
  }
}

const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)

async function insertError(inserting: Promise<number>): Promise<InsertError> {
  const error = await inserting.then(
    count => count,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof InsertError, `Expected an InsertError, got ${error}`)
  return error
}

describe('an insert with resume', () => {
  it('continues after the failure and creates only missing tasks', () =>
    inQueue(async (tq, root, folder) => {
      const faults = { throwsAt: 40, repairedBy: join(folder, 'repaired'), log: join(folder, 'made') }
      const tasks = new FaultyNumbers(64, faults)
      const made = () => readFileSync(faults.log, 'utf8').trimEnd().split('\n').map(Number)
      const error = await insertError(tq.insert(tasks, { parallel: 2, resume: 'week-12' }))
      assert.deepEqual([error.inserted, error.failed, error.notTried], [62, 2, 0])
      assert.match(error.message, /\(the same insert with resume: 'week-12' goes on\)$/)
      assert.equal(await tq.inserted(), 62)
      assert.deepEqual(readdirSync(join(root, 'uploads')), ['week-12'])
      const first = await drain(tq)
      assert.deepEqual(
        sorted(first),
        upTo(64).filter(i => i !== 40 && i !== 41),
      )

      const other = new FaultyNumbers(64, { ...faults, throwsAt: 41 })
      await assert.rejects(
        tq.insert(other, { parallel: 2, resume: 'week-12' }),
        /Expected upload `week-12` to go on with the sequence that it began with/,
      )
      const madeBefore = made().length
      const still = await insertError(tq.insert(tasks, { parallel: 1, resume: 'week-12' }))
      assert.deepEqual([still.inserted, still.failed, still.notTried], [0, 2, 0])

      writeFileSync(faults.repairedBy, '')
      assert.equal(await tq.insert(tasks, { parallel: 2, resume: 'week-12' }), 2)
      assert.deepEqual(sorted(await drain(tq)), [40, 41])
      assert.deepEqual(sorted(made().slice(madeBefore)), [40, 41])
      assert.equal(await tq.inserted(), 64)
      assert.equal(await tq.insert(tasks, { parallel: 2, resume: 'week-12' }), 0)
    }))

  it('completes once for any value of parallel, also with a generator that yields the same tasks again', () =>
    inQueue(async (tq, root) => {
      let giving = 300
      function* tasks() {
        for (let i = 0; i < 1000; i++) {
          if (i === giving) throw new Error('no more for now')
          yield partial(numbered, i)
        }
      }
      const numbers: number[] = []
      for (const [parallel, until] of [
        [2, 300],
        [0, 350],
        [1, 900],
      ] as const) {
        giving = until
        const error = await insertError(tq.insert(tasks(), { parallel, resume: 'all' }))
        assert.equal(error.notTried, undefined)
        numbers.push(...(await drain(tq)))
        assert.deepEqual(sorted(numbers), upTo(until))
        assert.equal(await tq.inserted(), until)
      }
      giving = -1
      assert.equal(await tq.insert(tasks(), { parallel: 2, resume: 'all' }), 100)
      numbers.push(...(await drain(tq)))
      assert.deepEqual(sorted(numbers), upTo(1000))
      assert.equal(await tq.insert(tasks(), { parallel: 2, resume: 'all' }), 0)
      assert.deepEqual(await drain(tq), [])
      assert.equal(await tq.inserted(), 1000)
      const [run = ''] = readdirSync(join(root, 'uploads', 'all'))
      assert.deepEqual(readdirSync(join(root, 'uploads', 'all', run)).sort(), ['counted', 'finished', 'upload.json'])

      await tq.purge()
      assert.ok(!existsSync(join(root, 'uploads')))
      assert.equal(await tq.insert(tasks(), { resume: 'all' }), 1000)
    }))

  it('is identified by its name: arrays are compared by length and ends, and an invalid name is refused', () =>
    inQueue(async tq => {
      const array = upTo(10).map(i => partial(numbered, i))
      assert.equal(await tq.insert(array, { resume: 'array' }), 10)
      assert.equal(await tq.insert(array, { parallel: 1, resume: 'array' }), 0)
      await assert.rejects(
        tq.insert(array.slice(1), { resume: 'array' }),
        /`array`.*an array .*, 10 tasks\), got another \(an array .*, 9 tasks\)/,
      )
      await assert.rejects(tq.insert(array.toReversed(), { resume: 'array' }), /got another/)
      for (const name of ['', '.x', '~x', 'a/b', 'x'.repeat(101)]) {
        await assert.rejects(tq.insert(array, { resume: name }), /Expected `resume` to be a name of up to 100 letters/)
      }
      await inQueue(other =>
        assert.rejects(tq.insert(other, { resume: 'copy' }), /Expected `resume` to be left out where another queue/),
      )
    }))

  it('has one owner: the newest process takes it over, and the earlier one inserts nothing more', () =>
    inQueue(async (tq, root) => {
      let second: Promise<number> | undefined
      const whole = upTo(12_000)
      function* tasks(early: boolean) {
        for (const i of whole) {
          if (early && i === 5000) second = takeOver()
          yield partial(numbered, i)
        }
      }
      const later = queueAt(root)
      const takeOver = () => later.insert(tasks(false), { resume: 'both' })
      const error = await insertError(tq.insert(tasks(true), { resume: 'both' }))
      assert.match(error.message, /another process took this upload up/)
      const inserted = await second
      // A failed part may have been in transit: the process that takes over the upload completes it, and finds it
      // stored.
      assert.ok(inserted !== undefined && inserted >= 12_000 - error.inserted - error.failed)
      assert.deepEqual(sorted(await drain(later)), whole)
      assert.equal(await later.inserted(), whole.length)
      await later.close()
    }))

  it('lasts as long as the in-memory queue', async () => {
    await using tq = queueAt('mem://resumed')
    let broken = true
    function* tasks() {
      for (let i = 0; i < 3000; i++) {
        if (broken && i === 2500) throw new Error('no more for now')
        yield partial(numbered, i)
      }
    }
    assert.equal((await insertError(tq.insert(tasks(), { resume: 'x' }))).inserted, 2500)
    const first = await drain(tq)
    broken = false
    assert.equal(await tq.insert(tasks(), { resume: 'x' }), 500)
    assert.deepEqual(sorted([...first, ...(await drain(tq))]), upTo(3000))
    assert.equal(await tq.insert(tasks(), { resume: 'x' }), 0)
    assert.equal(await tq.inserted(), 3000)
    await tq.purge()
    assert.equal(await tq.insert(tasks(), { resume: 'x' }), 3000)
    await tq.purge()
  })
})

describe('an interrupted insert', () => {
  // After this number of filesystem calls all calls fail, as if the process were dead.
  for (const delaySeconds of [0, 1_000_000]) {
    it(`at any call of the filesystem inserts each task once${delaySeconds > 0 ? ', with a delay' : ''}`, async () => {
      const sequence = new Numbers(0, 5)
      let calls = Number.POSITIVE_INFINITY
      for (let cutAt = 1; cutAt < calls; cutAt++) {
        await inFolder(async folder => {
          const root = join(folder, 'queue-of-test')
          let made = 0
          const check = () => {
            if (++made > cutAt) throw Object.assign(new Error('the process is dead'), { code: 'EIO' })
          }
          const fileSystem = interfered({ blocking: check, pooled: async () => check() })
          const dying = queueAt(root, { fileSystem })
          const outcome = await dying.insert(sequence, { resume: 'cut', delaySeconds }).then(
            () => 'complete',
            () => 'cut off',
          )
          if (outcome === 'complete') calls = made
          // An hour later the dead process no longer holds a lock.
          const clockMs = () => Date.now() + 3_600_000
          await using tq = queueAt(root, { fileSystem: interfered({ clockMs }), hostNowMs: clockMs })
          const numbers = existsSync(join(root, 'queue')) && delaySeconds === 0 ? await drain(tq) : []
          const listed = existsSync(join(root, 'queue')) ? (await tq.list()).length : 0
          const missing = await tq.insert(sequence, { resume: 'cut', delaySeconds })
          assert.ok(missing <= 5 - numbers.length - listed, `cut at call ${cutAt}: ${missing} were inserted`)
          const status = await tq.status()
          assert.equal(status.enqueued + numbers.length, 5, `cut at call ${cutAt}`)
          assert.equal(status.delayed, delaySeconds > 0 ? 5 : 0)
          // A count may be lost or double only if the process died between counting and noting it.
          if (numbers.length + listed < 5) assert.equal(status.inserted, 5, `cut at call ${cutAt}`)
          const names = (await tq.list()).map(task => Number((task.payload() as unknown as [unknown, [number]])[1][0]))
          assert.deepEqual(sorted([...numbers, ...names]), upTo(5), `cut at call ${cutAt}`)
          assert.equal(await tq.insert(sequence, { resume: 'cut', delaySeconds }), 0)
        })
      }
      assert.ok(calls > 40 && calls < 1000, `${calls} calls`)
    })
  }

  it('by SIGKILL at any moment, while workers drain, runs each task once', () =>
    inQueue(async (tq, root) => {
      const total = 12_000
      const numbers: number[] = []
      let complete = false
      let kills = 0
      while (!complete) {
        const child = fork(join(import.meta.dirname, 'uploader.js'), [root, String(total)])
        const left = once(child, 'exit')
        let gone = false
        void left.then(() => {
          gone = true
        })
        // Kills it when so many more were drained; it may be done before.
        const until = numbers.length + randomInt(1, total / 4)
        while (!gone) {
          if (existsSync(join(root, 'queue'))) numbers.push(...(await drain(tq, 500)))
          await new Promise(resolve => setImmediate(resolve))
          if (numbers.length >= until && child.exitCode === null) child.kill('SIGKILL')
        }
        const [code, signal] = await left
        if (signal === 'SIGKILL') kills++
        else assert.equal(code, 0)
        complete = code === 0
      }
      numbers.push(...(await drain(tq)))
      assert.deepEqual(sorted(numbers), upTo(total), `after ${kills} kills`)
      assert.equal(await tq.insert(new Numbers(0, total), { parallel: 1, resume: 'killed' }), 0)
      assert.deepEqual(await drain(tq), [])
    }))
})
