/**
 * Removal of everything in a queue, beside inserts that are under way.
 *
 * The journals of uploads go first, by a rename: from then on every call of a running upload fails, with an error that
 * says so. If the tasks went first, an upload whose tasks were removed would continue and report that all of them are
 * stored.
 */
import { isFolderAfterUnlink, removeTree, takeAwayTree } from './folders.js'
import { inside } from './layout.js'
import type { FileQueue } from './queue.js'
import { guarded, namesIn, parsed } from './reading.js'
import { rezero } from './scan.js'

// Some filesystems leave out names of a folder that changes while it is read, so it is read until nothing is found. Beside
// inserts that would continue as long as they do.
const maxReadings = 20

// A delayed insert writes the record of a task before the task: one that young may belong to a task that is about to arrive, which
// would read as leased without it. So does an upload with its marker. A minute: milliseconds pass between the two.
const youngSeconds = 60

/**
 * Removes all tasks, each with its history, records of tasks that are gone for a minute, quarantined files and the
 * journals of uploads, and sets the counters to 0. Foreign files stay. Tasks of concurrent inserts may stay too; none
 * of an upload whose journal stays is removed.
 */
export async function purge(queue: FileQueue): Promise<void> {
  const { layout, io } = queue
  await guarded(queue, 'Purging', async () => {
    // A link in the place of a folder is removed, and nothing in the folder that it leads to.
    const { movement, failures, quarantine, staging, workers, insertionsLock } = layout
    for (const folder of [movement, failures, quarantine, staging, workers, insertionsLock]) {
      await isFolderAfterUnlink(queue, folder)
    }
    let youngMs = 0
    for (let readings = 1; ; readings++) {
      // Before the last check for uploads: older records belong to no upload that begins after it.
      youngMs = (await queue.clock.ready()) ? (queue.clock.nowSeconds - youngSeconds) * 1000 : 0
      const endedUploads = await takeAwayTree(queue, layout.uploads)
      if (readings > maxReadings) break
      // The last reading has removed no task, so an upload that was begun since then has all of its own.
      if ((await removeTasks(queue)) === 0 && !endedUploads) break
    }
    for (const folder of [movement, failures, quarantine]) {
      for await (const names of namesIn(queue, folder)) {
        await io.each(names, async name => {
          const path = inside(folder, name)
          if (folder !== quarantine && ((await io.calls.stat(path))?.modifiedMs ?? 0) > youngMs) return
          await io.calls.unlink(path, 'there')
        })
      }
    }
    await io.calls.makeFolder(movement)
    await removeTree(queue, layout.listing)
    // Workers that run continue writing into files that nobody can open any more.
    await removeTree(queue, layout.logs)
    await takeAwayTree(queue, layout.results)
    await io.sync(layout.queue)
  })
  await rezero(queue)
}

/** Removes the tasks that one reading of the folder finds; resolves with how many. */
async function removeTasks(queue: FileQueue): Promise<number> {
  const { layout, io, history } = queue
  let removed = 0
  for await (const names of namesIn(queue, layout.queue)) {
    const noHistory = await history.isEmpty()
    await io.each(parsed(names), async ({ name, id }) => {
      if (!(await io.calls.unlink(inside(layout.queue, name), 'there'))) return
      removed++
      if (!noHistory) await history.forget(id)
    })
  }
  return removed
}
