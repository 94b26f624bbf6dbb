/** The failures of one run, and the error that it rejects with. */
import type { CallSite } from '../errors/call-site.js'
import { type TaskError, tasksFailed } from '../errors/errors.js'
import type { Call } from '../threads/call.js'
import { abortError, taskError } from './local-run.js'

/** An AggregateError keeps this many errors: a million of them would be the memory that the run itself doesn't need. */
const keptErrors = 10_000

export class RunFailures {
  readonly #errors: TaskError[] = []
  readonly #stopOnError: boolean
  readonly #caller: CallSite
  #count = 0

  constructor(stopOnError: boolean, caller: CallSite) {
    this.#stopOnError = stopOnError
    this.#caller = caller
  }

  /** Notes a failure; true if the run is to stop. */
  add(call: Call, cause: unknown, idPrefix: string): boolean {
    this.#count++
    if (this.#errors.length < keptErrors) this.#errors.push(taskError(call, cause, idPrefix, this.#caller))
    return this.#stopOnError
  }

  /** @throws the first TaskError, an AggregateError of all, or an AbortError if the run was stopped early */
  throwIfAny(stoppedBy: unknown, succeeded: number): void {
    const failed = this.#count
    const stopped = stoppedBy === undefined ? undefined : abortError(stoppedBy, succeeded + failed)
    const [first] = this.#errors
    if (first !== undefined) {
      if (this.#stopOnError) throw first
      throw tasksFailed(this.#errors, failed, failed + succeeded, stopped, this.#caller)
    }
    if (stopped !== undefined) throw stopped
  }
}
