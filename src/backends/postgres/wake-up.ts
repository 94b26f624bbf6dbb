/** Wakes waiting workers: a process that makes a message free notifies a channel of the queue (LISTEN and NOTIFY). */
import { createHash } from 'node:crypto'
import { onAbort } from '../../time/on-abort.js'
import { sleep } from '../../time/sleep.js'
import type { Connection } from './connection.js'

/** NOTIFY takes a lock of the whole server for a moment: minimum interval between those of a process. */
const notifyEveryMs = 20

/**
 * Maximum wait of a worker that gets notifications, and of one that doesn't: its connection may be a pooler's, which
 * passes no notification on.
 */
const toldMs = 10_000
const untoldMs = 1_000

/** A connection that listens is tried again after this time. */
const reconnectMs = 5_000

/** Notifications of one queue. */
export class WakeUps {
  readonly #connection: Connection
  readonly #channel: string
  readonly #waiters = new Set<() => void>()
  #listening: { close: () => void } | undefined
  #starting: Promise<boolean> | undefined
  #isTold = false
  #failedMs = Number.NEGATIVE_INFINITY
  #notifiedMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(connection: Connection, queueName: string) {
    this.#connection = connection
    // An identifier has at most 63 bytes.
    this.#channel = `ptq_${createHash('sha256').update(queueName).digest('hex').slice(0, 40)}`
  }

  /** The maximum wait between two polls. */
  get longestWaitMs(): number {
    return this.#isTold && this.#listening !== undefined ? toldMs : untoldMs * (0.5 + Math.random())
  }

  /** A wait that ends by the next notification, also by one that comes before {@link Wait.end} is awaited. */
  wait(signal: AbortSignal | undefined): Wait {
    return new Wait(this.#waiters, [signal, this.#connection.closing])
  }

  /** Listens from now on; true if it didn't before: messages may have come in between. */
  async listen(): Promise<boolean> {
    if (this.#listening !== undefined || performance.now() < this.#failedMs + reconnectMs) return false
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  async #start(): Promise<boolean> {
    try {
      const ended = () => {
        this.#listening = undefined
        this.#isTold = false
        this.#wake()
      }
      const told = () => {
        this.#isTold = true
        this.#wake()
      }
      const listener = await this.#connection.listener(told, ended)
      if (listener === undefined || this.#connection.closing.aborted) {
        listener?.close()
        this.#failedMs = performance.now()
        return false
      }
      this.#listening = listener
      await listener.query(`LISTEN ${this.#channel}`)
      // Shows whether notifications come through.
      await listener.query(`NOTIFY ${this.#channel}`)
      return true
    } catch {
      // Polling continues, and reports errors of the server.
      this.#listening?.close()
      this.#listening = undefined
      this.#failedMs = performance.now()
      return false
    }
  }

  /** Notifies waiting workers, now or very soon. In a transaction of the caller's: when it commits. */
  async notify(): Promise<void> {
    if (this.#connection.isCallers) return this.#send()
    if (this.#timer !== undefined) return
    const waitMs = this.#notifiedMs + notifyEveryMs - performance.now()
    if (waitMs <= 0) {
      this.#notifiedMs = performance.now()
      void this.#send().catch(() => undefined)
    } else {
      this.#timer = setTimeout(() => this.#sendLate(), waitMs)
    }
  }

  #sendLate(): void {
    this.#timer = undefined
    this.#notifiedMs = performance.now()
    void this.#send().catch(() => undefined)
  }

  async #send(): Promise<void> {
    await this.#connection.run('notify the workers of', query => query('SELECT pg_notify($1, $2)', [this.#channel, '']))
  }

  /** Sends what is to be sent, and listens no more. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      await this.#send().catch(() => undefined)
    }
    await this.#starting
    this.#listening?.close()
    this.#listening = undefined
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }
}

/** One wait of one caller. */
class Wait {
  readonly #waiters: Set<() => void>
  readonly #over = new AbortController()
  readonly #stopListening: readonly (() => void)[]
  readonly #wake = () => this.#over.abort()

  constructor(waiters: Set<() => void>, signals: readonly (AbortSignal | undefined)[]) {
    this.#waiters = waiters
    waiters.add(this.#wake)
    this.#stopListening = signals.map(signal => onAbort(signal, this.#wake))
  }

  /** Resolves after `ms`, or when it is woken. */
  async end(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, this.#over.signal)
    this.cancel()
  }

  cancel(): void {
    this.#waiters.delete(this.#wake)
    for (const stop of this.#stopListening) stop()
  }
}
