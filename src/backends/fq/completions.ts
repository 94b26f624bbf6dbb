/**
 * The count of completions is the size of one file, to which one zero byte a completion is appended.
 *
 * Over a network an append takes three requests, as many as all else that is done to remove a task. So a worker's completions are
 * put off for some seconds there and counted together.
 */
import { warnUncounted } from '../../backend/uncounted.js'
import { errorCode } from './file-system.js'
import type { IoScheduler } from './io-scheduler.js'
import type { Layout } from './layout.js'

// The maximum delay of a count, and the maximum number of completions that are lost if the worker is killed.
const maxDelayMs = 10_000
const maxDelayed = 100

export class Completions {
  readonly #io: IoScheduler
  readonly #layout: Layout
  readonly #label: string
  #putOff = 0
  #flushing: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(io: IoScheduler, layout: Layout, label: string) {
    this.#io = io
    this.#layout = layout
    this.#label = label
  }

  /**
   * Counts tasks that are removed already. A failure is a warning, see `warnUncounted`.
   *
   * @param mayBeLate over a network, `flush` or a timer counts them
   */
  async add(count: number, { mayBeLate }: { mayBeLate: boolean }): Promise<void> {
    if (!mayBeLate || this.#io.knowsNames) return this.#append(count)
    this.#putOff += count
    if (this.#putOff >= maxDelayed) return this.flush()
    // Nothing waits for it: who ends in order calls `flush`.
    this.#timer ??= setTimeout(() => void this.flush(), maxDelayMs).unref()
  }

  /** Resolves when all that was put off is counted. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const count = this.#putOff
    this.#putOff = 0
    if (count > 0) this.#flushing = Promise.all([this.#flushing, this.#append(count)])
    return this.#flushing.then(() => undefined)
  }

  async read(): Promise<number> {
    await this.flush()
    return (await this.#io.calls.stat(this.#layout.completions))?.sizeBytes ?? 0
  }

  async zero(): Promise<void> {
    // Earlier deletions of this process are counted first.
    await this.flush()
    await this.#io.write(this.#layout.completions, '', 'w')
  }

  /** One append, whole or not at all, of all processes in any order. */
  async #append(count: number): Promise<void> {
    try {
      await this.#io.write(this.#layout.completions, '\0'.repeat(count), 'a')
    } catch (error) {
      // The queue was removed (`rm -r`) since: there is nothing left to count in. ESTALE is no such answer.
      if (errorCode(error) === 'ENOENT') return
      warnUncounted(this, { label: this.#label, counter: 'completed', count }, error)
    }
  }
}
