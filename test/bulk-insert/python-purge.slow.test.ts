// Python's purge empties `queue/` and `movement/` and sets the counters to 0; it ignores `uploads/`.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { InsertError, TaskQueue, type TaskQueueOptions } from 'ptq'
import { inFolder } from '../fq/folder.js'
import { namesIn } from '../fq/messages.js'
import { PythonSide } from '../fq/python-side.js'
import { interfered } from '../fq/test-files.js'
import { Numbers } from './sequences.js'

const nowSeconds = () => Date.now() / 1000

function queueAt(root: string, options: TaskQueueOptions = {}): TaskQueue {
  return new TaskQueue(root, { progress: false, ...options })
}

function inQueue(work: (tq: TaskQueue, root: string, python: PythonSide) => Promise<void>): Promise<void> {
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const python = new PythonSide(root, nowSeconds)
    await using tq = queueAt(root)
    await work(tq, root, python)
  })
}

/** Calls `at` before each call of the filesystem that an upload into `root` makes; resolves with its outcome. */
async function uploadWith(root: string, total: number, at: (call: number) => void): Promise<unknown> {
  let calls = 0
  const fileSystem = interfered({ either: () => at(++calls) })
  await using uploading = queueAt(root, { fileSystem })
  return await uploading.insert(new Numbers(0, total), { resume: 'job' }).then(
    count => count,
    (error: unknown) => error,
  )
}

const idsIn = (root: string) => namesIn(root, 'queue').map(name => name.slice(-41, -5))

function isFinished(root: string): boolean {
  return namesIn(root, 'uploads/job').some(run => existsSync(join(root, 'uploads', 'job', run, 'finished')))
}

describe('a bulk insert into a queue that Python purges', () => {
  it('before its start or after its completion: the same resume inserts all tasks again, under their ids', () =>
    inQueue(async (tq, root, python) => {
      python.insert({})
      python.purge()
      const total = 300
      assert.equal(await tq.insert(new Numbers(0, total), { resume: 'job' }), total)
      const ids = idsIn(root)
      assert.equal(await tq.insert(new Numbers(0, total), { resume: 'job' }), 0)
      for (let time = 1; time <= 2; time++) {
        python.purge()
        assert.equal(await tq.insert(new Numbers(0, total), { resume: 'job' }), total)
        assert.deepEqual(idsIn(root), ids)
        assert.equal(python.inserted, total)
        assert.equal(await tq.insert(new Numbers(0, total), { resume: 'job' }), 0)
        assert.equal(python.inserted, total)
      }
      // Workers delete in batches, for which they check once whether any task has a record.
      await tq.delete(await tq.lease({ numTasks: total, seconds: 60 }), { tally: true })
      assert.equal(python.enqueued, 0)
      assert.equal(await tq.insert(new Numbers(0, total), { resume: 'job' }), 0)
    }))

  it('after its completion: another sequence may use its name, as after a purge by ptq', () =>
    inQueue(async (tq, root, python) => {
      await tq.insert(new Numbers(0, 5), { resume: 'job' })
      await assert.rejects(tq.insert(new Numbers(0, 6), { resume: 'job' }), /Expected upload `job` to go on with/)
      const before = idsIn(root)
      python.purge()
      assert.equal(await tq.insert(new Numbers(0, 6), { resume: 'job' }), 6)
      assert.equal(idsIn(root).filter(id => before.includes(id)).length, 0)
    }))

  it('after an interruption: none of the stored tasks counts as stored any more', () =>
    inQueue(async (tq, root, python) => {
      const outcome = await uploadWith(root, 600, call => {
        if (call > 700) throw Object.assign(new Error('the process is dead'), { code: 'EIO' })
      })
      assert.ok(outcome instanceof InsertError)
      assert.ok(idsIn(root).length > 0)
      python.purge()
      assert.equal(await tq.insert(new Numbers(0, 600), { resume: 'job' }), 600)
      assert.equal(new Set(idsIn(root)).size, 600)
      assert.equal(python.inserted, 600)
    }))

  it('at any call: its tasks are stored, or it fails with an error and the same resume inserts them all', async () => {
    // Every call of one batch; some calls of two batches, of 250 files and of 50.
    await purgedAtCalls(5, 1)
    await purgedAtCalls(300, 97)
  })

  async function purgedAtCalls(total: number, step: number): Promise<void> {
    let calls = 0
    await inQueue((_tq, root) =>
      uploadWith(root, total, call => {
        calls = call
      }).then(outcome => assert.equal(outcome, total)),
    )
    assert.ok(calls > total && calls < 10_000, `${calls} calls`)
    for (let purgeAt = 1; purgeAt <= calls; purgeAt += step) {
      await inQueue(async (tq, root, python) => {
        let wasFinished = false
        const outcome = await uploadWith(root, total, call => {
          if (call !== purgeAt) return
          wasFinished = isFinished(root)
          python.purge()
        })
        const what = `purged at call ${purgeAt} of ${calls}: ${outcome}`
        const found = idsIn(root)
        if (outcome === total) {
          assert.equal(found.length, wasFinished ? 0 : total, what)
        } else {
          assert.ok(outcome instanceof InsertError, what)
          assert.match(outcome.message, /was purged by Python while this insert was under way/, what)
        }
        const again = await tq.insert(new Numbers(0, total), { resume: 'job' })
        assert.equal(again, outcome === total && !wasFinished ? 0 : total, what)
        const ids = idsIn(root)
        assert.equal(new Set(ids).size, total, what)
        assert.ok(
          found.every(id => ids.includes(id)),
          what,
        )
        assert.equal(await tq.insert(new Numbers(0, total), { resume: 'job' }), 0, what)
      })
    }
  }

  it('and that is killed at any call while it restarts: the next process inserts each task once', async () => {
    const total = 5
    let calls = Number.POSITIVE_INFINITY
    for (let cutAt = 1; cutAt < calls; cutAt++) {
      await inQueue(async (tq, root, python) => {
        await tq.insert(new Numbers(0, total), { resume: 'job' })
        const ids = idsIn(root)
        python.purge()
        let made = 0
        const outcome = await uploadWith(root, total, call => {
          made = call
          if (call > cutAt) throw Object.assign(new Error('the process is dead'), { code: 'EIO' })
        })
        if (outcome === total) calls = made
        // Its earlier tasks are finished by then.
        const finished = await tq.lease({ numTasks: total, seconds: 600 })
        await tq.delete(finished)
        // An hour later the dead process no longer holds a lock.
        const clockMs = () => Date.now() + 3_600_000
        await using later = queueAt(root, { fileSystem: interfered({ clockMs }), hostNowMs: clockMs })
        await later.insert(new Numbers(0, total), { resume: 'job' })
        const all = [...idsIn(root), ...finished.map(({ id }) => id)].sort()
        assert.deepEqual(all, ids.toSorted(), `cut at call ${cutAt}: ${outcome}`)
      })
    }
    assert.ok(calls > 40 && calls < 1000, `${calls} calls`)
  })

  it('is restarted by one of two processes, and the other fails', () =>
    inQueue(async (tq, root, python) => {
      const total = 20
      await tq.insert(new Numbers(0, total), { resume: 'job' })
      python.purge()
      let second: Promise<number> | undefined
      // The first one has decided to begin again; the second one does so, wholly, before the first continues.
      const isRun = (path: string) => /uploads\/job\/[0-9a-f-]{36}$/.test(path)
      const fileSystem = interfered({
        pooled: async (call, path, to) => {
          if (call !== 'rename' || !isRun(path) || !isRun(to) || second !== undefined) return
          second = tq.insert(new Numbers(0, total), { resume: 'job' })
          assert.equal(await second, total)
          await tq.delete(await tq.lease({ numTasks: total, seconds: 600 }))
        },
      })
      await using first = queueAt(root, { durable: true, fileSystem })
      assert.equal(await first.insert(new Numbers(0, total), { resume: 'job' }), 0)
      assert.ok(second !== undefined)
      assert.deepEqual(idsIn(root), [])
      assert.equal(python.inserted, total)
    }))

  it('is not restarted after a purge by ptq that began before the insert and ended minutes later', () =>
    inQueue(async (tq, root) => {
      await tq.insert(new Numbers(0, 5), { resume: 'other' })
      let aheadMs = 0
      let readings = 0
      let inserted = 0
      const clockMs = () => Date.now() + aheadMs
      const fileSystem = interfered({
        clockMs,
        pooled: async (call, path) => {
          // The first reading removes the tasks, the second one finds none.
          if (call !== 'openFolder' || path !== join(root, 'queue') || ++readings !== 2) return
          inserted = await tq.insert(new Numbers(0, 0), { resume: 'job' })
          await tq.insert(new Numbers(0, 20), { resume: 'late' })
          await tq.delete(await tq.lease({ numTasks: 20, seconds: 600 }))
          aheadMs = 180_000
        },
      })
      await using purging = queueAt(root, { durable: true, fileSystem, hostNowMs: clockMs })
      await purging.purge()
      assert.equal(readings, 2)
      assert.equal(inserted, 0)
      assert.deepEqual(readdirSync(join(root, 'uploads')).sort(), ['job', 'late'])
      assert.equal(await tq.insert(new Numbers(0, 20), { resume: 'late' }), 0)
    }))
})
