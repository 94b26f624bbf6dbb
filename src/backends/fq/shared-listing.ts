/**
 * A listing of `queue/` that one worker has read and others may walk: the file `listing`, a name a line, in the order of the ids.
 *
 * Without it each worker reads each name, so a task costs as many readings as there are workers, and one name of a folder costs
 * ten times what a line of a file does. Whoever begins to read for the others makes the file `staging/listing`; others go on with
 * what they have, unless that file is so old that its maker is dead.
 *
 * A listing is a hint, as any list of names is by the time it is walked: a rename decides. So it may be old, torn (by two that
 * write it) or gone, and whatever is wrong with it, the folder itself is read instead.
 */
import { rescue } from './awaitable.js'
import { errorCode, type FileFacts } from './file-system.js'
import { inside, type Layout } from './layout.js'
import type { Pace } from './pace.js'

// Of a list that is read in some milliseconds there is nothing to share.
const LEAST_NAMES = 1_024

/** More than any worker writes. */
const MOST_NAMES = 2 ** 16

// Most of an older one is gone, or was given back since.
const LONGEST_SECONDS = 60

// A long list takes a tenth of a second on a busy machine.
const READING_SECONDS = 5

export class SharedListing {
  readonly #pace: Pace
  readonly #layout: Layout
  readonly #nowSeconds: () => number
  /** Facts of the listing that was looked at or written last: it is not taken again. */
  #known: FileFacts | undefined

  /** @param nowSeconds the filesystem's clock */
  constructor(pace: Pace, layout: Layout, nowSeconds: () => number) {
    this.#pace = pace
    this.#layout = layout
    this.#nowSeconds = nowSeconds
  }

  /** The lines of a listing that another worker has published since the last one that was taken; `undefined`: there is none. */
  async take(): Promise<string[] | undefined> {
    const { listing } = this.#layout
    try {
      const found = await this.#pace.calls.stat(listing)
      if (found === undefined || this.#isKnown(found)) return undefined
      this.#known = found
      if (this.#ageSeconds(found) > LONGEST_SECONDS) return undefined
      return (await this.#pace.calls.read(listing, 'short'))?.split('\n', MOST_NAMES)
    } catch {
      // No file, not ours to read, too long, a fault of the disk: then the folder tells, and says what is wrong with the disk.
      return undefined
    }
  }

  /** Before reading: tells the others to wait for what this worker will publish. `false`: another one reads for them already. */
  begin(): Promise<boolean> {
    // Where nothing can be written, nobody waits for anything.
    return this.#begin().catch(() => true)
  }

  async #begin(): Promise<boolean> {
    const { calls } = this.#pace
    try {
      await calls.write(this.#staged, '', 'wx')
      return true
    } catch (error) {
      if (errorCode(error) === 'ENOENT') {
        // Python makes a queue without this folder.
        await calls.makeFolder(this.#layout.staging)
      } else if (errorCode(error) === 'EEXIST') {
        const begun = await calls.stat(this.#staged)
        if (begun !== undefined && this.#ageSeconds(begun) < READING_SECONDS) return false
      } else throw error
    }
    await calls.write(this.#staged, '', 'w')
    return true
  }

  /** Gives the names that were read since `begin` to the others. */
  async publish(names: readonly string[]): Promise<void> {
    const { calls } = this.#pace
    try {
      if (names.length >= LEAST_NAMES) {
        await calls.write(this.#staged, names.join('\n'), 'w')
        await calls.rename(this.#staged, this.#layout.listing)
        this.#known = await calls.stat(this.#layout.listing)
        return
      }
    } catch {
      // The disk is full, or the queue was removed: a worker that only takes tasks away must not fail for that.
    }
    await rescue(
      () => calls.unlink(this.#staged, 'there'),
      () => false,
    )
  }

  get #staged(): string {
    return inside(this.#layout.staging, 'listing')
  }

  #ageSeconds({ modifiedMs }: FileFacts): number {
    return this.#nowSeconds() - modifiedMs / 1000
  }

  #isKnown({ modifiedMs, sizeBytes }: FileFacts): boolean {
    return this.#known?.modifiedMs === modifiedMs && this.#known.sizeBytes === sizeBytes
  }
}
