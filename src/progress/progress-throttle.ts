/** Limits the rate of progress reports of a task, which may report in a tight loop. */

import { textOf } from '../errors/thrown.js'
import { builtins } from '../runtime/builtins.js'

/** The least interval between reports: a message to the main thread costs some microseconds. Milliseconds. */
const intervalMs = 100

/** A progress report. */
export interface ValidProgress {
  /** From 0 to 1. */
  readonly fraction: number
  readonly note: string | undefined
}

/** The throttle of one task. */
export class ProgressThrottle {
  #lastMs = Number.NEGATIVE_INFINITY

  /**
   * The progress to pass on; `undefined` if it comes too soon after the last one. Never throws: a rounding error in
   * displayed progress must not fail a task.
   */
  admit(fraction: unknown, note: unknown): ValidProgress | undefined {
    const clamped = clamp(fraction)
    const nowMs = builtins.now()
    if (clamped < 1 && nowMs - this.#lastMs < intervalMs) return undefined
    this.#lastMs = nowMs
    return { fraction: clamped, note: note === undefined || note === null ? undefined : textOf(note) }
  }
}

/** From 0 to 1; NaN (0 of 0) and other values are 0. */
function clamp(fraction: unknown): number {
  const value = typeof fraction === 'string' || typeof fraction === 'bigint' ? Number(fraction) : fraction
  if (typeof value !== 'number' || !(value > 0)) return 0
  return value < 1 ? value : 1
}
