/** What is done after each removal (`afterFn`, `stopFn`): in order, and apart from the removals, so that a slow one delays none. */
import type { LeasedTask } from '../queued-task.js'

export class AfterRemoval {
  readonly #call: (task: LeasedTask) => Promise<void>
  readonly #onFault: (error: unknown) => void
  readonly #onIdle: () => void
  readonly #tasks: LeasedTask[] = []
  #working: Promise<void> | undefined
  /** How many tasks it is still to be called with, or at work on. */
  pending = 0

  /** @param options.call what it throws ends the calls */
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
    // Whoever adds goes on first.
    await Promise.resolve()
    try {
      for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
        await this.#call(task)
        this.pending--
      }
    } catch (error) {
      this.#tasks.length = 0
      this.pending = 0
      this.#onFault(error)
    }
    this.#working = undefined
    this.#onIdle()
  }
}
