/**
 * The time of a queue is the clock of its filesystem, not the host's: an hour of skew between hosts must neither end a
 * live lease nor delay a task. It is read from a file created for this, and continued by the process's monotonic clock
 * until the next reading.
 */
import { elapsedMs } from '../../time/clock.js'
import type { Awaitable } from './awaitable.js'
import { errorCode } from './file-system.js'
import { type IoScheduler, slowMs } from './io-scheduler.js'
import type { Layout } from './layout.js'

// Two clocks of ordinary quality drift apart by less than 0.01 % (10^-4): 3 ms in this time.
const refreshMs = 30_000

// The host's clock has one use: when it jumps against the monotonic clock, which stops while a laptop sleeps, the
// reading is outdated.
const jumpMs = 1_000

// A clock that can't be read because nothing may be written there (a read-only mount, a full disk).
const unwritableCodes = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'])

// Calls in one reading: make, stat, close (and, where a name is needed, remove).
const callsPerReading = 3

// Blocking readings at most before a filesystem is taken for slow; one, each time, before it is taken for slow still.
const maxReadings = 4

export class QueueClock {
  readonly #io: IoScheduler
  readonly #layout: Layout
  readonly #hostNowMs: () => number
  #offsetMs = Number.NaN
  #readAtMs = Number.NEGATIVE_INFINITY
  #hostAheadMs = 0
  /** True if the offset is that of the filesystem's clock, and not one of the host's. */
  #wasRead = false
  /** The machine's sleep at the last reading, from some moment on. */
  #sleptMs = 0
  #reading: Promise<boolean> | undefined

  /** @param hostNowMs the host's clock, milliseconds since 1970 */
  constructor(io: IoScheduler, layout: Layout, hostNowMs: () => number) {
    this.#io = io
    this.#layout = layout
    this.#hostNowMs = hostNowMs
  }

  /**
   * Seconds since 1970, with a fraction, by the clock of the filesystem. `ready` has to be awaited first, once a verb.
   *
   * @throws Error where it was never read: a name made of no number would be lost to every worker
   */
  get nowSeconds(): number {
    if (Number.isNaN(this.#offsetMs)) {
      throw new Error(`The clock of ${this.#layout.root} could not be read: there is no such folder (any more)`)
    }
    return (performance.now() + this.#offsetMs) / 1000
  }

  /** Reads the clock if the last reading is old. `false`: there is no queue. */
  ready(): Promise<boolean> | true {
    const nowMs = performance.now()
    const jumped = Math.abs(this.#hostNowMs() - nowMs - this.#hostAheadMs) > jumpMs
    if (!jumped && nowMs - this.#readAtMs < refreshMs) return true
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<boolean> {
    let offsetMs: number | undefined
    try {
      offsetMs = await this.#readAndMeasure()
      if (offsetMs !== undefined) this.#wasRead = true
    } catch (error) {
      if (!unwritableCodes.has(errorCode(error) ?? '')) throw error
      const newestMs = await this.#newestChangeMs()
      offsetMs = newestMs === undefined ? undefined : newestMs - performance.now()
      if (newestMs !== undefined) await this.#io.learnPlace(this.#layout.root)
    }
    if (offsetMs === undefined) return false
    const nowMs = performance.now()
    this.#offsetMs = offsetMs
    this.#readAtMs = nowMs
    this.#hostAheadMs = this.#hostNowMs() - nowMs
    this.#sleptMs = elapsedMs() - nowMs
    return true
  }

  /**
   * Reads the clock, and measures how fast the filesystem answers. First pooled: a server that hangs must not block the
   * event loop. But a pooled call waits for two threads to be scheduled, so on a busy machine its duration says little;
   * then a few blocking readings, of which the fastest counts, distinguish a slow filesystem from a busy machine. It is
   * also the most precise: one that took a second is up to half a second off, and leases of such a clock end as much
   * too early.
   *
   * @returns how far the filesystem's clock is ahead of the monotonic one
   */
  async #readAndMeasure(): Promise<number | undefined> {
    const { root } = this.#layout
    let fastest = await measured(() => this.#io.pooled.clockMs(root))
    if (fastest.offsetMs !== undefined) await this.#io.learnPlace(root)
    const readings = this.#io.isSlow ? 1 : maxReadings
    for (let reading = 0; reading < readings && fastest.callMs > slowMs; reading++) {
      await new Promise(resolve => setImmediate(resolve))
      const next = await measured(() => this.#io.blocking.clockMs(root))
      if (next.offsetMs === undefined || next.callMs < fastest.callMs) fastest = next
    }
    this.#io.measured(fastest.callMs)
    return fastest.offsetMs
  }

  /**
   * If nothing may be written: the filesystem's clock continued from its last reading; without one the host's clock. But not before
   * the newest change of the queue, which is the only reading of the filesystem's clock that a reader has.
   */
  async #newestChangeMs(): Promise<number | undefined> {
    const { queue, movement, completions } = this.#layout
    const facts = await Promise.all([queue, movement, completions].map(path => this.#io.pooled.stat(path)))
    const changesMs = facts.flatMap(found => (found === undefined ? [] : [found.modifiedMs]))
    const nowMs = performance.now()
    const assumedMs = this.#wasRead ? nowMs + this.#offsetMs + (elapsedMs() - nowMs - this.#sleptMs) : this.#hostNowMs()
    return changesMs.length === 0 ? undefined : Math.max(assumedMs, ...changesMs)
  }
}

/** Reads a clock, which showed that time at some moment between the beginning and the end of the reading. */
async function measured(read: () => Awaitable<number | undefined>) {
  const startMs = performance.now()
  const clockMs = await read()
  const endMs = performance.now()
  return {
    offsetMs: clockMs === undefined ? undefined : clockMs - (startMs + endMs) / 2,
    callMs: (endMs - startMs) / callsPerReading,
  }
}
