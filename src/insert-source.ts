/** What one insert may be given: one task, or many of them. */
import { argumentError } from './errors.js'
import { type BareTask, isClassPayload, isFunctionPayload, isTask } from './task.js'
import type { TaskIterable } from './task-source.js'

/** One task, or any iterable or async iterable of tasks. Tasks of a queue are copied as they are stored. */
export type InsertSource = BareTask | TaskIterable<BareTask>

/**
 * The tasks of a source as an iterable. A payload of the array form is one task, not an iterable: no iterable of tasks
 * looks like it.
 *
 * @throws TypeError where there is neither a task nor anything to iterate over
 */
export function tasksOf(source: InsertSource): TaskIterable<BareTask> {
  if (typeof source === 'function' || isTask(source) || isFunctionPayload(source) || isClassPayload(source))
    return [source]
  if (source !== null && typeof source === 'object' && (Symbol.asyncIterator in source || Symbol.iterator in source)) {
    return source
  }
  throw argumentError('tasks', 'a task, an iterable or async iterable of tasks, or a TaskQueue', source)
}

/** How many tasks a source says it has: its `length` or `size`. */
export function lengthOf(source: object): number | undefined {
  for (const key of ['length', 'size']) {
    const length: unknown = Reflect.get(source, key)
    if (typeof length === 'number' && Number.isInteger(length) && length >= 0) return length
  }
  return undefined
}
