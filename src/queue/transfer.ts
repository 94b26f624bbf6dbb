/**
 * Copies messages between queues byte for byte: nothing is decoded, so tasks keep every digit, also if their code is unknown
 * or they are no tasks. A message keeps its id. Two things are changed, both without changing the JSON value: characters
 * that the other backend may refuse are escaped; and an envelope without an id (Python's on SQS) gets the message's id,
 * without which a Python worker can't finish it on a file queue.
 */
import type { Backend } from '../backend/backend.js'
import { derivedId } from '../backend/derived-id.js'
import { asciiJson, withMessageId } from '../backend/envelope.js'
import type { Message } from '../backend/messages.js'
import { tasksIn } from '../backend/pack-ids.js'
import { startProgress } from '../progress/progress.js'
import type { Clock } from '../time/clock.js'
import { countInserted } from './count-inserted.js'

/** Options of `copyTo` and `moveTo`. */
export interface TransferOptions {
  /** Its abort ends the transfer after the current batches: the result has the number of transferred messages. */
  readonly signal?: AbortSignal
}

/** Parameters of a transfer. */
export interface TransferPlan {
  readonly from: Backend
  readonly to: Backend
  /** Concurrent batches. */
  readonly concurrency: number
  /** Show a progress bar. */
  readonly progress: boolean
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** Number of tasks per update of the inserted count; a crash leaves fewer than that uncounted. */
const countEvery = 1000

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The message in a form that the other queue accepts. */
export function fitted({ id, body }: Message, to: Backend): Message {
  const known = idOf(id)
  const whole = withMessageId(body, known)
  return { id: known, body: to.capabilities.asciiBodies ? asciiJson(whole) : whole }
}

/** A message's id is a UUID; a backend whose own ids are no UUIDs (SQS FIFO: any text) gets the same one each time. */
export function idOf(id: string): string {
  if (uuid.test(id)) return id
  return derivedId(id)
}

/** Inserts messages into the other queue, counts them there, and shows progress. */
export class TransferInserter {
  readonly #to: Backend
  readonly #progress: ReturnType<typeof startProgress>
  #uncounted = 0
  #stored = 0

  constructor({ to, progress }: TransferPlan, label: string, total: number) {
    this.#to = to
    this.#progress = startProgress({ label, total: Number.isNaN(total) ? undefined : total, enabled: progress })
  }

  /** Number of tasks stored in the other queue. */
  get stored(): number {
    return this.#stored
  }

  /** @returns which entries failed, and the first of their errors */
  async insert(messages: readonly Message[]): Promise<{ failed: ReadonlySet<number>; error: Error | undefined }> {
    const failures = await this.#to.insert(messages, { delaySeconds: 0 })
    const failed = new Set(failures.map(({ index }) => index))
    await this.count(tasksIn(messages.filter((_, index) => !failed.has(index))))
    return { failed, error: failures[0]?.error }
  }

  async count(stored: number): Promise<void> {
    this.#stored += stored
    this.#uncounted += stored
    this.#progress.add(stored)
    if (this.#uncounted >= countEvery) await this.#flush()
  }

  async end(): Promise<void> {
    this.#progress.stop()
    await this.#flush()
  }

  async #flush(): Promise<void> {
    const count = this.#uncounted
    this.#uncounted = 0
    if (count > 0) await countInserted(this.#to, count)
  }
}
