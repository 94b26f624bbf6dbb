import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileCalls, FileSystem } from '#ptq/backends/fq/file-system.js'
import { open } from '#ptq/backends/fq/index.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { fastDisk, inFolder } from '../fq/folder.js'
import { insert, leaseNow, namesIn } from '../fq/messages.js'

const HOLDERS = 3
const TASKS = 40

/** So many looks at most until a name that was put into a folder is listed, and one that was taken out no longer. */
const LATE_LOOKS = 4

/**
 * Listings as those of a network filesystem whose cache is old: each process sees the names of the queue some looks ago.
 * What it does with a name is done to the folder as it is.
 */
function lateListings(lateness: () => number): FileSystem {
  const seen = new Map<string, (readonly string[])[]>()
  const late = (calls: FileCalls): FileCalls => ({
    ...calls,
    async openFolder(path) {
      const folder = await calls.openFolder(path)
      if (folder === undefined || !path.endsWith('/queue')) return folder
      const now: string[] = []
      for (let names = await folder.read(); names.length > 0; names = await folder.read()) now.push(...names)
      await folder.close()
      const looks = seen.get(path) ?? []
      seen.set(path, [now, ...looks].slice(0, LATE_LOOKS + 1))
      const shown = looks[lateness() - 1] ?? now
      let isRead = false
      return {
        read: () => {
          if (isRead) return []
          isRead = true
          return shown
        },
        close: () => undefined,
      }
    },
  })
  return { ...nodeFileSystem, blocking: late(nodeFileSystem.blocking), pooled: late(nodeFileSystem.pooled) }
}

test('names that appear and vanish late in listings lose no task, give none to two, and stop nobody', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.nat(LATE_LOOKS), { minLength: 1 }), fc.boolean(), (lateness, durable) =>
      inFolder(async folder => {
        const path = join(folder, 'queue-of-test')
        const holders = await Promise.all(
          Array.from({ length: HOLDERS }, () => {
            let look = 0
            const fileSystem = lateListings(() => lateness[look++ % lateness.length] ?? 0)
            return open({ protocol: 'fq', path }, { fileSystem, durable })
          }),
        )
        const sent: string[] = []
        const finished: string[] = []
        // One holder after the other; at the end so often that every listing has caught up.
        for (let turn = 0; finished.length < TASKS; turn++) {
          assert.ok(turn < 100 * TASKS, `${finished.length} of ${TASKS} tasks were found`)
          const holder = holders[turn % HOLDERS]
          assert.ok(holder !== undefined)
          if (sent.length < TASKS) sent.push(...(await insert(holder, 4)).map(({ id }) => id))
          const leases = await leaseNow(holder, 3)
          assert.deepEqual(await holder.renew(leases, 100), [])
          assert.ok(((await holder.counts()).enqueued ?? -1) >= 0)
          const [first, ...others] = leases
          if (first !== undefined) assert.deepEqual(await holder.release([first], { delaySeconds: 0 }), [])
          assert.deepEqual(await holder.delete(others, { tally: true }), [])
          finished.push(...others.map(({ id }) => id))
          if (first !== undefined && sent.length >= TASKS && others.length === 0) {
            const again = await leaseNow(holder, 1)
            assert.deepEqual(await holder.delete(again, { tally: true }), [])
            finished.push(...again.map(({ id }) => id))
          }
        }
        assert.deepEqual(finished.sort(), sent.sort())
        assert.equal((await holders[0]?.counts())?.completed, TASKS)
        assert.deepEqual(namesIn(path, 'queue'), [])
        for (const holder of holders) await holder.close()
      }, fastDisk),
    ),
    { numRuns: 20 },
  ))
