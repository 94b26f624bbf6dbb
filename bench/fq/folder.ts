/** The queues of a case: a new folder for each run, filled by another process, and checked when the run is over. */
import { execFile } from 'node:child_process'
import { opendirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export class QueueFolders {
  readonly #parent: string
  #made = 0

  /** @param parent an empty folder */
  constructor(parent: string) {
    this.#parent = parent
  }

  /** The folder of the last queue. */
  get root(): string {
    return join(this.#parent, `queue-${this.#made}`)
  }

  /** The folder of a new queue, which doesn't exist yet. */
  next(): string {
    this.#made++
    return this.root
  }

  /**
   * A new queue with `n` no-op tasks. Inserted by another process, so that neither memory nor compiled code stays in
   * this one.
   */
  async fill(n: number): Promise<string> {
    const root = this.next()
    await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'fill.js'), root, String(n)])
    return root
  }
}

/**
 * The number of tasks in the queue. Read as a stream: the names of a million files would be the largest part of the
 * measured memory.
 */
export function queued(root: string): number {
  const folder = opendirSync(join(root, 'queue'), { bufferSize: 1024 })
  let files = 0
  while (folder.readSync() !== null) files++
  folder.closeSync()
  return files
}

/** Refuses a measurement after which other than `n` tasks are in the queue. */
export function requireQueued(root: string, n: number): void {
  const found = queued(root)
  if (found !== n) throw new Error(`Expected ${n} tasks in ${root}, got ${found}`)
}

/** Refuses a measurement after which tasks are left, or some were not counted as completed. */
export function requireDrained(root: string, n: number): void {
  requireQueued(root, 0)
  const completed = statSync(join(root, 'completions')).size
  if (completed !== n) throw new Error(`Expected ${n} completions in ${root}, got ${completed}`)
}
