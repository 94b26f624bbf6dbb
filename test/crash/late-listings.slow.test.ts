import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Backend } from '#ptq/backend/backend.js'
import type { Lease } from '#ptq/backend/messages.js'
import type { FileCalls, FileSystem } from '#ptq/backends/fq/file-system.js'
import { open } from '#ptq/backends/fq/index.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { fastDisk, inFolder } from '../fq/folder.js'
import { insert, leaseNow, namesIn } from '../fq/messages.js'

const HOLDERS = 3
const TASKS = 40
const LEASES = 3

/** The maximum age of a listing, in listings. */
const LATE_LOOKS = 4

/**
 * Listings of a network filesystem with an old cache: each listing shows the names as they were some listings ago,
 * except for changes by this process. Its changes are applied to the current folder.
 *
 * @param lateness the age of each listing in turn; later listings are current
 */
function lateListings(lateness: readonly number[]): { fileSystem: FileSystem; isCurrent: () => boolean } {
  const seen: (readonly string[])[] = []
  let look = 0
  const late = (calls: FileCalls): FileCalls => ({
    ...calls,
    async openFolder(path) {
      const folder = await calls.openFolder(path)
      if (folder === undefined || !path.endsWith('/queue')) return folder
      const now: string[] = []
      for (let names = await folder.read(); names.length > 0; names = await folder.read()) now.push(...names)
      await folder.close()
      seen.unshift(now)
      let shown = seen[lateness[look++] ?? 0] ?? now
      return {
        read: () => {
          const names = shown
          shown = []
          return names
        },
        close: () => undefined,
      }
    },
  })
  return {
    fileSystem: { ...nodeFileSystem, blocking: late(nodeFileSystem.blocking), pooled: late(nodeFileSystem.pooled) },
    isCurrent: () => look >= lateness.length,
  }
}

interface Holder {
  readonly queue: Backend
  readonly isCurrent: () => boolean
  /** Held from one turn to the next. */
  kept: Lease | undefined
}

/** Steps of several holders on a queue, with its invariants. */
class Steps {
  readonly #path: string
  readonly #sent: string[] = []
  readonly #finished: string[] = []
  readonly #held = new Set<string>()

  constructor(path: string) {
    this.#path = path
  }

  get isOver(): boolean {
    return this.#finished.length === TASKS
  }

  async turn(holder: Holder): Promise<void> {
    const { queue } = holder
    if (this.#sent.length < TASKS) this.#sent.push(...(await insert(queue, 4)).map(({ id }) => id))
    await this.#lease(holder)
    assert.ok(((await queue.counts()).enqueued ?? -1) >= 0)
  }

  async #lease(holder: Holder): Promise<void> {
    const { queue, isCurrent } = holder
    const knowsAll = isCurrent()
    const free = this.#sent.length - this.#finished.length - this.#held.size
    const leases = await leaseNow(queue, LEASES)
    if (knowsAll) assert.equal(leases.length, Math.min(LEASES, free), 'who sees the folder as it is finds what is free')
    for (const { id } of leases) {
      assert.ok(!this.#held.has(id), `${id} is held by another`)
      this.#held.add(id)
    }
    assert.deepEqual(await queue.renew(leases, 100), [])
    const [kept, ...others] = leases
    assert.deepEqual(await queue.delete(others, { tally: true }), [])
    for (const { id } of others) this.#finish(id)
    await this.#releaseHeld(holder)
    holder.kept = kept
  }

  /** Releases what was held since the last turn while listings are late; then deletes it. */
  async #releaseHeld({ queue, isCurrent, kept }: Holder): Promise<void> {
    if (kept === undefined) return
    if (isCurrent()) {
      assert.deepEqual(await queue.delete([kept], { tally: true }), [])
      this.#finish(kept.id)
    } else {
      assert.deepEqual(await queue.release([kept], { delaySeconds: 0 }), [])
      this.#held.delete(kept.id)
    }
  }

  #finish(id: string): void {
    this.#held.delete(id)
    this.#finished.push(id)
  }

  async checkEnd(queue: Backend): Promise<void> {
    assert.deepEqual(this.#finished.toSorted(), this.#sent.toSorted())
    assert.equal((await queue.counts()).completed, TASKS)
    assert.deepEqual(namesIn(this.#path, 'queue'), [])
  }
}

const lateness = fc.array(fc.nat(LATE_LOOKS), { maxLength: 100, size: 'max' })

test('names that appear and disappear late in listings lose no task, give none to two workers, and stop no worker', () =>
  fc.assert(
    fc.asyncProperty(fc.tuple(lateness, lateness, lateness), fc.boolean(), (latenesses, durable) =>
      inFolder(async folder => {
        const path = join(folder, 'queue-of-test')
        const holders = await Promise.all(
          latenesses.map(async (looks): Promise<Holder> => {
            const { fileSystem, isCurrent } = lateListings(looks)
            return { queue: await open({ protocol: 'fq', path }, { fileSystem, durable }), isCurrent, kept: undefined }
          }),
        )
        const runWith = new Steps(path)
        // Each turn makes at least two listings; then all listings are current, and each turn deletes a task until none
        // is left.
        const mostTurns = HOLDERS * (Math.max(...latenesses.map(({ length }) => length)) + TASKS)
        for (let turn = 0; !runWith.isOver; turn++) {
          assert.ok(turn < mostTurns, 'all tasks are found')
          const holder = holders[turn % HOLDERS]
          assert.ok(holder !== undefined)
          await runWith.turn(holder)
        }
        const [first] = holders
        assert.ok(first !== undefined)
        await runWith.checkEnd(first.queue)
        for (const { queue } of holders) await queue.close()
      }, fastDisk),
    ),
    // In this example a task was always leased by the holder that listed when the others saw it.
    { numRuns: 20, examples: [[[Array(100).fill(1), Array(100).fill(1), Array(100).fill(1)], false]] },
  ))
