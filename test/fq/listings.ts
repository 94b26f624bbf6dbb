/** Counts of names that are read, and workers that drain a queue. */
import assert from 'node:assert/strict'
import type { Backend } from '#ptq/backend/backend.js'
import { leaseNow } from './messages.js'
import { withCalls } from './test-files.js'

/** Counts the names that are read from folders. */
export function countingNames() {
  const counted = { names: 0 }
  const fileSystem = withCalls(calls => ({
    async openFolder(path) {
      const folder = await calls.openFolder(path)
      return (
        folder && {
          async read() {
            const names = await folder.read()
            counted.names += names.length
            return names
          },
          close: () => folder.close(),
        }
      )
    },
  }))
  return { counted, fileSystem }
}

/** Leases and deletes until nothing is left; the ids in their order. */
export async function drain(queue: Backend, max = 100): Promise<string[]> {
  const ids: string[] = []
  for (let leases = await leaseNow(queue, max); leases.length > 0; leases = await leaseNow(queue, max)) {
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
    ids.push(...leases.map(({ id }) => id))
    await new Promise(resolve => setImmediate(resolve))
  }
  return ids
}
