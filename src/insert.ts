/** Filling a queue: tasks are pulled as they can be sent, a bounded number of batches is under way. */
import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend, Message } from './backend.js'
import { InsertError } from './errors.js'
import { stringifyJson } from './json.js'
import { messageWriter } from './message.js'
import { startProgress } from './progress.js'
import { QueuedTask } from './queued-task.js'
import { toTask } from './task.js'
import type { Insertable } from './task-source.js'

/** How to fill a queue. */
export interface InsertPlan {
  /** As the backend can hold it, see `seconds.ts`. */
  readonly delaySeconds: number
  /** How many tasks will come; `undefined` if nobody knows. */
  readonly total: number | undefined
  /** How many batches may be under way at once. */
  readonly concurrency: number
  /** Show a bar. */
  readonly progress: boolean
  /** Leave the count of inserted tasks as it is. */
  readonly skipInsertCounter: boolean
  /** Its abort ends the insert with an `InsertError`. */
  readonly signal: AbortSignal
}

/** The longest time that pulling tasks may keep other work of the process waiting, in milliseconds. */
const maxTurnMs = 8

/** How long a task of a slow async source may wait for others to fill its batch, in milliseconds. */
const maxBatchWaitMs = 100

/**
 * Inserts the tasks of a source. The first failure ends it: what is under way is awaited, the rest is not tried.
 *
 * @returns how many were inserted
 * @throws InsertError with the exact counts
 */
export async function insertTasks(
  backend: Backend,
  tasks: Iterable<Insertable> | AsyncIterable<Insertable>,
  plan: InsertPlan,
): Promise<number> {
  const insertion = new Insertion(backend, plan)
  await insertion.run(tasks)
  await insertion.count()
  return insertion.finish()
}

class Insertion {
  readonly #backend: Backend
  readonly #plan: InsertPlan
  readonly #write: (payloadText: string, id: string) => string
  readonly #progress: { add(n: number): void; stop(): void }
  readonly #errors: unknown[] = []
  #batch: Message[] = []
  #underWay = 0
  /** Called when a batch has ended. */
  #ended: (() => void) | undefined
  /** Ends the wait for an async source. */
  #interrupt: (() => void) | undefined
  #turnStartMs = performance.now()
  #pulled = 0
  #exhausted = false
  #inserted = 0
  #failed = 0

  constructor(backend: Backend, plan: InsertPlan) {
    this.#backend = backend
    this.#plan = plan
    this.#write = messageWriter(backend.queueName, { ascii: backend.capabilities.asciiBodies ?? false })
    this.#progress = startProgress({ label: 'Inserting', total: plan.total, enabled: plan.progress })
  }

  async run(tasks: Iterable<Insertable> | AsyncIterable<Insertable>): Promise<void> {
    try {
      if (Symbol.asyncIterator in tasks) await this.#pullAsync(tasks)
      else await this.#pull(tasks)
      await this.#send()
    } catch (error) {
      this.#errors.push(error)
    }
    while (this.#underWay > 0) await this.#end()
    this.#progress.stop()
  }

  /** One write an insert, so that the counter is exact whatever else is inserting. */
  async count(): Promise<void> {
    if (this.#plan.skipInsertCounter || this.#inserted === 0) return
    try {
      await this.#backend.addInserted?.(this.#inserted)
    } catch (cause) {
      this.#errors.push(
        new Error(`The tasks are in ${this.#backend.label}, but its count of inserted tasks could not be raised`, {
          cause,
        }),
      )
    }
  }

  finish(): number {
    const [first] = this.#errors
    if (this.#errors.length === 0) return this.#inserted
    const inserted = this.#inserted
    const failed = this.#failed
    const total = this.#exhausted ? this.#pulled : this.#plan.total && Math.max(this.#plan.total, this.#pulled)
    const notTried = total === undefined ? undefined : Math.max(0, total - inserted - failed)
    const reason = first instanceof Error ? first.message : String(first)
    throw new InsertError(
      `${inserted}${total === undefined ? '' : ` of ${total}`} tasks were inserted into ${this.#backend.label}, ` +
        `${failed} failed, ${notTried ?? 'an unknown number'} not tried: ${reason}`,
      {
        inserted,
        failed,
        notTried,
        cause: this.#errors.length === 1 ? first : new AggregateError(this.#errors, `${this.#errors.length} errors`),
      },
    )
  }

  async #pull(tasks: Iterable<Insertable>): Promise<void> {
    for (const task of tasks) {
      if (this.#add(task)) await this.#send()
      if (this.#stopped()) return
    }
    this.#exhausted = true
  }

  async #pullAsync(tasks: AsyncIterable<Insertable>): Promise<void> {
    const iterator = tasks[Symbol.asyncIterator]()
    const interrupt = () => this.#interrupt?.()
    const timer = setInterval(() => {
      if (this.#batch.length > 0 && this.#underWay < this.#plan.concurrency && !this.#stopped()) this.#start()
    }, maxBatchWaitMs)
    this.#plan.signal.addEventListener('abort', interrupt)
    try {
      while (!this.#stopped()) {
        const next = await this.#next(iterator)
        if (next === undefined) break
        if (next.done) {
          this.#exhausted = true
          return
        }
        if (this.#add(next.value)) await this.#send()
      }
    } finally {
      clearInterval(timer)
      this.#plan.signal.removeEventListener('abort', interrupt)
      // Not awaited: a source that waits for something that never comes can't even be ended.
      if (!this.#exhausted) iterator.return?.().catch((error: Error) => process.emitWarning(error))
    }
  }

  /** The next task of the source; `undefined` if the insert was interrupted before it came. */
  #next(iterator: AsyncIterator<Insertable>): Promise<IteratorResult<Insertable> | undefined> {
    return new Promise((resolve, reject) => {
      this.#interrupt = () => resolve(undefined)
      iterator.next().then(resolve, reject)
    })
  }

  /** Whether the batch is full now. */
  #add(task: Insertable): boolean {
    this.#pulled += 1
    const id = randomUUID()
    try {
      const payloadText = task instanceof QueuedTask ? task.payloadText : stringifyJson(toTask(task).payload())
      this.#batch.push({ id, body: this.#write(payloadText, id) })
    } catch (cause) {
      this.#failed += 1
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new TypeError(`Task ${this.#pulled - 1} of this insert (from 0) can't be inserted: ${reason}`, { cause })
    }
    return this.#batch.length >= this.#backend.capabilities.insertBatch
  }

  /** Sends the batch as soon as a place is free. */
  async #send(): Promise<void> {
    if (performance.now() - this.#turnStartMs > maxTurnMs) {
      await nextTurn()
      this.#turnStartMs = performance.now()
    }
    while (this.#underWay >= this.#plan.concurrency) await this.#end()
    if (this.#batch.length > 0 && !this.#stopped()) this.#start()
  }

  #start(): void {
    const batch = this.#batch
    this.#batch = []
    this.#underWay += 1
    void this.#insert(batch).then(() => {
      this.#underWay -= 1
      this.#ended?.()
      if (this.#errors.length > 0) this.#interrupt?.()
    })
  }

  async #insert(batch: readonly Message[]): Promise<void> {
    let failed = batch.length
    try {
      const failures = await this.#backend.insert(batch, { delaySeconds: this.#plan.delaySeconds })
      failed = failures.length
      for (const { error } of failures) this.#errors.push(error)
    } catch (error) {
      this.#errors.push(error)
    }
    this.#failed += failed
    this.#inserted += batch.length - failed
    this.#progress.add(batch.length - failed)
  }

  #end(): Promise<void> {
    return new Promise(resolve => {
      this.#ended = resolve
    })
  }

  #stopped(): boolean {
    if (this.#errors.length === 0 && this.#plan.signal.aborted) {
      this.#errors.push(this.#plan.signal.reason)
    }
    return this.#errors.length > 0
  }
}
