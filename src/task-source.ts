/** What one insert may be given: one task, or many of them. */
import { argumentError } from './errors.js'
import { QueuedTask } from './queued-task.js'
import { type InsertableTask, isPayload, isTask } from './task.js'

/** A task, its payload, or a task of a queue, whose payload is copied as it is stored. */
export type Insertable = InsertableTask | QueuedTask

/** One task, or any iterable or async iterable of tasks. */
export type TaskSource = Insertable | Iterable<Insertable> | AsyncIterable<Insertable>

/**
 * The tasks of a source as an iterable. A payload of the array form is one task, not an iterable of four: no iterable of
 * tasks looks like it.
 *
 * @throws TypeError where there is nothing to iterate over
 */
export function tasksOf(source: unknown): Iterable<Insertable> | AsyncIterable<Insertable> {
  if (source instanceof QueuedTask || isTask(source) || isPayload(source)) return [source]
  if (source !== null && typeof source === 'object') {
    if (Symbol.asyncIterator in source) return source as AsyncIterable<Insertable>
    if (Symbol.iterator in source) return source as Iterable<Insertable>
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
