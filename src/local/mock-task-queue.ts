/** A queue for users' own tests and for debugging. */

import type { BareTask } from '../tasks/task.js'
import type { TaskIterable } from '../tasks/task-source.js'
import { LocalTaskQueue } from './local-task-queue.js'

/** Runs each task when it is inserted, in this thread: breakpoints and stack traces are those of a plain call. */
export class MockTaskQueue implements AsyncDisposable {
  readonly #queue = new LocalTaskQueue({ parallel: 0, progress: false })

  /** Runs the tasks now; resolves with how many ran. Rejects as {@link LocalTaskQueue.insertAll} does. */
  insert(tasks: TaskIterable | BareTask): Promise<number> {
    return this.#queue.insertAll(tasks)
  }

  /** The same as {@link insert}. */
  insertAll(tasks: TaskIterable | BareTask): Promise<number> {
    return this.insert(tasks)
  }

  /** Nothing is left to execute: resolves with 0. */
  execute(): Promise<number> {
    return Promise.resolve(0)
  }

  /** Nothing is left to drop. */
  purge(): void {
    this.#queue.purge()
  }

  /** Further calls are refused. */
  close(): Promise<void> {
    return this.#queue.close()
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
