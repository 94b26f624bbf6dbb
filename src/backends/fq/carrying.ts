/**
 * Moving tasks between two filesystems, where no rename reaches. For each task, under our lease:
 *
 * 1. its text is written to `<to>/arriving/<run>/<id>.json`, where no worker looks;
 * 2. its file is renamed from the held name to `<from>/moved/<run>/<id>.json`: the moment at which it changes queues, and
 *    where a lost lease is noticed;
 * 3. the arrived file is renamed into `<to>/queue/`;
 * 4. its record is removed, and then the file under `moved/`.
 *
 * Who finds a file under `moved/` finishes 3 and 4, which does no harm if both were done meanwhile. One that is only
 * under `arriving/` was never moved: its lease in the old queue runs out. Each run has folders of its own, and
 * `<from>/moved/<run>/to` names the other queue.
 */
import { randomUUID } from 'node:crypto'
import type { Lease } from '../../backend.js'
import type { Awaitable } from './awaitable.js'
import { errorCode } from './file-system.js'
import { heldPath } from './held.js'
import { inside, layoutOf, writeInto } from './layout.js'
import type { Leasing } from './leasing.js'
import { nameOf } from './names.js'
import type { FileQueue } from './queue.js'
import { namesIn } from './survey.js'
import { isFolderAfterUnlink } from './uploads.js'

// So many are on their way at once; each takes milliseconds even over a network.
const BATCH = 500

// Who died while carrying leaves tasks leased for so long. Longer than a batch takes; who is later loses nothing but time.
const LEASE_SECONDS = 60

// What nobody moved for so long was left by a dead process: its leases are long over. As for `staging/`.
const STALE_SECONDS = 6 * 3600

const DESTINATION = 'to'

/** The folders of one run. */
interface Run {
  readonly moved: string
  readonly arriving: string
}

function runOf(from: string, to: string, run: string): Run {
  return { moved: inside(layoutOf(from).moved, run), arriving: inside(layoutOf(to).arriving, run) }
}

export class Carrying {
  readonly #from: FileQueue
  readonly #to: FileQueue
  readonly #leasing: Leasing
  readonly #run: Run

  constructor(from: FileQueue, leasing: Leasing, to: FileQueue) {
    this.#from = from
    this.#to = to
    this.#leasing = leasing
    this.#run = runOf(from.layout.root, to.layout.root, randomUUID())
  }

  async *run(signal: AbortSignal): AsyncGenerator<number, void, undefined> {
    await this.#sweep()
    await this.#makeFolders()
    try {
      for (;;) {
        const leases = await this.#leasing.lease({ seconds: LEASE_SECONDS, max: BATCH, waitSeconds: 0, signal })
        if (leases.length === 0) return
        yield await this.#carry(leases)
      }
    } finally {
      // What is still in them after an error is finished by the next run.
      await removeRun(this.#from, this.#run)
    }
  }

  async #carry(leases: readonly Lease[]): Promise<number> {
    const { pace: there, layout } = this.#to
    const { pace: here, history } = this.#from
    await there.each(leases, ({ id, body }) => there.write(this.#arrived(id), body, 'w'))
    await there.settle(this.#run.arriving)
    const moved: string[] = []
    await here.each(leases, async lease => {
      if (await this.#commit(lease)) moved.push(lease.id)
      else await there.calls.unlink(this.#arrived(lease.id), 'there')
    })
    await here.settle(this.#run.moved)
    // `false`, somebody else has finished it: what we wanted.
    await there.each(moved, async id => {
      await there.calls.rename(this.#arrived(id), inside(layout.queue, nameOf(0, id)))
    })
    await there.settle(layout.queue)
    await here.each(moved, async id => {
      await history.forget(id)
      await here.calls.unlink(inside(this.#run.moved, `${id}.json`), 'there')
    })
    return moved.length
  }

  /** `false`: the lease was lost, the task is another's. */
  #commit(lease: Lease): Awaitable<boolean> {
    return this.#from.pace.calls.rename(heldPath(this.#from, lease), inside(this.#run.moved, `${lease.id}.json`))
  }

  #arrived(id: string): string {
    return inside(this.#run.arriving, `${id}.json`)
  }

  async #makeFolders(): Promise<void> {
    const { moved, arriving } = this.#run
    const { calls } = this.#to.pace
    await calls.makeFolder(this.#to.layout.arriving)
    await calls.makeFolder(arriving)
    await this.#from.pace.calls.makeFolder(this.#from.layout.moved)
    await writeInto(this.#from.pace, inside(moved, DESTINATION), this.#to.layout.root, 'w')
  }

  /** Removes what dead processes left under `arriving/`, all of which was never moved: the old queue has it. */
  async #sweep(): Promise<void> {
    for await (const runs of namesIn(this.#to, this.#to.layout.arriving)) {
      for (const run of runs) {
        const path = inside(this.#to.layout.arriving, run)
        if (await isStale(this.#to, path)) await emptyAndRemove(this.#to, path)
      }
    }
  }
}

/** Finishes what others left half done, to whichever queue it was; resolves with how many tasks arrived by that. */
export async function finishCarrying(from: FileQueue): Promise<number> {
  let arrived = 0
  for await (const runs of namesIn(from, from.layout.moved)) {
    for (const run of runs) arrived += await finishRun(from, run)
  }
  return arrived
}

async function finishRun(from: FileQueue, name: string): Promise<number> {
  const { calls } = from.pace
  const moved = inside(from.layout.moved, name)
  const to = await calls.read(inside(moved, DESTINATION), 'there')
  // Its first moments, which may have been its last, or ended meanwhile: no task is on its way.
  if (to === undefined || to === '') {
    if (await isStale(from, moved)) await removeRun(from, { moved })
    return 0
  }
  const run = runOf(from.layout.root, to, name)
  let arrived = 0
  for await (const files of namesIn(from, moved)) {
    const tasks = files.filter(file => file !== DESTINATION)
    if (tasks.length > 0 && (await calls.stat(run.arriving)) === undefined) {
      throw new Error(
        `${tasks.length} tasks are on their way to ${to}, which can't be found: make it reachable and move again`,
      )
    }
    await from.pace.each(tasks, async file => {
      const id = file.slice(0, -'.json'.length)
      if (await calls.rename(inside(run.arriving, file), inside(layoutOf(to).queue, nameOf(0, id)))) arrived++
      await from.history.forget(id)
      await calls.unlink(inside(moved, file), 'there')
    })
  }
  // The folders of a run that may be alive are its own to remove.
  if (await isStale(from, moved)) await removeRun(from, run)
  return arrived
}

async function isStale({ pace, clock }: FileQueue, path: string): Promise<boolean> {
  await clock.ready()
  const facts = await pace.calls.stat(path)
  return facts !== undefined && clock.nowSeconds - facts.modifiedMs / 1000 > STALE_SECONDS
}

/** Removes the folders of a run, unless tasks are still in them. The one under `arriving/` may not be known. */
async function removeRun(from: FileQueue, { moved, arriving }: Partial<Run> & Pick<Run, 'moved'>): Promise<void> {
  for await (const files of namesIn(from, moved)) if (files.some(file => file !== DESTINATION)) return
  // First the one that only the other knows of.
  if (arriving !== undefined) await emptyAndRemove(from, arriving)
  await emptyAndRemove(from, moved)
}

async function emptyAndRemove(queue: FileQueue, path: string): Promise<void> {
  const { calls } = queue.pace
  if (!(await isFolderAfterUnlink(queue, path))) return
  for await (const files of namesIn(queue, path)) {
    await queue.pace.each(files, async file => {
      await calls.unlink(inside(path, file), 'there')
    })
  }
  try {
    await calls.removeFolder(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}
