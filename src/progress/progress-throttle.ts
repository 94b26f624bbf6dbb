/** Lets a task say how far it is in a tight loop, and few enough of its words through. */
import { argumentError } from '../errors.js'

/** People read no faster, and a call to the main thread costs some 50 µs. Milliseconds. */
const intervalMs = 100

/** One a task. */
export class ProgressThrottle {
  #lastMs = Number.NEGATIVE_INFINITY

  /**
   * Whether this one should be sent.
   * @throws TypeError if `fraction` is not from 0 to 1, or `note` no string
   */
  admits(fraction: number, note: string | undefined): boolean {
    if (typeof fraction !== 'number' || !(fraction >= 0 && fraction <= 1)) {
      throw argumentError('fraction', 'a number from 0 to 1', fraction)
    }
    if (note !== undefined && typeof note !== 'string') throw argumentError('note', 'a string', note)
    const nowMs = performance.now()
    if (fraction < 1 && nowMs - this.#lastMs < intervalMs) return false
    this.#lastMs = nowMs
    return true
  }
}
