import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InsertError } from 'ptq'
import { inQueue, isCounting, isFinished, numbersIn, pooledQueue } from './purged-queue.js'
import { Numbers } from './sequences.js'

test('a purge at any call of a bulk insert: all its tasks are stored, or it fails', async () => {
  // Every call of one batch; some calls of two batches, of 250 files and of 50.
  await purgedAtCalls(5, 1)
  await purgedAtCalls(300, 83)
})

async function purgedAtCalls(total: number, step: number): Promise<void> {
  let calls = 0
  await inQueue(async (_tq, root) => {
    await using uploading = pooledQueue(root, async () => {
      calls++
    })
    await uploading.insert(new Numbers(0, total), { resume: 'job' })
  })
  assert.ok(calls > total && calls < 10_000, `${calls} calls`)
  for (let purgeAt = 1; purgeAt <= calls; purgeAt += step) {
    await inQueue(async (tq, root) => {
      let made = 0
      let wasFinished = false
      let purging: Promise<void> | undefined
      await using uploading = pooledQueue(root, async () => {
        if (++made !== purgeAt) return
        wasFinished = isFinished(root)
        purging = tq.purge()
        // It waits for a process that counts, which must not wait for it.
        if (!isCounting(root)) await purging
      })
      const outcome = await uploading.insert(new Numbers(0, total), { resume: 'job' }).then(
        count => count,
        (error: unknown) => error,
      )
      assert.ok(purging !== undefined)
      await purging
      const what = `purged at call ${purgeAt} of ${calls}`
      const found = await numbersIn(tq)
      if (outcome === total) {
        assert.equal(found.length, wasFinished ? 0 : total, what)
      } else {
        assert.ok(outcome instanceof InsertError, `${what}: ${outcome}`)
        assert.match(outcome.message, /is gone: another process took this upload up, or the queue was purged/, what)
      }
      await tq.insert(new Numbers(0, total), { resume: 'job' })
      assert.equal(new Set(await numbersIn(tq)).size, total, what)
    })
  }
}
