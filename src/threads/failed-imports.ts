/**
 * Files that threads of a run could not load. Node keeps a failed import as long as its thread lives, so such a thread
 * ends and a new one tries again: the file may be missing only for a moment, during a deployment.
 */

import { isErrorNamed } from '../errors/thrown.js'
import type { Call, FailedOutcome } from './call.js'
import type { RunOptions } from './run-options.js'

interface FailedFile {
  readonly error: unknown
  readonly failures: number
  /** Time of the next try, by `performance.now()`. */
  readonly untilMs: number
}

export class FailedImports {
  readonly #backoff: RunOptions['loadBackoff']
  readonly #files = new Map<string, FailedFile>()
  /** Calls that are run again in a new thread because their file could not be loaded. */
  readonly #retried = new WeakSet<Call>()

  constructor(backoff: RunOptions['loadBackoff']) {
    this.#backoff = backoff
  }

  /** The outcome of a call whose file could not be loaded, or `undefined` if it is to be run again in a new thread. */
  outcome(call: Call, error: unknown): FailedOutcome | undefined {
    const url = call.code.url ?? ''
    const nowMs = performance.now()
    const known = this.#files.get(url)
    if (this.#backoff !== undefined) {
      // Threads that fail at the same time count as one failure.
      if (known === undefined || nowMs >= known.untilMs) {
        const failures = (known?.failures ?? 0) + 1
        const { minSeconds, maxSeconds } = this.#backoff
        const pauseSeconds = Math.min(maxSeconds, minSeconds * 2 ** (failures - 1))
        this.#files.set(url, { error, failures, untilMs: nowMs + pauseSeconds * 1000 })
      }
    } else if (known === undefined) {
      // A load that timed out is not retried: its limit is long.
      if (!this.#retried.has(call) && !isErrorNamed((error as Error).cause, 'TimeoutError')) {
        this.#retried.add(call)
        return undefined
      }
      this.#files.set(url, { error, failures: 2, untilMs: Number.POSITIVE_INFINITY })
    }
    return this.#failed(url, error)
  }

  /** Passes the calls whose file is not to be tried now to `report`; returns the others. */
  withoutFailed(calls: Call[], report: (call: Call, outcome: FailedOutcome) => void): Call[] {
    if (this.#files.size === 0) return calls
    const nowMs = performance.now()
    return calls.filter(call => {
      const url = call.code.url ?? ''
      const file = this.#files.get(url)
      if (file === undefined || nowMs >= file.untilMs) return true
      report(call, this.#failed(url, file.error))
      return false
    })
  }

  /** Resets the failures of a call's file: a task of it ran. */
  loaded(call: Call): void {
    if (this.#files.size > 0) this.#files.delete(call.code.url ?? '')
  }

  #failed(url: string, error: unknown): FailedOutcome {
    const { failures = 0, untilMs = 0 } = this.#files.get(url) ?? {}
    const retrySeconds = Math.max(0, untilMs - performance.now()) / 1000
    return { ok: false, error, elapsedMs: Number.NaN, notLoaded: { failures, retrySeconds } }
  }
}
