/** Writes messages for tasks of packs: parts of a pack, tasks on their own, a pack without what ended. */
import { randomUUID } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import { type EarlierAttempts, messageWriter } from '../backend/envelope.js'
import type { Failure, Message } from '../backend/messages.js'
import { packId } from '../backend/pack-ids.js'
import { UnsupportedOperationError } from '../errors/errors.js'
import type { MessageLeases } from '../queue/leasing.js'
import { earlierAttempts, envelopeFailures, type LeasedTask, traceparentOf } from '../queue/queued-task.js'
import { type Range, sizeOf } from '../tasks/ranges.js'
import { reasonOf } from './failure-reason.js'
import type { HeldPack } from './held-pack.js'
import type { PackedCall } from './packed-call.js'
import { onlyTask, storeTask } from './store-task.js'

/** A message to be written, with tasks of a leased pack. */
interface PackMessage {
  readonly of: LeasedTask
  readonly id: string
  /** The payload. */
  readonly text: string
  readonly earlier: EarlierAttempts
  readonly failures: readonly Failure[]
}

export class PackWriter {
  readonly #backend: Backend
  readonly #leasing: Pick<MessageLeases, 'replace'>

  constructor(backend: Backend, leasing: Pick<MessageLeases, 'replace'>) {
    this.#backend = backend
    this.#leasing = leasing
  }

  /** Stores messages. @throws the error of the first that could not be stored */
  async insert(given: readonly PackMessage[], delaySeconds: number): Promise<void> {
    const { insertBatch } = this.#backend.capabilities
    for (let start = 0; start < given.length; start += insertBatch) {
      const batch = given.slice(start, start + insertBatch).map(message => this.#messageOf(message))
      const [failure] = await withDelay(delaySeconds, delay => this.#backend.insert(batch, { delaySeconds: delay }))
      if (failure !== undefined) throw failure.error
    }
  }

  /** Stores tasks that were removed from a pack as another one. */
  async storeRest(pack: HeldPack, ranges: readonly Range[], delaySeconds: number): Promise<void> {
    const { message } = pack
    const only = await onlyTask(pack, ranges)
    const rest = {
      of: message,
      id: only?.id ?? packId(randomUUID(), sizeOf(ranges)),
      text: only?.payloadText ?? pack.textOf(ranges),
      // This lease is no attempt of theirs.
      earlier: { attempts: message.attempt - 1, deaths: message.deaths },
      failures: message.failures,
    }
    try {
      await this.insert([rest], delaySeconds)
    } catch (error) {
      pack.restoreLeft()
      throw error
    }
    pack.leftRemoved()
  }

  /** Stores a task that failed as a message of its own, with its history. */
  async storeAlone({ task }: PackedCall, failure: Failure, delaySeconds: number): Promise<void> {
    const failures = [...task.failures, failure]
    const earlier = { attempts: task.attempt, deaths: task.deaths }
    await withDelay(delaySeconds, delay => storeTask(this.#backend, { task, failures, earlier, delaySeconds: delay }))
  }

  /** Writes the message of a pack without what has ended, where the queue can do that. @throws LeaseLostError where its lease is over */
  async writeRemaining(pack: HeldPack, nowMs: number): Promise<void> {
    const { message } = pack
    if (this.#backend.replace === undefined || pack.isOver) return
    const { body } = this.#messageOf({
      of: message,
      id: message.id,
      text: pack.remainingText,
      earlier: earlierAttempts(message),
      failures: envelopeFailures(message),
    })
    pack.isDirty = false
    pack.writtenMs = nowMs
    try {
      await this.#leasing.replace(this.#backend, message, body)
    } catch (error) {
      pack.isDirty = true
      throw error
    }
  }

  #messageOf({ of, id, text, earlier, failures }: PackMessage): Message {
    const { queueName, capabilities } = this.#backend
    const write = messageWriter(queueName, { ascii: capabilities.asciiBodies ?? false })
    const history = { earlier, failures: failures.length === 0 ? undefined : failures }
    return { id, body: write(text, id, { ...history, traceparent: traceparentOf(of) }) }
  }
}

/** SQS FIFO queues have no delay of a message. */
async function withDelay<T>(delaySeconds: number, store: (delaySeconds: number) => Promise<T>): Promise<T> {
  try {
    return await store(delaySeconds)
  } catch (error) {
    if (delaySeconds === 0 || !(error instanceof UnsupportedOperationError)) throw error
    return store(0)
  }
}

/** Warns that the progress of a pack could not be written; the next write has it. */
export function warnNotWritten(label: string, error: unknown): void {
  process.emitWarning(`The progress of a pack of ${label} could not be written: ${reasonOf(error)}`)
}
