/**
 * A listing of `queue/` that one worker has read and others may use: the file `listing`, a name a line, in the order of the ids.
 *
 * Without it each worker reads each name of the folder, and one of those costs ten times as much as a line of a file. A
 * worker that begins to read for the others creates the empty file `staging/listing`; others continue with what they
 * have, unless that file is so old that its creator is dead.
 *
 * The listing is a hint; the rename decides. It may be old, gone or unreadable: then the folder itself is read.
 */
import { randomUUID } from 'node:crypto'
import { rescue } from './awaitable.js'
import { errorCode, type FileFacts } from './file-system.js'
import type { IoScheduler } from './io-scheduler.js'
import { inside, type Layout } from './layout.js'
import { availableOf } from './names.js'
import { yieldIfBusy } from './yield-if-busy.js'

/** A list that is shorter is read in some milliseconds: there is nothing to share. */
export const minNames = 1_024

// Twice as much as any worker writes.
const maxBytes = 2 ** 22

// Most of an older one is gone, or was released since.
const maxAgeSeconds = 60

// A long list takes a tenth of a second on a busy machine, and some seconds over a slow network.
const readingSeconds = 5

// Lines that are looked at before the clock is: of names, a tenth of a millisecond.
const linesPerSlice = 512

export class SharedListing {
  readonly #io: IoScheduler
  readonly #layout: Layout
  readonly #nowSeconds: () => number
  /** Facts of the listing that was read or written last: it is not used again. */
  #known: FileFacts | undefined

  /** @param nowSeconds the filesystem's clock */
  constructor(io: IoScheduler, layout: Layout, nowSeconds: () => number) {
    this.#io = io
    this.#layout = layout
    this.#nowSeconds = nowSeconds
  }

  /**
   * The names of free tasks in a listing that another worker has published since the last one that was taken; `undefined`: there is
   * none. Each name keeps the whole text in memory.
   */
  async take(): Promise<string[] | undefined> {
    const { listing } = this.#layout
    try {
      const found = await this.#io.calls.stat(listing, 'hint')
      if (found === undefined || this.#isKnown(found)) return undefined
      this.#known = found
      if (this.#ageSeconds(found) > maxAgeSeconds || found.sizeBytes > maxBytes) return undefined
      const text = await this.#io.calls.read(listing, 'hint')
      return text === undefined ? undefined : await this.#freeNamesIn(text)
    } catch {
      // No file, no permission, a fault of the disk: then the folder is read, and reports what is wrong with the disk.
      return undefined
    }
  }

  // Any user with write access may have written it: e.g. millions of lines that are no names.
  async #freeNamesIn(text: string): Promise<string[]> {
    const names: string[] = []
    const now = this.#nowSeconds()
    for (let start = 0, lines = 1; start < text.length; lines++) {
      const found = text.indexOf('\n', start)
      const end = found < 0 ? text.length : found
      const name = text.slice(start, end)
      const available = availableOf(name)
      if (available !== undefined && available <= now) names.push(name)
      start = end + 1
      const turn = lines % linesPerSlice === 0 ? yieldIfBusy(performance.now()) : undefined
      if (turn !== undefined) await turn
    }
    return names
  }

  /** Before reading: announces that this worker will publish. `false`: another one reads already. */
  begin(): Promise<boolean> {
    // If nothing can be written, no worker waits for another.
    return this.#begin().catch(() => true)
  }

  async #begin(): Promise<boolean> {
    const { calls } = this.#io
    try {
      await calls.write(this.#marker, '', 'wx')
      return true
    } catch (error) {
      if (errorCode(error) === 'ENOENT') {
        // Python makes a queue without this folder.
        await calls.makeFolder(this.#layout.staging)
      } else if (errorCode(error) === 'EEXIST') {
        const begun = await calls.stat(this.#marker, 'hint')
        if (begun !== undefined && this.#ageSeconds(begun) < readingSeconds) return false
        await calls.unlink(this.#marker, 'there')
      } else throw error
    }
    await calls.write(this.#marker, '', 'wx')
    return true
  }

  /** Gives the names that were read since `begin` to the others. */
  async publish(names: readonly string[]): Promise<void> {
    if (names.length >= minNames) await this.#write(names.join('\n'))
    await this.end()
  }

  /** After `begin`: this worker reads no more. */
  async end(): Promise<void> {
    await this.#discard(this.#marker)
  }

  // Always a new file: one that is there may be a link to another user's.
  async #write(text: string): Promise<void> {
    const { calls } = this.#io
    const { listing, staging } = this.#layout
    const staged = inside(staging, `listing.${randomUUID()}`)
    try {
      await calls.write(staged, text, 'wx')
      await calls.rename(staged, listing)
      this.#known = await calls.stat(listing, 'hint')
    } catch {
      // The disk is full, or the queue was removed: a worker that only takes tasks away must not fail for that.
      await this.#discard(staged)
    }
  }

  async #discard(path: string): Promise<void> {
    await rescue(
      () => this.#io.calls.unlink(path, 'absent'),
      () => false,
    )
  }

  get #marker(): string {
    return inside(this.#layout.staging, 'listing')
  }

  /** A time in the future is as far off as one in the past: a clock was wrong. */
  #ageSeconds({ modifiedMs }: FileFacts): number {
    return Math.abs(this.#nowSeconds() - modifiedMs / 1000)
  }

  #isKnown({ modifiedMs, sizeBytes }: FileFacts): boolean {
    return this.#known?.modifiedMs === modifiedMs && this.#known.sizeBytes === sizeBytes
  }
}
