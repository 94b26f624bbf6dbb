/**
 * Clocks and timers. Which one to use:
 *
 * - {@link elapsedMs} and {@link Clock}: durations and deadlines that must include the time in which the machine sleeps,
 *   such as leases, locks and the age of a worker.
 * - `performance.now()`: durations within one thread that exclude sleep: measurements, throttles, pauses. `monotonicMs`
 * (monotonic.ts) is the same for all threads of the process.
 * - `Date.now()`: dates that people gave or will read. It is never subtracted to get a duration, since it can be set.
 * - {@link systemClock}, `sleep` (sleep.ts): every wait whose length a caller gives. `setTimeout` fires at once where the
 *   length is above 2^31 ms, and late by the machine's sleep; it is for constants of seconds.
 */
import { uptime } from 'node:os'

/** A clock with an alarm. It can't be set, and it includes the machine's sleep. */
export interface Clock {
  /** Milliseconds since some moment: for differences only. */
  nowMs(): number
  /** Calls `ring` once, `ms` from now, unless the returned function is called before. */
  setAlarm(ms: number, ring: () => void): () => void
}

/** A clock that also has the date. */
export interface DatedClock extends Clock {
  /** Milliseconds since 1970, by the wall clock, which can be set. */
  dateMs(): number
  /** Calls `ring` once, when the wall clock shows `dateMs`, unless the returned function is called before. */
  setDateAlarm(dateMs: number, ring: () => void): () => void
}

/** The clocks that an {@link ElapsedClock} reads. All in milliseconds. */
export interface ClockSources {
  /** Never set; does not run while the machine sleeps. */
  monotonicMs(): number
  /** The wall clock: can be set. */
  dateMs(): number
  /** Time since the machine started, with its sleep; exact to a second. Costs 10 µs, a hundred times what the others cost. */
  uptimeMs(): number
}

/** A wall clock that moves by this much against the monotonic one was set, or the machine slept. Milliseconds. */
const dateJumpMs = 100

/** Above the inexactness of the uptime (a second on some systems): less is no sleep. Milliseconds. */
const leastSleepMs = 1_100

/** If two readings are further apart than this, the process was suspended between them. Milliseconds. */
const longestReadingMs = 50

/**
 * Monotonic time including the machine's sleep. On Linux the monotonic clock stops in suspend; the uptime doesn't. The
 * wall clock, which jumps at a wake-up, only decides when the uptime has to be read: it may also have been set.
 */
export class ElapsedClock {
  readonly #sources: ClockSources
  #sleptMs = 0
  #dateAheadMs: number
  #uptimeAheadMs: number

  constructor(sources: ClockSources) {
    this.#sources = sources
    this.#dateAheadMs = sources.dateMs() - sources.monotonicMs()
    this.#uptimeAheadMs = this.#readUptimeAhead()
  }

  nowMs(): number {
    const dateAheadMs = this.#sources.dateMs() - this.#sources.monotonicMs()
    if (Math.abs(dateAheadMs - this.#dateAheadMs) > dateJumpMs) {
      this.#dateAheadMs = dateAheadMs
      const uptimeAheadMs = this.#readUptimeAhead()
      const sleptMs = uptimeAheadMs - this.#uptimeAheadMs
      if (sleptMs > leastSleepMs) this.#sleptMs += sleptMs
      this.#uptimeAheadMs = uptimeAheadMs
    }
    return this.#sources.monotonicMs() + this.#sleptMs
  }

  /** The lead of the uptime over the monotonic clock: both are read at one moment, or again. */
  #readUptimeAhead(): number {
    let leastMs = Number.POSITIVE_INFINITY
    let aheadMs = 0
    for (let reading = 0; reading < 3 && leastMs > longestReadingMs; reading++) {
      const startMs = this.#sources.monotonicMs()
      const uptimeMs = this.#sources.uptimeMs()
      const readingMs = this.#sources.monotonicMs() - startMs
      if (readingMs >= leastMs) continue
      leastMs = readingMs
      aheadMs = uptimeMs - startMs
    }
    return aheadMs
  }
}

const elapsed = new ElapsedClock({
  monotonicMs: () => performance.now(),
  dateMs: () => Date.now(),
  uptimeMs: () => uptime() * 1000,
})

/** Milliseconds since some moment in this thread, monotonic, including the machine's sleep. */
export function elapsedMs(): number {
  return elapsed.nowMs()
}

/**
 * The longest timer before the clock is read again: a deadline that passed while the machine slept, or while
 * the wall clock was set, is noticed this late at most. Milliseconds.
 */
const longestTimerMs = 1_000

/** The machine's clock. */
export const systemClock: DatedClock = {
  nowMs: elapsedMs,
  dateMs: () => Date.now(),
  setAlarm(ms, ring) {
    const atMs = elapsedMs() + ms
    return setTimers(() => atMs - elapsedMs(), ring)
  },
  setDateAlarm: (dateMs, ring) => setTimers(() => dateMs - Date.now(), ring),
}

/** Calls `ring` when `leftMs` is 0 or less, never at once. */
function setTimers(leftMs: () => number, ring: () => void): () => void {
  let timer: NodeJS.Timeout
  const set = (ms: number) => {
    timer = setTimeout(look, Math.min(Math.max(ms, 0), longestTimerMs))
  }
  const look = () => {
    const ms = leftMs()
    if (ms > 0) set(ms)
    else ring()
  }
  set(leftMs())
  return () => clearTimeout(timer)
}

interface ManualAlarm {
  readonly kind: 'elapsed' | 'date'
  readonly atMs: number
  readonly ring: () => void
}

/** A clock that only a test advances. */
export class ManualClock implements DatedClock {
  #nowMs: number
  #dateAheadMs = 0
  readonly #alarms = new Set<ManualAlarm>()

  /** @param nowMs the time to start with, in milliseconds since 1970. Default: 0 */
  constructor(nowMs = 0) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  dateMs(): number {
    return this.#nowMs + this.#dateAheadMs
  }

  setAlarm(ms: number, ring: () => void): () => void {
    return this.#add({ kind: 'elapsed', atMs: this.#nowMs + ms, ring })
  }

  setDateAlarm(dateMs: number, ring: () => void): () => void {
    return this.#add({ kind: 'date', atMs: dateMs, ring })
  }

  /** Advances time; due alarms fire in order before this returns. */
  advance(seconds: number): void {
    const endMs = this.#nowMs + seconds * 1000
    for (;;) {
      let next: ManualAlarm | undefined
      for (const alarm of this.#alarms) {
        if (this.#dueMs(alarm) <= endMs && (next === undefined || this.#dueMs(alarm) < this.#dueMs(next))) next = alarm
      }
      if (next === undefined) break
      this.#alarms.delete(next)
      this.#nowMs = Math.max(this.#nowMs, this.#dueMs(next))
      next.ring()
    }
    this.#nowMs = endMs
  }

  /** Sets the wall clock forward, or back where `seconds` is below 0: no time passes. */
  setDate(seconds: number): void {
    this.#dateAheadMs += seconds * 1000
    this.advance(0)
  }

  #add(alarm: ManualAlarm): () => void {
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  #dueMs({ kind, atMs }: ManualAlarm): number {
    return kind === 'date' ? atMs - this.#dateAheadMs : atMs
  }
}
