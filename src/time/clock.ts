/** Time as the waiting parts of the library see it, so that tests can set it. */

/** A clock with an alarm. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number
  /** Calls `ring` once, `ms` from now, unless the returned function is called before. */
  setAlarm(ms: number, ring: () => void): () => void
}

/** The longest time that `setTimeout` takes, in milliseconds; a longer one fires at once. */
const maxTimerMs = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: Date.now,
  setAlarm(ms, ring) {
    let leftMs = ms
    let timer: NodeJS.Timeout
    const next = () => {
      const stepMs = Math.min(leftMs, maxTimerMs)
      leftMs -= stepMs
      timer = setTimeout(leftMs > 0 ? next : ring, stepMs)
    }
    next()
    return () => clearTimeout(timer)
  },
}

/** A clock that stands still until a test advances it. */
export class ManualClock implements Clock {
  #nowMs: number
  readonly #alarms = new Set<{ atMs: number; ring: () => void }>()

  /** @param nowMs the time to start with, in milliseconds since 1970. Default: 0 */
  constructor(nowMs = 0) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  setAlarm(ms: number, ring: () => void): () => void {
    const alarm = { atMs: this.#nowMs + ms, ring }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  /** Lets time pass; alarms that fall due ring in their order before this returns. */
  advance(seconds: number): void {
    const endMs = this.#nowMs + seconds * 1000
    for (;;) {
      let next: { atMs: number; ring: () => void } | undefined
      for (const alarm of this.#alarms) {
        if (alarm.atMs <= endMs && (next === undefined || alarm.atMs < next.atMs)) next = alarm
      }
      if (next === undefined) break
      this.#alarms.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.ring()
    }
    this.#nowMs = endMs
  }
}
