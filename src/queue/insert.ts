/** Inserts tasks: pulls them as they can be sent, with a bounded number of batches in flight. */

import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend } from '../backend/backend.js'
import { type EnvelopeHistory, type MessageWriter, messageWriter } from '../backend/envelope.js'
import type { BatchFailure, Message } from '../backend/messages.js'
import { packId, tasksIn } from '../backend/pack-ids.js'
import { InsertError } from '../errors/errors.js'
import { messageOf } from '../errors/thrown.js'
import { type Progress, startProgress } from '../progress/progress.js'
import type { TaskInput } from '../tasks/task.js'
import type { PulledSource } from '../tasks/task-source.js'
import { counted } from '../text/counted.js'
import { onAbort } from '../time/on-abort.js'
import { countInserted } from './count-inserted.js'

const tasksWere = ['task was', 'tasks were'] as const

/** A part of a larger insert, whose messages have one task each, or are packs. */
export interface InsertPart {
  /** The index of its first message. */
  readonly first: number
  /** The id of a message of one task, by its index; a pack's id is made of it. */
  readonly idOf: (index: number) => string
  /** Stores messages with neighbouring indices, the first of which is `first`. */
  readonly store: (messages: readonly Message[], first: number) => Promise<readonly BatchFailure[]>
}

/** Parameters of an insert. */
export interface InsertPlan<T = TaskInput> {
  /** The payload of a task of the source, as JSON. @throws if it is no task */
  readonly textOf: (task: T) => string
  /** The number of tasks of a message. Default: 1 */
  readonly countOf?: (task: T) => number
  /** Default: the whole, under random ids, stored as the backend does. */
  readonly part?: InsertPart
  /** Rounded for the backend, see `seconds.ts`. */
  readonly delaySeconds: number
  /** Number of tasks; `undefined` if unknown. */
  readonly total: number | undefined
  /** Concurrent batches. */
  readonly concurrency: number
  /** Show a progress bar. */
  readonly progress: boolean
  /** Leave the count of inserted tasks as it is. */
  readonly skipInsertCounter: boolean
  /** Of the span of this insert; `undefined` where no trace is made. */
  readonly traceparent: string | undefined
  /** Its abort ends the insert with an `InsertError`. */
  readonly signal: AbortSignal
}

/** The longest time that making and sending tasks may keep other work of the process waiting, in milliseconds. */
const maxTurnMs = 8

/**
 * Inserts tasks. A batch is sent when it is full, or when the source has to be awaited. The first failure ends the insert:
 * batches in flight are awaited, the rest is not tried. Tasks that a source gave before it threw are inserted.
 *
 * @returns how many were inserted
 * @throws InsertError with the exact counts
 */
export async function insertTasks<T>(backend: Backend, source: PulledSource<T>, plan: InsertPlan<T>): Promise<number> {
  const insertion = new Insertion(backend, source, plan)
  await insertion.run()
  await insertion.count()
  return insertion.finish()
}

class Insertion<T> {
  readonly #backend: Backend
  readonly #source: PulledSource<T>
  readonly #plan: InsertPlan<T>
  readonly #write: MessageWriter
  readonly #history: EnvelopeHistory | undefined
  readonly #part: InsertPart
  readonly #progress: Progress
  readonly #maxInFlight: number
  readonly #errors: unknown[] = []
  #batch: Message[] = []
  #inFlight = 0
  /** Called when a batch has ended. */
  #onBatchEnd: (() => void) | undefined
  #turnStartMs = performance.now()
  /** Messages. */
  #pulled = 0
  /** Messages. */
  #sent = 0
  /** Tasks, as all counts below. */
  #tasksPulled = 0
  #inserted = 0
  #failed = 0

  constructor(backend: Backend, source: PulledSource<T>, plan: InsertPlan<T>) {
    this.#backend = backend
    this.#source = source
    this.#plan = plan
    this.#write = messageWriter(backend.queueName, { ascii: backend.capabilities.asciiBodies ?? false })
    this.#history = plan.traceparent === undefined ? undefined : { traceparent: plan.traceparent }
    this.#part = plan.part ?? {
      first: 0,
      idOf: () => randomUUID(),
      store: messages => backend.insert(messages, { delaySeconds: plan.delaySeconds }),
    }
    this.#maxInFlight = Math.min(plan.concurrency, backend.capabilities.insertsAtOnce ?? plan.concurrency)
    this.#progress = startProgress({ label: 'Inserting', total: plan.total, enabled: plan.progress })
  }

  async run(): Promise<void> {
    const stopListening = onAbort(this.#plan.signal, () => this.#fail(this.#plan.signal.reason))
    try {
      while (!this.#source.ended) await this.#step()
      if (this.#batch.length > 0) await this.#send()
    } finally {
      stopListening()
      while (this.#inFlight > 0) await this.#batchEnd()
      this.#progress.stop()
    }
    const { error } = this.#source
    if (error === undefined) return
    this.#tasksPulled += error.failed ?? 0
    this.#failed += error.failed ?? 0
    this.#fail(error.thrown)
  }

  /** Updates the counter with one write per insert, so that it is exact while others insert too. */
  async count(): Promise<void> {
    if (this.#plan.skipInsertCounter || this.#inserted === 0) return
    await countInserted(this.#backend, this.#inserted)
  }

  finish(): number {
    const inserted = this.#inserted
    const failed = this.#failed
    const [first] = this.#errors
    if (this.#errors.length === 0) return inserted
    const total = this.#plan.total === undefined ? undefined : Math.max(this.#plan.total, this.#tasksPulled)
    const notTried = total === undefined ? undefined : total - inserted - failed
    throw new InsertError(
      `${total === undefined ? counted(inserted, ...tasksWere) : `${inserted} of ${counted(total, ...tasksWere)}`} inserted into ${this.#backend.label}, ` +
        `${failed} failed, ${notTried ?? 'an unknown number'} not tried: ${messageOf(first)}`,
      {
        inserted,
        failed,
        notTried,
        cause: this.#errors.length === 1 ? first : new AggregateError(this.#errors, `${this.#errors.length} errors`),
      },
    )
  }

  async #step(): Promise<void> {
    const tasks = this.#source.take(this.#backend.capabilities.insertBatch - this.#batch.length)
    for (const task of tasks) {
      if (!this.#add(task)) return
    }
    if (this.#batch.length >= this.#backend.capabilities.insertBatch) await this.#send()
    else if (tasks.length === 0 && this.#batch.length > 0) await this.#send()
    else if (tasks.length === 0) await this.#source.ready()
    if (performance.now() - this.#turnStartMs > maxTurnMs) {
      await nextTurn()
      this.#turnStartMs = performance.now()
    }
  }

  #add(task: T): boolean {
    const index = this.#part.first + this.#pulled
    const count = this.#plan.countOf?.(task) ?? 1
    this.#pulled += 1
    this.#tasksPulled += count
    try {
      const id = packId(this.#part.idOf(index), count)
      this.#batch.push({ id, body: this.#write(this.#plan.textOf(task), id, this.#history) })
      return true
    } catch (cause) {
      this.#failed += count
      const reason = messageOf(cause)
      this.#fail(new TypeError(`Task ${index} of this insert, from 0, can't be inserted: ${reason}`, { cause }))
      return false
    }
  }

  /** Sends the batch once fewer than the limit are in flight, unless the insert ends before. */
  async #send(): Promise<void> {
    while (this.#inFlight >= this.#maxInFlight) await this.#batchEnd()
    if (this.#errors.length > 0) return
    const batch = this.#batch
    const first = this.#part.first + this.#sent
    this.#batch = []
    this.#sent += batch.length
    this.#inFlight += 1
    void this.#insert(batch, first).then(() => {
      this.#inFlight -= 1
      this.#onBatchEnd?.()
    })
  }

  async #insert(batch: readonly Message[], first: number): Promise<void> {
    const all = tasksIn(batch)
    let failed = all
    try {
      const failures = await this.#part.store(batch, first)
      failed = tasksIn(failures.flatMap(({ index }) => batch[index] ?? []))
      for (const { error } of failures) this.#fail(error)
    } catch (error) {
      this.#fail(error)
    }
    this.#failed += failed
    this.#inserted += all - failed
    this.#progress.add(all - failed)
  }

  #batchEnd(): Promise<void> {
    return new Promise(resolve => {
      this.#onBatchEnd = resolve
    })
  }

  /** Records an error and ends the insert, also a wait for the source. */
  #fail(error: unknown): void {
    this.#errors.push(error)
    void this.#source.stop()
  }
}
