// A queue whose disk is full: nothing is lost, one error says ENOSPC, and all goes on when there is room again.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { InsertError, type PollOptions, partial, type RunResult, TaskQueue } from 'ptq'
import { JournalFiles } from '#ptq/bulk-insert/journal-files.js'
import { JobLog } from '#ptq/commands/job-log.js'
import { commandKey, SuccessRecord } from '#ptq/commands/success-record.js'
import { Numbers, numbered } from '../bulk-insert/sequences.js'
import { sh } from '../commands/commands.js'
import { throwUntil } from '../poll/tasks.js'
import { square } from '../results/tasks.js'
import { inFolder, openQueue } from './folder.js'
import { failure, insert, leaseNow, messages, namesIn } from './messages.js'
import { onSmallDisks, SmallDisk } from './small-disk.js'

/** No room for more blocks; and no room for another file either, which also leaves the queue without its clock. */
const kinds = [
  ['blocks', { names: false }],
  ['blocks and files', { names: true }],
] as const

/** Runs `work` with a queue on a small disk, and the warnings given meanwhile: their codes, or what they say. */
async function onDisk(
  work: (tq: TaskQueue, disk: SmallDisk, warnings: string[]) => Promise<void>,
  kib = 1024,
): Promise<void> {
  const warnings: string[] = []
  const listen = (warning: Error & { code?: string }) => warnings.push(warning.code ?? warning.message)
  process.on('warning', listen)
  try {
    await SmallDisk.use(async disk => {
      await using tq = new TaskQueue(`fq://${disk.path}/queue`, { progress: false })
      await work(tq, disk, warnings)
    }, kib)
  } finally {
    process.off('warning', listen)
  }
}

function drain(tq: TaskQueue, options: PollOptions = {}): Promise<number> {
  return tq.poll({ parallel: 0, untilEmpty: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01, ...options })
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const value of values) found.push(value)
  return found
}

/** The arguments of the tasks that a queue has, in order. */
async function numbersIn(tq: TaskQueue): Promise<number[]> {
  return (await tq.list()).map(task => JSON.parse(task.payloadText)[1][0]).sort((a, b) => a - b)
}

const upTo = (end: number) => Array.from({ length: end }, (_, n) => n)

/** Queues with tasks 0 to 59 and with 60, the second on a disk with room for little more. */
function toFullDisk(
  act: (queues: { from: TaskQueue; to: TaskQueue; disk: SmallDisk }) => Promise<void>,
): Promise<void> {
  return SmallDisk.use(disk =>
    inFolder(async folder => {
      await using from = new TaskQueue(`fq://${folder}/queue`, { progress: false })
      await using to = new TaskQueue(`fq://${disk.path}/queue`, { progress: false })
      await from.insert(upTo(60).map(n => partial(numbered, n)))
      await to.insert(partial(numbered, 60))
      disk.fill({ but: 20 })
      await act({ from, to, disk })
    }),
  )
}

onSmallDisks(fileURLToPath(import.meta.url), () => {
  describe('a full disk', { concurrency: 1 }, () => {
    it('an insert says how many tasks are in the queue, and leaves nothing of the others', () =>
      onDisk(async (tq, disk) => {
        await tq.insert(partial(numbered, 0))
        disk.fill({ but: 10 })
        const error = await tq.insert(upTo(50).map(n => partial(numbered, n + 1))).catch((thrown: unknown) => thrown)
        assert.ok(error instanceof InsertError, String(error))
        assert.match(error.message, /ENOSPC/)
        assert.ok(error.inserted > 0 && error.inserted < 12, `${error.inserted} inserted`)
        assert.deepEqual(await numbersIn(tq), upTo(error.inserted + 1))
        await assert.rejects(tq.insert(partial(numbered, 99), { delaySeconds: 600 }), /ENOSPC/)
        assert.deepEqual(namesIn(`${disk.path}/queue`, 'staging'), [])
        assert.deepEqual(namesIn(`${disk.path}/queue`, 'movement'), [])
        disk.free()
        await tq.insert(upTo(50 - error.inserted).map(n => partial(numbered, n + error.inserted + 1)))
        assert.deepEqual(await numbersIn(tq), upTo(51))
        // The count is never ahead: what could not be counted is missing.
        const { inserted } = await tq.status()
        assert.ok(inserted !== undefined && inserted >= 51 - error.inserted && inserted <= 51, `${inserted} counted`)
      }))

    it('no task is in the queue in part, and deleting makes room', () =>
      SmallDisk.use(async disk => {
        await using opened = await openQueue(`${disk.path}/queue`)
        const { queue } = opened
        const big = messages(queue.queueName, 200).map(({ id }) => ({ id, body: 'x'.repeat(8192) }))
        const failures = await queue.insert(big, { delaySeconds: 0 })
        assert.ok(failures.length > 0 && failures.length < 200)
        assert.ok(failures.every(({ error }) => error.message.includes('ENOSPC')))
        assert.deepEqual(namesIn(queue.queueName, 'staging'), [])
        const leases = await leaseNow(queue, 200)
        assert.equal(leases.length, 200 - failures.length)
        assert.ok(leases.every(({ body }) => body.length === 8192))
        assert.deepEqual(await queue.delete(leases.slice(0, 50), { tally: false }), [])
        assert.deepEqual(await queue.insert(big.slice(0, 1), { delaySeconds: 0 }), [])
      }))

    it('a bulk insert goes on where it ended, and each task is inserted and counted once', () =>
      onDisk(async (tq, disk) => {
        await tq.insert(partial(numbered, 0))
        const insertAll = () => tq.insert(new Numbers(1, 500), { parallel: 0, resume: 'all' })
        disk.fill({ but: 100 })
        const error = await insertAll().catch((thrown: unknown) => thrown)
        assert.ok(error instanceof InsertError, String(error))
        assert.match(error.message, /ENOSPC/)
        const before = await numbersIn(tq)
        assert.equal(before.length, error.inserted + 1)
        disk.free()
        // What was inserted is worked on in between.
        assert.equal(await drain(tq), before.length)
        assert.equal(await insertAll(), 499 - error.inserted)
        assert.deepEqual(
          [...before, ...(await numbersIn(tq))].sort((a, b) => a - b),
          upTo(500),
        )
        assert.equal((await tq.status()).inserted, 500)
        assert.equal(await insertAll(), 0)
      }, 4096))

    for (const [kind, how] of kinds) {
      it(`a worker removes the tasks that it has run, and says which counts are missing: no more ${kind}`, () =>
        onDisk(async (tq, disk, warnings) => {
          await tq.insert(upTo(20).map(n => partial(numbered, n)))
          disk.fill(how)
          assert.equal(await drain(tq, { tally: true }), 20)
          disk.free()
          const { enqueued, completed, inserted } = await tq.status()
          assert.deepEqual([enqueued, inserted], [0, 20])
          assert.ok(completed === 20 || warnings.includes('PTQ_NOT_COUNTED'), `${completed} counted; ${warnings}`)
        }))

      it(`tasks are leased, renewed, released and deleted: no more ${kind}`, () =>
        SmallDisk.use(async disk => {
          await using opened = await openQueue(`${disk.path}/queue`)
          const { queue } = opened
          await insert(queue, 4)
          disk.fill(how)
          for (let round = 0; round < 2; round++) {
            const leases = await leaseNow(queue, 4)
            assert.deepEqual(
              leases.map(({ attempt }) => attempt),
              [1, 1, 1, 1],
            )
            assert.deepEqual(await queue.renew(leases, 600), [])
            const [first, second, ...others] = leases
            assert.ok(first && second)
            assert.deepEqual(await queue.release(others, { delaySeconds: 0 }), [])
            for (const options of [
              { delaySeconds: 0, failure: failure(1) },
              { delaySeconds: 5, failure: failure(1) },
              { delaySeconds: 5 },
            ]) {
              const [failed] = await queue.release([first], options)
              assert.match(failed?.error.message ?? '', /ENOSPC/)
            }
            await assert.rejects(async () => queue.replace?.(first, 'x'), /ENOSPC/)
            assert.deepEqual(namesIn(`${disk.path}/queue`, 'staging'), [])
            assert.deepEqual(await queue.release([first, second], { delaySeconds: 0 }), [], 'the leases are still ours')
          }
          assert.deepEqual(await queue.delete(await leaseNow(queue, 4), { tally: false }), [])
          assert.deepEqual(namesIn(`${disk.path}/queue`, 'queue'), [])
        }))

      it(`a failure that can't be recorded ends the worker, its task is available at once as before: no more ${kind}`, () =>
        onDisk(async (tq, disk) => {
          await tq.insert(upTo(3).map(() => partial(throwUntil, 9)))
          disk.fill(how)
          for (let worker = 0; worker < 2; worker++) {
            await assert.rejects(drain(tq), /ENOSPC/)
            const { enqueued, leased, delayed } = await tq.status()
            assert.deepEqual([enqueued, leased, delayed], [3, 0, 0])
          }
          disk.free()
          await drain(tq, { untilEmpty: false, stopFn: ({ failed }) => failed === 3 })
          assert.equal((await tq.status()).delayed, 3)
          await using opened = await openQueue(`${disk.path}/queue`)
          for (const { id } of await tq.list()) {
            const failures = await opened.queue.failures?.({ id })
            assert.deepEqual(
              failures?.map(({ attempt }) => attempt),
              [1],
            )
          }
        }))

      it(`a worker that can't take over the task of a dead one ends, and the task waits as before: no more ${kind}`, () =>
        onDisk(async (tq, disk) => {
          await tq.insert(partial(numbered, 1))
          const queue = `${disk.path}/queue/queue`
          const [name = ''] = readdirSync(queue)
          // As of a worker that died in 1970.
          const expired = name.replace(/^0--/, '1000--')
          renameSync(join(queue, name), join(queue, expired))
          disk.fill(how)
          await assert.rejects(drain(tq), /ENOSPC/)
          assert.deepEqual(readdirSync(queue), [expired])
          disk.free()
          assert.equal(await drain(tq), 1)
        }))

      it(`a task becomes a dead letter once there is room: no more ${kind}`, () =>
        onDisk(async (tq, disk) => {
          await tq.insert(partial(throwUntil, 9))
          disk.fill(how)
          await assert.rejects(drain(tq, { maxAttempts: 1 }), /ENOSPC/)
          const { enqueued, leased } = await tq.status()
          assert.deepEqual([enqueued, leased], [1, 0])
          assert.deepEqual(await all(tq.failures()), [])
          disk.free()
          assert.equal(await drain(tq, { maxAttempts: 1 }), 0)
          const letters = await all(tq.failures())
          assert.deepEqual(
            letters.map(({ failures }) => failures.map(({ attempt }) => attempt)),
            [[1]],
          )
          assert.equal((await tq.status()).enqueued, 0)
        }))

      it(`an outcome that can't be stored ends the worker, and each is read once in the end: no more ${kind}`, () =>
        onDisk(async (tq, disk) => {
          const run = tq.map(square, upTo(30), { run: 'squares' })[Symbol.asyncIterator]()
          const first = run.next()
          await new Promise<void>((resolve, reject) => {
            const look = async () =>
              (await tq.exists()) && (await tq.enqueued()) === 30 ? resolve() : setTimeout(look, 5)
            look().catch(reject)
          })
          disk.fill(how)
          await assert.rejects(drain(tq), /ENOSPC/)
          assert.deepEqual(await tq.status().then(({ enqueued, leased }) => [enqueued, leased]), [30, 0])
          disk.free()
          assert.equal(await drain(tq), 30)
          const results: RunResult<number>[] = []
          for (let next = await first; !next.done; next = await run.next()) results.push(next.value)
          assert.deepEqual(
            results.map(result => (result.ok ? result.value : result.error)).sort((a, b) => Number(a) - Number(b)),
            upTo(30).map(n => n * n),
          )
        }))

      it(`commands run without their logs, which go on when there is room: no more ${kind}`, () =>
        onDisk(async (tq, disk, warnings) => {
          await tq.insert(upTo(10).map(n => sh(`echo ${n}; sleep 0.02`)))
          disk.fill(how)
          const end = new AbortController()
          const later = sh('echo later')
          let removed = 0
          let lastId = ''
          tq.events.on('deleted', ({ task }) => {
            removed++
            if (removed === 10) {
              disk.free()
              tq.insert(later).catch(error => end.abort(error))
            }
            if (removed === 11) {
              lastId = task.id
              end.abort()
            }
          })
          assert.equal(await tq.poll({ commands: true, parallel: 1, maxBackoffSeconds: 1, signal: end.signal }), 11)
          assert.equal(warnings.filter(warning => warning === 'PTQ_LOG_NOT_WRITTEN').length, 1)
          const written = await all(tq.taskOutput(lastId))
          assert.equal(Buffer.concat(written.map(({ bytes }) => bytes)).toString(), 'later\n')
          assert.ok(namesIn(`${disk.path}/queue`, 'logs').length <= 2, String(namesIn(`${disk.path}/queue`, 'logs')))
        }))
    }

    it('a move to it fails, and its tasks are available where they were', () =>
      toFullDisk(async ({ from, to, disk }) => {
        await assert.rejects(from.moveTo(to), /ENOSPC/)
        assert.deepEqual(await from.status().then(({ enqueued, leased }) => [enqueued, leased]), [60, 0])
        assert.deepEqual(await numbersIn(to), [60])
        disk.free()
        assert.equal((await from.moveTo(to)).moved, 60)
        assert.deepEqual(await numbersIn(to), upTo(61))
      }))

    it('a copy to it fails, and is complete when it is repeated', () =>
      toFullDisk(async ({ from, to, disk }) => {
        await assert.rejects(from.copyTo(to), /ENOSPC/)
        disk.free()
        await from.copyTo(to)
        assert.deepEqual(await numbersIn(to), upTo(61))
        assert.equal(await from.enqueued(), 60)
      }))

    it('lines of a job log, a record of successes and a journal that did not fit spoil no other line', () =>
      SmallDisk.use(async disk => {
        const fillWith = (add: (n: number) => void): number => {
          disk.fill()
          for (let n = 0; ; n++) {
            try {
              add(n)
            } catch (error) {
              assert.match(String(error), /ENOSPC/)
              disk.free()
              return n
            }
          }
        }
        const end = { exitCode: 0, error: undefined, durationSeconds: 0 }
        const path = join(disk.path, 'joblog')
        const jobLog = new JobLog(path)
        const add = (n: number) =>
          jobLog.add({ sequence: n, startedAtMs: 0, stdoutBytes: 0, command: `command ${n}.`.padEnd(57, '.'), end })
        const logged = fillWith(add)
        add(1_000)
        jobLog.close()
        const commands = readFileSync(path, 'utf8')
          .split('\n')
          .map(line => line.split('\t'))
          .filter(fields => fields.length === 9 && fields[8]?.length === 57)
        assert.equal(commands.length, logged + 1)

        process.env.XDG_STATE_HOME = disk.path
        const key = (n: number) => commandKey([String(n)], '/')
        const record = new SuccessRecord('run')
        const recorded = fillWith(n => record.add(key(n)))
        record.add(key(1_000))
        record.close()
        const again = new SuccessRecord('run')
        assert.deepEqual(
          [...upTo(recorded), 1_000].filter(n => !again.takeSuccess(key(n))),
          [],
        )
        again.close()

        const backend = { label: 'test', insert: async () => [] } as unknown as ConstructorParameters<
          typeof JournalFiles
        >[0]
        const journal = new JournalFiles(backend)
        const head = { seed: '0'.repeat(32), sequence: 'Numbers', total: 1_000_000 }
        const { run } = await journal.begin('x', head)
        const at = (n: number) => 10 ** 5 + n * 10
        disk.fill()
        let stored = 0
        for (; ; stored++) {
          const failed = await journal.insert(run, at(stored), messages('q', 1), { delaySeconds: 0 }).then(
            () => false,
            error => /ENOSPC/.test(String(error)),
          )
          if (failed) break
        }
        disk.free()
        await journal.insert(run, at(90_000), messages('q', 1), { delaySeconds: 0 })
        const state = await journal.begin('x', head)
        assert.deepEqual(
          state.stored.map(({ start }) => start),
          [...upTo(stored), 90_000].map(at),
        )
      }))
  })
})
