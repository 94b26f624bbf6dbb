/**
 * The tasks that could be leased next: a bounded list, filled from one stream over the folder and shared by all leases of
 * this process.
 *
 * The list is ordered by the distance of the (uniformly random) id from a random point of the id space, so each process
 * walks a territory of its own. A name that is gone means that another process's territory begins: the walk skips 1, 2, 4,
 * … names until one is there again. What is skipped wrongly is found by a later reading.
 *
 * The stream over the folder stays open when the list is full and is read on when the list is used up, so a folder with
 * a million tasks is read once, not once for each list.
 */
import { breathe } from './breathe.js'
import type { FolderStream } from './file-system.js'
import { availableOf, isClaim, parseName, placeOf, type TaskName } from './names.js'
import type { Pace } from './pace.js'

// 32,768 names are 2 MB and are sorted in 3 ms. The last read may go over it by as much as one read gives.
const LIST_LENGTH = 2 ** 15

// A sort key is an exact double, of 53 bits: 36 for the place of an id, beside 16 for the index in the list.
const PLACES = 2 ** 36
const INDEXES = 2 ** 16

export class Candidates {
  readonly #pace: Pace
  readonly #folder: string
  readonly #nowSeconds: () => number
  readonly #onClaim: (claim: TaskName) => void
  /** Names of tasks; each is taken apart when it is its turn: most of a list's names are gone by then. */
  #list: string[] = []
  #next = 0
  #skip = 1
  #walk = 0
  #breadth = Number.POSITIVE_INFINITY
  #stream: FolderStream | undefined
  #reading: Promise<void> | undefined
  #readingsBegun = 0
  #readingsEnded = 0

  /**
   * @param nowSeconds the time that decides whether a task is free
   * @param onClaim told of names that are on their way to a lease
   */
  constructor(pace: Pace, folder: string, nowSeconds: () => number, onClaim: (claim: TaskName) => void) {
    this.#pace = pace
    this.#folder = folder
    this.#nowSeconds = nowSeconds
    this.#onClaim = onClaim
  }

  /** How many readings of the folder have begun; a mark for `readWhollySince`. */
  get readingsBegun(): number {
    return this.#readingsBegun
  }

  /** Whether the list is used up, and a reading that began after `mark` has seen the whole folder. */
  readWhollySince(mark: number): boolean {
    return this.#next >= this.#list.length && this.#readingsEnded > mark
  }

  /** Which stretch between two leaps the next name belongs to. */
  get walk(): number {
    return this.#walk
  }

  /**
   * How many names may be tried at once. Any number, until one is lost: where another process's territory begins, all that are
   * tried at once are lost at once. From there on one, and with each that is there one more.
   */
  get breadth(): number {
    return this.#breadth
  }

  /** The next name to try; `undefined`: the list is used up, `fill` it. */
  take(): TaskName | undefined {
    const name = this.#list[this.#next]
    if (name === undefined) return undefined
    this.#next++
    return parseName(name)
  }

  /** A name of this walk was there: the walk goes on name by name. */
  won(walk: number): void {
    if (walk !== this.#walk) return
    this.#skip = 1
    this.#breadth++
  }

  /**
   * A name of this walk was gone: the walk leaps. Of several that were tried at once and lost, only the first makes it leap: they
   * all belong to the walk before the leap.
   */
  lost(walk: number): void {
    if (walk !== this.#walk) return
    this.#walk++
    this.#breadth = 1
    this.#next += this.#skip - 1
    this.#skip *= 2
  }

  /** Fills the list from the folder. One reading at a time: callers share it. */
  fill(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** Closes the stream over the folder. */
  async close(): Promise<void> {
    await this.#reading
    await this.#closeStream()
  }

  async #read(): Promise<void> {
    if (this.#stream === undefined) {
      this.#readingsBegun++
      this.#stream = await this.#pace.calls.openFolder(this.#folder)
    }
    const found: string[] = []
    let sawAll = false
    while (found.length < LIST_LENGTH && !sawAll) {
      const names = (await this.#stream?.read()) ?? []
      if (names.length === 0) {
        sawAll = true
        await this.#closeStream()
      }
      const now = Math.floor(this.#nowSeconds())
      for (const name of names) {
        const available = availableOf(name)
        if (available === undefined) continue
        if (available <= now) found.push(name)
        else if (isClaim(available)) this.#sawClaim(name)
      }
      const turn = breathe(performance.now())
      if (turn !== undefined) await turn
    }
    this.#list = this.#order(found)
    this.#next = 0
    this.#skip = 1
    this.#walk++
    // Not before the list is there: others ask in the meantime whether all of the folder was tried.
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

  // Sorts numbers without a comparison function, five times as fast: the distance above, the index in the list below.
  #order(found: readonly string[]): string[] {
    const point = Math.floor(Math.random() * PLACES)
    const keys = new Float64Array(found.length)
    found.forEach((name, index) => {
      keys[index] = ((placeOf(name) - point + PLACES) % PLACES) * INDEXES + index
    })
    keys.sort()
    const ordered: string[] = []
    for (const key of keys) {
      const name = found[key % INDEXES]
      if (name !== undefined) ordered.push(name)
    }
    return ordered
  }
}
