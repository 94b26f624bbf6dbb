/**
 * The tasks that could be leased next: a bounded list, filled from one stream over the folder and shared by all leases of
 * this process.
 *
 * The list is ordered by the (uniformly random) ids and used from a random point, so each process takes a partition of its own.
 * A missing file means that another process drains this range: skip 1, 2, 4, … names until one is there again. Names that are
 * skipped wrongly are found by a later reading.
 *
 * The stream over the folder stays open when the list is full and is read on when the list is used up, so a folder with
 * a million tasks is read once, not once for each list.
 *
 * A folder returns its names in mostly the same order each time. Workers that end after a few tasks would always take
 * the first names, and the others would wait for as long as new tasks come. So the first reading of a process sometimes
 * reads further, keeps a part of the names that begins at a random id, and publishes that for others that start within
 * a minute.
 *
 * Many workers would read the same names at the same time, and only one would gain. So one that has lost a race reads
 * its next list before the current one is used up, each worker at another point of it, and publishes what it read;
 * those that reach their points later find that.
 */

import type { FolderStream } from './file-system.js'
import type { IoScheduler } from './io-scheduler.js'
import type { Layout } from './layout.js'
import { inOrder, NameList } from './name-list.js'
import { NameSample } from './name-sample.js'
import { availableOf, isClaim, parseName, type TaskName } from './names.js'
import { SharedListing } from './shared-listing.js'
import { yieldIfBusy } from './yield-if-busy.js'

// A new worker knows nothing of others, and one that waits for a reader needs names only until that one publishes: many
// of them would read long lists for nothing. 32,768 names are 2 MB. The last read may exceed a length by the size of
// one read.
const shortLength = 2 ** 12
const longLength = 2 ** 15

// The folder is read some thousand names at a time: a long list may be longer by that.
const maxNames = longLength + 2 ** 11

/**
 * The number of names that the first reading of a process covers: at least k short lists with the probability 1/√k. So it reads 2√k short
 * lists of a folder of k on average, and goes to its end once in √k times, whatever the folder's length.
 */
function firstLength(): number {
  return shortLength * Math.floor((1 - Math.random()) ** -2)
}

/** Pause before the next check for a list that another worker is reading, or after a fault. */
export const lookAgainMs = 10
const afterFaultMs = 1_000

/** Longest wait for a list that another worker is reading. */
const maxWaitMs = 250

/**
 * After this number of lists of others without one free task a worker reads for itself: others may always be faster.
 */
const maxUselessLists = 2

/**
 * Readings of the whole folder that are enough for one call, also where names were skipped: a listing of a network filesystem may
 * show removed names for a minute.
 */
const enoughReadings = 3

export class Candidates {
  readonly #io: IoScheduler
  readonly #folder: string
  readonly #shared: SharedListing
  readonly #nowSeconds: () => number
  readonly #onClaim: (claim: TaskName) => void
  /** Names are parsed one by one: most of a list's names are gone when it is their turn. */
  #list = new NameList([], 'read')
  /** The list after this one, if it is there already. */
  #following: NameList | undefined
  /** Earliest time of the next check for a list, by `performance.now()`. */
  #lookFromMs = 0
  /** Start of the wait for a list that another worker is reading, by `performance.now()`. */
  #waitsSinceMs: number | undefined
  /** Lists in a row that had no name that was there. */
  #inVain = 0
  #skip = 1
  #partition = 0
  #parallelism = Number.POSITIVE_INFINITY
  #stream: FolderStream | undefined
  #reading: Promise<boolean> | undefined
  #readingsBegun = 0
  #readingsEnded = 0
  /** The last reading that left out names, and the last one of whose names some may have been skipped. */
  #leftOutOf = 0
  #skippedIn = 0

  /**
   * @param nowSeconds the time that decides whether a task is free
   * @param onClaim called for names that are about to become a lease
   */
  constructor(io: IoScheduler, layout: Layout, nowSeconds: () => number, onClaim: (claim: TaskName) => void) {
    this.#io = io
    this.#folder = layout.queue
    this.#shared = new SharedListing(io, layout, nowSeconds)
    this.#nowSeconds = nowSeconds
    this.#onClaim = onClaim
  }

  /** The number of readings of the folder that began; a mark for `readSince`. */
  get readingsBegun(): number {
    return this.#readingsBegun
  }

  /** True once the last list is used up, and a reading that began after `mark` has seen the whole folder and left out nothing. */
  readSince(mark: number): boolean {
    if (!this.#list.isUsedUp || this.#readingsEnded <= mark) return false
    return this.#readingsEnded > this.#leftOutOf || this.#readingsEnded - mark >= enoughReadings
  }

  /** Like `readSince`, and none of its names was skipped. */
  readWhollySince(mark: number): boolean {
    if (!this.readSince(mark)) return false
    return this.#readingsEnded > this.#skippedIn || this.#readingsEnded - mark >= enoughReadings
  }

  /** True when it is time to `fill`, although names are left. */
  get isLow(): boolean {
    return this.#list.isLow && this.#following === undefined && performance.now() > this.#lookFromMs
  }

  /** The number of the partition (the names between two skips) of the next name. */
  get partition(): number {
    return this.#partition
  }

  /**
   * The number of names that may be tried at once: any, until one is lost, since at the border of another process's partition
   * all of them are lost. From there on one, and one more with each that is there.
   */
  get parallelism(): number {
    return this.#parallelism
  }

  /** The next name to try; `undefined`: the list is used up, `fill` it. */
  take(): TaskName | undefined {
    for (;;) {
      const name = this.#list.take()
      if (name === undefined) {
        if (this.#following === undefined) return undefined
        this.#use(this.#following)
        continue
      }
      const task = parseName(name)
      if (task !== undefined && task.available <= this.#nowSeconds()) return task
    }
  }

  /** A name of this partition was there: continue name by name. */
  won(partition: number): void {
    this.#list.won++
    if (partition !== this.#partition) return
    this.#skip = 1
    this.#parallelism++
  }

  /**
   * A name of this partition was gone: skip. Of several that were tried at once and lost, only the first causes a skip: they all
   * belong to the partition before it.
   */
  lost(partition: number): void {
    this.#list.lost++
    if (partition !== this.#partition) return
    this.#partition++
    this.#parallelism = 1
    // Of this reading, or an earlier one.
    if (this.#list.skip(this.#skip - 1)) this.#skippedIn = this.#readingsBegun
    this.#skip *= 2
  }

  /**
   * Gets the next list. One reading at a time: callers share it. `false`: another worker is reading it, and there is no other; look
   * again in some milliseconds.
   *
   * @param isEnough asked during a long reading: true ends it, and the next one continues from there
   */
  fill(isEnough = () => false): Promise<boolean> {
    this.#reading ??= this.#getList(isEnough).finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** Closes the stream over the folder, after the reading under way. */
  async close(): Promise<void> {
    await this.#reading
    await this.#closeStream()
  }

  async #getList(isEnough: () => boolean): Promise<boolean> {
    const { isCrowded } = this.#list
    const isFirst = this.#readingsBegun === 0
    const mayTake = (isFirst || isCrowded) && this.#inVain < maxUselessLists
    const published = mayTake ? await this.#shared.take() : undefined
    if (published !== undefined) {
      this.#add(new NameList(published, 'published'))
      return true
    }
    const isReader = isCrowded && (await this.#shared.begin())
    if (isCrowded && !isReader) {
      if (!this.#list.isUsedUp) {
        this.#lookFromMs = performance.now() + lookAgainMs
        return true
      }
      this.#waitsSinceMs ??= performance.now()
      if (mayTake && performance.now() - this.#waitsSinceMs < maxWaitMs) return false
    }
    const long = isCrowded ? shortLength : Math.min(longLength, Math.max(shortLength, 2 * this.#list.length))
    try {
      await this.#read(isReader ? longLength : long, isReader, isFirst ? firstLength() : 0, isEnough)
    } catch (error) {
      // The names of this reading are lost: the next one starts over.
      await this.#closeStream().catch(() => undefined)
      // A lasting fault is thrown once the list is used up.
      if (this.#list.isUsedUp) throw error
      this.#lookFromMs = performance.now() + afterFaultMs
    }
    return true
  }

  /** @param furthest so many names are read, for all, where that is more than `length` and no other worker reads for all */
  async #read(length: number, isReader: boolean, furthest: number, isEnough: () => boolean): Promise<void> {
    // A stream that is behind gives names again that all workers are trying.
    const present = isReader ? this.#list.toSet() : new Set<string>()
    const sample = new NameSample(maxNames)
    let met = 0
    let sawAll = false
    let publishes = isReader
    try {
      if (this.#stream === undefined) {
        this.#readingsBegun++
        this.#stream = await this.#io.calls.openFolder(this.#folder)
      }
      // A folder of a million leased tasks is read to its end.
      for (let most = length; met < most && !sawAll && !isEnough(); ) {
        const names = (await this.#stream?.read()) ?? []
        if (names.length === 0) {
          sawAll = true
          await this.#closeStream()
        }
        const now = Math.floor(this.#nowSeconds())
        for (const name of names) {
          const available = availableOf(name)
          if (available === undefined) continue
          if (available <= now) {
            if (present.has(name)) this.#leftOutOf = this.#readingsBegun
            else {
              sample.add(name)
              met++
            }
          } else if (isClaim(available)) this.#sawClaim(name)
        }
        if (met >= most && met < furthest) {
          publishes ||= await this.#shared.begin()
          if (publishes) most = furthest
        }
        const turn = yieldIfBusy(performance.now())
        if (turn !== undefined) await turn
      }
    } catch (error) {
      if (publishes) await this.#shared.end()
      throw error
    }
    const { names, isPart } = sample.take()
    if (isPart) this.#leftOutOf = this.#readingsBegun
    const ordered = inOrder(names)
    if (publishes) await this.#shared.publish(ordered)
    this.#add(new NameList(ordered, publishes ? 'read for all' : 'read'))
    // Set only with the list: other calls check in the meantime whether the whole folder was tried.
    if (sawAll) this.#readingsEnded = this.#readingsBegun
  }

  #sawClaim(name: string): void {
    const claim = parseName(name)
    if (claim !== undefined) this.#onClaim(claim)
  }

  async #closeStream(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    await stream?.close()
  }

  #add(list: NameList): void {
    if (this.#list.isUsedUp) this.#use(list)
    else this.#following = list
  }

  #use(list: NameList): void {
    if (this.#list.length > 0) this.#inVain = this.#list.won === 0 ? this.#inVain + 1 : 0
    this.#list = list
    this.#following = undefined
    this.#lookFromMs = 0
    this.#waitsSinceMs = undefined
    this.#skip = 1
    this.#partition++
  }
}
