/**
 * Tasks that this process skips for now: files that are being written (a Python inserter writes after its file is
 * listed, an editor in place), and files that can't be read.
 */
import type { Lease } from '../../backend/messages.js'
import { errorCode, errorMessage } from './file-system.js'
import { heldPath, invalidate } from './handle.js'
import { inside } from './layout.js'
import { type FileQueue, leaseLost, queueFault } from './queue.js'
import { releaseUncounted } from './release.js'

// A file that was changed within this time may still be written to. Python writes within milliseconds of creating it;
// the rest is for slow networks and an inserter that was stopped for a moment.
const youngSeconds = 10

// A file that this user may not read is a fault of that task, not of the queue: others are leased, and it is tried
// again after this time. Each try takes it for a moment from users who may read it.
const deniedMs = 60_000
const deniedCodes: readonly unknown[] = ['EACCES', 'EPERM']

export class SkippedTasks {
  readonly #queue: FileQueue
  readonly #young = new Set<string>()
  /** Time of the next try of each task whose file this user may not read, by `performance.now()`. */
  readonly #denied = new Map<string, number>()
  #saidDenied = false
  readonly #unreadable = new Map<string, unknown>()

  constructor(queue: FileQueue) {
    this.#queue = queue
  }

  /** True where the task was skipped before. */
  has(id: string): boolean {
    return this.#young.has(id) || this.#unreadable.has(id) || this.#denied.has(id)
  }

  /** True where a task that was skipped still has to be. */
  async isStill(id: string, path: string): Promise<boolean> {
    if (this.#unreadable.has(id)) return true
    if (performance.now() < (this.#denied.get(id) ?? 0)) return true
    this.#denied.delete(id)
    if (!this.#young.has(id)) return false
    if (await this.#isYoung(path)) return true
    this.#young.delete(id)
    return false
  }

  addUnreadable(id: string, error: unknown): undefined {
    if (deniedCodes.includes(errorCode(error))) this.#addDenied(id, error)
    else this.#unreadable.set(id, error)
    return undefined
  }

  #addDenied(id: string, error: unknown): void {
    this.#denied.set(id, performance.now() + deniedMs)
    if (this.#saidDenied) return
    this.#saidDenied = true
    process.emitWarning(
      `This worker skips tasks of ${this.#queue.label} whose files this user may not read; the first: ${errorMessage(error)}. ` +
        'Change the permissions of the files, or run workers as a user who may read them.',
      { type: 'PtqWarning', code: 'PTQ_TASK_NOT_READABLE' },
    )
  }

  /** Skips the task if its file is young; `false` if it isn't. */
  async addIfYoung(id: string, path: string): Promise<boolean> {
    if (!(await this.#isYoung(path))) return false
    this.#young.add(id)
    return true
  }

  /** Throws the error of a file that can't be read, if there is one; all are tried again after that. */
  throwUnreadable(): void {
    const [error] = this.#unreadable.values()
    const count = this.#unreadable.size
    this.#unreadable.clear()
    if (count > 0) throw queueFault(this.#queue, `Reading ${count === 1 ? 'a task' : `${count} tasks`}`, error)
  }

  /**
   * Moves the file of a held task to `quarantine/`, with the reason in a second file; releases it if the file is young.
   * Throws LeaseLostError.
   */
  async quarantine(lease: Lease, reason: string): Promise<void> {
    const { layout, io, history } = this.#queue
    const { id } = lease
    const path = heldPath(this.#queue, lease)
    if (await this.addIfYoung(id, path)) {
      await releaseUncounted(this.#queue, lease)
      return
    }
    await io.calls.makeFolder(layout.quarantine)
    if (!(await io.calls.rename(path, inside(layout.quarantine, `${id}.json`)))) throw leaseLost(this.#queue, id)
    invalidate(lease)
    await io.write(inside(layout.quarantine, `${id}.reason`), `${reason}\n`, 'w')
    await history.forget(id)
  }

  async #isYoung(path: string): Promise<boolean> {
    const { io, clock } = this.#queue
    const facts = await io.calls.stat(path)
    return facts !== undefined && Math.abs(clock.nowSeconds - facts.modifiedMs / 1000) < youngSeconds
  }
}
