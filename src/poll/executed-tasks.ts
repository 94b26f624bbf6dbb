/**
 * Reports tasks that ran to their end and were removed: counts them, emits their events, and calls `afterFn` and `stopFn` for each, in
 * order. The calls are separate from the removals, so that a slow one delays none.
 */
import { argumentError } from '../errors/errors.js'
import { callAndWait } from '../queue/awaited-functions.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Activity } from './activity.js'
import type { WorkRecord } from './work-record.js'
import type { WorkerDependencies } from './worker-dependencies.js'
import type { WorkerEnd } from './worker-end.js'

export class ExecutedTasks {
  readonly #dependencies: Pick<WorkerDependencies, 'events' | 'settings' | 'closing'>
  readonly #record: WorkRecord
  readonly #end: WorkerEnd
  readonly #activity: Activity
  readonly #tasks: LeasedTask[] = []
  #working: Promise<void> | undefined
  /** Number of tasks whose calls have not ended. */
  pending = 0

  constructor(
    dependencies: Pick<WorkerDependencies, 'events' | 'settings' | 'closing'>,
    record: WorkRecord,
    end: WorkerEnd,
    activity: Activity,
  ) {
    this.#dependencies = dependencies
    this.#record = record
    this.#end = end
    this.#activity = activity
  }

  /** @param ended has the task, which is made only if a listener or function takes it */
  add(ended: { readonly task: LeasedTask }, value: unknown, durationSeconds: number): void {
    const { events, settings } = this.#dependencies
    this.#record.executed++
    if (events.hasListeners('deleted')) events.emit('deleted', { task: ended.task, durationSeconds })
    if (events.hasListeners('succeeded')) events.emit('succeeded', { task: ended.task, value, durationSeconds })
    if (settings.afterFn === undefined && settings.stopFn === undefined) return
    this.#tasks.push(ended.task)
    this.pending++
    this.#working ??= this.#work()
  }

  /** Resolves when all calls have ended. */
  async done(): Promise<void> {
    await this.#working
  }

  /** Stops the worker if `stopFn` asks for it. */
  stopIfAsked(): void {
    if (this.#end.isStopping) return
    try {
      if (this.askedToStop()) this.#end.stop()
    } catch (error) {
      this.#end.fail(error)
    }
  }

  /** True if `stopFn` asks to stop. @throws what it throws */
  askedToStop(): boolean {
    const stop: unknown = this.#dependencies.settings.stopFn?.(this.#record.state)
    // A promise would always be truthy.
    if (stop === undefined || typeof stop === 'boolean') return stop === true
    throw argumentError('stopFn', 'a function that returns true or false', stop)
  }

  async #work(): Promise<void> {
    // The caller of `add` continues first.
    await Promise.resolve()
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        await this.#callAfterFn(task)
      } catch (error) {
        this.#end.fail(error)
      }
      this.pending--
    }
    this.#working = undefined
    this.#activity.changed()
  }

  async #callAfterFn(task: LeasedTask): Promise<void> {
    const { closing, settings } = this.#dependencies
    const { afterFn } = settings
    if (afterFn !== undefined) await callAndWait(closing, () => afterFn(task))
    this.stopIfAsked()
  }
}
