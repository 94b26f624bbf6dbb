/** One queue of the conformance suite, and how the cases wait for things without waiting for time. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Backend, Capabilities } from '../backend/backend.js'
import { messageWriter } from '../backend/envelope.js'
import type { BatchFailure, Lease, Message } from '../backend/messages.js'
import { LeaseLostError } from '../errors/errors.js'

/** A backend under test. */
export interface BackendUnderTest {
  /** The backend's name in the names of the tests. */
  readonly name: string
  /**
   * Opens a queue, which is created if there is none of that name. The same name again opens the same queue, as another
   * worker would. Names are like `ptq-test-<uuid>`.
   */
  open(queue: string): Promise<Backend>
  /** Removes a queue after its test passed. Default: nothing is removed. */
  remove?(queue: string): Promise<void>
  /**
   * Advances a queue's clock, if it can be set; cases run at the same time, so each queue needs a clock of its own.
   * Default: the suite waits in real time, a few times `capabilities.secondsStep` in all.
   */
  advance?(queue: string, seconds: number): void | Promise<void>
}

/** One thing that a backend has to do. */
export interface ConformanceCase {
  readonly name: string
  /** The reason for which the case doesn't apply to a backend. */
  readonly leftOut?: (backend: Backend) => string | undefined
  readonly run: (queue: QueueUnderTest) => Promise<void>
}

/** In real time: the longest wait of a case for something that has to come, in seconds. */
const patienceSeconds = 30

export class QueueUnderTest {
  readonly name: string
  /** The first holder. */
  readonly backend: Backend
  readonly #under: BackendUnderTest
  readonly #opened: Backend[]
  readonly #write: (payloadText: string, id: string) => string

  constructor(under: BackendUnderTest, name: string, first: Backend) {
    this.#under = under
    this.name = name
    this.backend = first
    this.#opened = [first]
    this.#write = messageWriter(first.queueName, { ascii: this.capabilities.asciiBodies ?? false })
  }

  get capabilities(): Capabilities {
    return this.backend.capabilities
  }

  /** The length of a short lease or delay, in seconds; long enough in real time for a few calls on a busy machine. */
  get shortSeconds(): number {
    return this.realTime ? Math.max(2 * this.capabilities.secondsStep, 0.5) : 60
  }

  /** A lease or delay that outlasts every case, in seconds. */
  get longSeconds(): number {
    return Math.min(10_000, this.capabilities.maxLeaseSeconds, this.capabilities.maxDelaySeconds)
  }

  /** Opens the queue once more, as another worker would. */
  async open(): Promise<Backend> {
    const backend = await this.#under.open(this.name)
    this.#opened.push(backend)
    return backend
  }

  /** A new message, in the envelope that workers of every language write. */
  message(payload: unknown = [['tasks', 'nothing'], [], {}, -1]): Message {
    const id = randomUUID()
    return { id, body: this.#write(typeof payload === 'string' ? payload : JSON.stringify(payload), id) }
  }

  /** Inserts `count` new messages in batches of the size that the backend takes. */
  async fill(count: number, delaySeconds = 0): Promise<Message[]> {
    const messages = Array.from({ length: count }, () => this.message())
    const size = this.capabilities.insertBatch
    for (let start = 0; start < count; start += size) {
      noFailures(await this.backend.insert(messages.slice(start, start + size), { delaySeconds }))
    }
    return messages
  }

  /**
   * Leases exactly `count` messages, which are there or become free in a short time.
   *
   * @param backend who leases. Default: the first holder
   */
  async take(count: number, options: { seconds?: number; backend?: Backend } = {}): Promise<Lease[]> {
    const { seconds = this.longSeconds, backend = this.backend } = options
    const waitSeconds = this.realTime ? patienceSeconds : 0
    const leases: Lease[] = []
    while (leases.length < count) {
      const more = await backend.lease({ seconds, max: count - leases.length, waitSeconds })
      assert.ok(more.length > 0, `expected ${count} messages to be free, got ${leases.length}`)
      assert.ok(more.length <= count - leases.length, 'a lease gives no more than was asked for')
      leases.push(...more)
    }
    return leases
  }

  /** Leases one message. */
  async takeOne(options: { seconds?: number; backend?: Backend } = {}): Promise<Lease> {
    const [lease] = await this.take(1, options)
    assert.ok(lease)
    return lease
  }

  /** Nothing is free now. */
  async nothingFree(backend: Backend = this.backend): Promise<void> {
    const leases = await backend.lease({ seconds: this.longSeconds, max: 10, waitSeconds: 0 })
    assert.deepEqual(
      leases.map(lease => lease.id),
      [],
      'expected no message to be free',
    )
  }

  /** Lets time pass where the clock can be set; in real time, a lease of what becomes free waits for it. */
  async pass(seconds: number): Promise<void> {
    await this.#under.advance?.(this.name, seconds)
  }

  /** True where time has to be waited for. */
  get realTime(): boolean {
    return this.#under.advance === undefined
  }

  /** Closes all holders and removes the queue. */
  async end(): Promise<void> {
    for (const backend of this.#opened) await backend.close()
    await this.#under.remove?.(this.name)
  }
}

/** The ids of messages, in an order that can be compared. */
export function ids(messages: readonly Message[]): string[] {
  return messages.map(message => message.id).sort()
}

/** Every entry of a batch succeeded. */
export function noFailures(failures: readonly BatchFailure[]): void {
  const [first] = failures
  if (first !== undefined) throw first.error
}

/** Exactly the entry `index` of a batch failed, since its lease was lost. */
export function onlyLost(failures: readonly BatchFailure[], index: number, lease: Lease): void {
  assert.deepEqual(
    failures.map(failure => failure.index),
    [index],
    'expected exactly the lost lease to be reported',
  )
  const error = failures[0]?.error
  assert.ok(error instanceof LeaseLostError, `expected a LeaseLostError, got ${error}`)
  assert.equal(error.id, lease.id)
}
