/** Waiting times for an empty queue and for the next attempt of a failed task. */

/**
 * Exponential back-off with full jitter: a random time below a window that doubles with each miss. Many workers that find
 * the queue empty at the same moment return at different times (AWS Architecture Blog, "Exponential Backoff And Jitter").
 */
export class Backoff {
  readonly #minSeconds: number
  readonly #maxSeconds: number
  readonly #random: () => number
  #misses = 0

  /** @param random uniform in [0, 1) */
  constructor(minSeconds: number, maxSeconds: number, random: () => number = Math.random) {
    this.#minSeconds = minSeconds
    this.#maxSeconds = maxSeconds
    this.#random = random
  }

  /** The window that the next miss draws from. Seconds. */
  get windowSeconds(): number {
    return backoffWindow(this.#misses, this.#minSeconds, this.#maxSeconds)
  }

  /** Records a miss and returns how long to wait for it. Seconds. */
  miss(): number {
    const seconds = this.#random() * this.windowSeconds
    this.#misses++
    return seconds
  }

  /** Something was found: the next miss starts from the smallest window. */
  reset(): void {
    this.#misses = 0
  }
}

/** The window after a number of misses: doubled by each, between the two bounds. Seconds. */
export function backoffWindow(misses: number, minSeconds: number, maxSeconds: number): number {
  // 2 ** 1024 is Infinity, and the bound still holds.
  return Math.min(maxSeconds, minSeconds * 2 ** misses)
}
