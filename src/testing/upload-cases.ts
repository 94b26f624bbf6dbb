/** Cases of backends that keep journals of uploads. */
import assert from 'node:assert/strict'
import type { Backend } from '../backend/backend.js'
import type { Uploads } from '../backend/uploads.js'
import { type ConformanceCase, ids, noFailures } from './queue-under-test.js'

const leftOut = ({ uploads }: Backend): string | undefined =>
  uploads === undefined ? 'it keeps no journals itself, uploads' : undefined

const head = { seed: '0123456789abcdef0123456789abcdef', sequence: 'Numbers with fields 1', total: 10 }

const noDelay = { delaySeconds: 0 }

function uploadsOf(backend: Backend): Uploads {
  assert.ok(backend.uploads !== undefined)
  return backend.uploads
}

/** The indices in ranges, in order. */
function indices(ranges: readonly { readonly start: number; readonly end: number }[]): number[] {
  return ranges
    .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i))
    .sort((a, b) => a - b)
}

export const uploadCases: readonly ConformanceCase[] = [
  {
    name: 'an upload that is taken over knows what is stored, also after it was drained',
    leftOut,
    async run(queue) {
      const first = uploadsOf(queue.backend)
      const second = uploadsOf(await queue.open())
      const messages = Array.from({ length: 8 }, () => queue.message())
      const begun = await first.begin('week-12', head)
      assert.deepEqual({ ...begun, run: '' }, { run: '', head, stored: [], counted: 0, finished: false })
      noFailures(await first.insert(begun.run, 0, messages.slice(0, 3), noDelay))
      noFailures(await first.insert(begun.run, 5, messages.slice(3, 8), noDelay))
      assert.deepEqual(indices(await first.settle(begun.run, { start: 0, end: 10 })), [0, 1, 2, 5, 6, 7, 8, 9])
      await first.counted(begun.run, 8)
      const leases = await queue.take(8)
      assert.deepEqual(ids(leases), ids(messages))
      noFailures(await queue.backend.delete(leases, { tally: false }))

      const again = await second.begin('week-12', { ...head, seed: 'f'.repeat(32) })
      assert.deepEqual([again.head, again.counted, again.finished], [head, 8, false])
      assert.deepEqual(indices(again.stored), [0, 1, 2, 5, 6, 7, 8, 9])
      await queue.nothingFree()
      const last = [queue.message(), queue.message()]
      noFailures(await second.insert(again.run, 3, last, noDelay))
      assert.deepEqual(ids(await queue.take(2)), ids(last))
      await second.finish(again.run)
      assert.equal((await first.begin('week-12', head)).finished, true)
    },
  },
  {
    name: 'an upload has one owner and one sequence',
    leftOut,
    async run(queue) {
      const uploads = uploadsOf(queue.backend)
      const earlier = await uploads.begin('week-12', head)
      await assert.rejects(uploads.begin('week-12', { ...head, sequence: 'Others' }), /week-12/)
      await assert.rejects(uploads.begin('week-12', { ...head, total: 11 }), /week-12/)
      const later = await uploads.begin('week-12', head)
      await assert.rejects(async () => noFailures(await uploads.insert(earlier.run, 0, [queue.message()], noDelay)))
      await assert.rejects(uploads.counted(earlier.run, 1))
      const message = queue.message()
      noFailures(await uploads.insert(later.run, 0, [message], noDelay))
      assert.deepEqual(ids(await queue.take(1)), [message.id])
      await queue.nothingFree()
      assert.equal((await uploads.begin('other-name', head)).stored.length, 0)
    },
  },
  {
    name: 'an upload without a name is removed when it ends, and all uploads when the queue is purged',
    leftOut,
    async run(queue) {
      const uploads = uploadsOf(queue.backend)
      const [one, two] = [await uploads.begin(undefined, head), await uploads.begin(undefined, head)]
      noFailures(await uploads.insert(one.run, 0, [queue.message()], { delaySeconds: queue.longSeconds }))
      noFailures(await uploads.insert(two.run, 0, [queue.message()], noDelay))
      await uploads.finish(one.run)
      await uploads.finish(two.run)
      await queue.take(1)
      await queue.nothingFree()
      const named = await uploads.begin('week-12', head)
      await uploads.finish(named.run)
      await queue.backend.purge({ native: false })
      assert.equal((await uploads.begin('week-12', { ...head, total: 3 })).finished, false)
    },
  },
]
