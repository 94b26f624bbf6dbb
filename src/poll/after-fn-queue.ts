/** Calls `afterFn` and `stopFn` for each removed task, in order. Separate from the removals, so that a slow call delays none. */
import type { LeasedTask } from '../queue/queued-task.js'

export class AfterFnQueue {
  readonly #call: (task: LeasedTask) => Promise<void>
  readonly #onFault: (error: unknown) => void
  readonly #onIdle: () => void
  readonly #tasks: LeasedTask[] = []
  #working: Promise<void> | undefined
  /** Number of tasks whose call has not ended. */
  pending = 0

  /** @param options.call called with each task, also after it threw for another one */
  constructor(options: {
    call: (task: LeasedTask) => Promise<void>
    onFault: (error: unknown) => void
    onIdle: () => void
  }) {
    this.#call = options.call
    this.#onFault = options.onFault
    this.#onIdle = options.onIdle
  }

  add(task: LeasedTask): void {
    this.#tasks.push(task)
    this.pending++
    this.#working ??= this.#work()
  }

  async done(): Promise<void> {
    await this.#working
  }

  async #work(): Promise<void> {
    // The caller of `add` continues first.
    await Promise.resolve()
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        await this.#call(task)
      } catch (error) {
        this.#onFault(error)
      }
      this.pending--
    }
    this.#working = undefined
    this.#onIdle()
  }
}
