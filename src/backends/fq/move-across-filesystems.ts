/**
 * Moving tasks between two filesystems, where no rename reaches. For each task, under our lease:
 *
 * 1. its text is written to `<to>/arriving/<run>/<id>.json`, where no worker looks;
 * 2. its file is renamed from the held name to `<from>/moved/<run>/<id>.json`: the moment at which it changes queues, and
 *    where a lost lease is noticed;
 * 3. the arrived file is renamed into `<to>/queue/`;
 * 4. its record is removed, and then the file under `moved/`.
 *
 * A file under `moved/` holds the task's whole text. It is removed only if the rename of step 3 has succeeded, here or
 * in another process that finishes this move. One that is only under `arriving/` was never moved: its lease in the old
 * queue expires. For the folders of dead processes see `move-runs.ts`.
 */

import { randomUUID } from 'node:crypto'
import type { Lease } from '../../backend/messages.js'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { LeaseLostError } from '../../errors/errors.js'
import { messageOf } from '../../errors/thrown.js'
import { counted } from '../../text/counted.js'
import { isMissing } from './file-system.js'
import { heldPath } from './handle.js'
import { inside, writeInto } from './layout.js'
import type { Leaser } from './lease.js'
import { arrive, countTasks, destinationFolder, endRun, fileOf, type Run, runOf } from './move-runs.js'
import type { FileQueue } from './queue.js'
import { releaseUncounted } from './release.js'

// Tasks that are moved at once; each takes milliseconds even over a network.
const batchSize = 500

// Time that tasks stay leased when the moving process dies. Longer than a batch takes; a slower batch only costs time.
const leaseSeconds = 60

/** A lost lease needs no release. */
function unlessLost(error: unknown): void {
  if (!(error instanceof LeaseLostError)) throw error
}

export class CrossFilesystemMove {
  readonly #from: FileQueue
  readonly #to: FileQueue
  readonly #leaser: Leaser
  readonly #run: Run

  constructor(from: FileQueue, leaser: Leaser, to: FileQueue) {
    this.#from = from
    this.#to = to
    this.#leaser = leaser
    this.#run = runOf(from.layout, to.layout, randomUUID())
  }

  /** Yields how many tasks arrived, also before it throws. */
  async *run(signal: AbortSignal): AsyncGenerator<number, void, undefined> {
    let arrived = 0
    try {
      await this.#makeFolders()
      for (;;) {
        const leases = await this.#leaser.lease({ seconds: leaseSeconds, max: batchSize, waitSeconds: 0, signal })
        if (leases.length === 0) break
        await this.#moveBatch(leases, id => {
          arrived += tasksOfMessage(id)
        })
        yield arrived
        arrived = 0
      }
    } catch (error) {
      yield arrived
      throw await this.#withTasksOnTheirWay(error)
    } finally {
      await endRun(this.#from, this.#to.io.calls, this.#run)
    }
  }

  async #moveBatch(leases: readonly Lease[], arrived: (id: string) => void): Promise<void> {
    const { io: there, layout } = this.#to
    const { io: here, history } = this.#from
    try {
      await there.each(leases, ({ id, body }) => there.write(this.#arrived(id), body, 'w'))
      await there.sync(this.#run.arriving)
    } catch (error) {
      // Nothing has changed queues: a full disk there must not keep the tasks from the workers here.
      await here.each(leases, lease => releaseUncounted(this.#from, lease).catch(unlessLost))
      throw error
    }
    const moved: string[] = []
    await here.each(leases, async lease => {
      if (await this.#commit(lease)) moved.push(lease.id)
      else await there.calls.unlink(this.#arrived(lease.id), 'there')
    })
    await here.sync(this.#run.moved)
    await there.each(moved, async id => {
      // `false`, another process has finished it: what we wanted.
      if (await arrive(this.#from, there, layout, this.#run, id)) arrived(id)
    })
    await there.sync(layout.queue)
    await here.each(moved, async id => {
      await history.forget(id)
      await here.calls.unlink(this.#moved(id), 'there')
    })
  }

  /** `false`: the lease was lost, the task is another's. */
  async #commit(lease: Lease): Promise<boolean> {
    const { calls } = this.#from.io
    const moved = this.#moved(lease.id)
    try {
      if (await calls.rename(heldPath(this.#from, lease), moved)) return true
    } catch (error) {
      if (!isMissing(error)) throw error
      throw new Error(`${this.#run.moved} was removed, or another process has ended this move: move again`, {
        cause: error,
      })
    }
    // A rename whose reply was lost in the network, and that was sent again, returns that too.
    return (await calls.stat(moved)) !== undefined
  }

  #arrived(id: string): string {
    return inside(this.#run.arriving, fileOf(id))
  }

  #moved(id: string): string {
    return inside(this.#run.moved, fileOf(id))
  }

  // The one that names the other folder first.
  async #makeFolders(): Promise<void> {
    const { moved, arriving } = this.#run
    await this.#from.io.calls.makeFolder(this.#from.layout.moved)
    await writeInto(this.#from.io, inside(moved, destinationFolder), this.#to.layout.root, 'w')
    const { calls } = this.#to.io
    await calls.makeFolder(this.#to.layout.arriving)
    await calls.makeFolder(arriving)
  }

  /** The error of a move that ended in the middle says where its tasks are. */
  async #withTasksOnTheirWay(error: unknown): Promise<unknown> {
    const count = await countTasks(this.#from, this.#run.moved).catch(() => 0)
    if (count === 0) return error
    const reason = messageOf(error)
    return new Error(
      `${reason}. ${counted(count, 'task is on its', 'tasks are on their')} way, in ${this.#from.layout.moved}: the next move from this queue finishes ${count === 1 ? 'it' : 'them'}`,
      { cause: error },
    )
  }
}
