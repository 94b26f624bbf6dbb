/** The waits of a worker for tasks: in a lease request or between two. A stop ends each. */
import type { Clock } from '../time/clock.js'
import { onAbort } from '../time/on-abort.js'

export class LeaseWaits {
  readonly #clock: Clock
  /** Aborts the current request or wait. */
  #current = new AbortController()
  /** True if the current one waits for tasks. */
  #isWaiting = false
  /** No more requests are made. */
  stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the current wait, and each later one at once. */
  stop(): void {
    this.stopped = true
    this.#current.abort()
  }

  /** Ends the current wait, if there is one: the queue may be empty now. */
  endEarly(): void {
    if (this.#isWaiting) this.#current.abort()
  }

  /** Starts a request. @param waits true if it waits for tasks: see {@link endEarly} */
  begin({ waits }: { waits: boolean }): AbortSignal {
    this.#isWaiting = waits
    this.#current = new AbortController()
    if (this.stopped) this.#current.abort()
    return this.#current.signal
  }

  /** Waits between two requests. */
  sleep(seconds: number): Promise<void> {
    const signal = this.begin({ waits: true })
    if (signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = this.#clock.setAlarm(seconds * 1000, () => {
        stopListening()
        resolve()
      })
      const stopListening = onAbort(signal, () => {
        cancel()
        resolve()
      })
    })
  }
}
