/** Inserts one slice: in a pool thread, or in the calling thread for `parallel: 0`. */

import type { Backend } from '../backend/backend.js'
import type { BatchFailure, Message } from '../backend/messages.js'
import { taskIds } from '../backend/task-ids.js'
import type { Uploads } from '../backend/uploads.js'
import { InsertError } from '../errors/errors.js'
import { insertTasks } from '../queue/insert.js'
import { payloadText, taskCount } from '../queue/payload-text.js'
import { Pack } from '../tasks/pack.js'
import type { TaskInput } from '../tasks/task.js'
import { TaskSource } from '../tasks/task-source.js'
import { counted } from '../text/counted.js'
import { control, taskState } from './slice-messages.js'

/** A slice to insert. */
export interface SlicePlan {
  readonly backend: Backend
  /** The journal and its run; `undefined`: there is none. */
  readonly journal: { readonly uploads: Uploads; readonly run: string } | undefined
  readonly tasks: Iterable<TaskInput> | AsyncIterable<TaskInput>
  readonly start: number
  readonly end: number
  readonly seed: string
  readonly delaySeconds: number
  readonly concurrency: number
  readonly traceparent: string | undefined
  readonly states: Uint8Array
  readonly control: Int32Array
}

/** The result of a slice; see `SliceReport`. */
export interface SliceOutcome {
  readonly error: unknown
  readonly retriable: boolean
  readonly ended: boolean
}

/** Inserts the tasks of a slice under the ids of their indices, and records the state of each in `states`. Never rejects. */
export async function insertSlice(plan: SlicePlan): Promise<SliceOutcome> {
  const { backend, start, end } = plan
  const stopping = new AbortController()
  let queueFailed = false
  const store = async (messages: readonly Message[], first: number): Promise<readonly BatchFailure[]> => {
    if (Atomics.load(plan.control, control.stop) !== 0) stopping.abort(new Error('The insert was ended'))
    stopping.signal.throwIfAborted()
    const at = first - start
    plan.states.fill(taskState.sent, at, at + messages.length)
    try {
      const failures = await storeBatch(plan, messages, first)
      plan.states.fill(taskState.stored, at, at + messages.length)
      for (const { index } of failures) plan.states[at + index] = taskState.failed
      if (failures.length > 0) queueFailed = true
      return failures
    } catch (error) {
      plan.states.fill(taskState.failed, at, at + messages.length)
      queueFailed = true
      throw error
    }
  }
  try {
    await insertTasks(backend, new TaskSource(exactly(plan.tasks, end - start)), {
      textOf: payloadText,
      countOf: taskCount,
      part: { first: start, idOf: taskIds(plan.seed), store },
      delaySeconds: plan.delaySeconds,
      total: end - start,
      concurrency: plan.concurrency,
      progress: false,
      skipInsertCounter: true,
      traceparent: plan.traceparent,
      signal: stopping.signal,
    })
    return { error: undefined, retriable: false, ended: false }
  } catch (error) {
    return {
      error: error instanceof InsertError ? error.cause : error,
      retriable: queueFailed,
      ended: stopping.signal.aborted,
    }
  }
}

/** Messages whose payloads are made. @param counts tasks of each. Default: 1 */
export function madeMessages(texts: readonly string[], counts: readonly number[] | undefined): readonly Pack[] {
  return texts.map((text, index) => new Pack(text, counts?.[index] ?? 1))
}

function storeBatch(
  { backend, journal, delaySeconds }: SlicePlan,
  messages: readonly Message[],
  first: number,
): Promise<readonly BatchFailure[]> {
  if (journal === undefined) return backend.insert(messages, { delaySeconds })
  return journal.uploads.insert(journal.run, first, messages, { delaySeconds })
}

/** Yields the same tasks; throws if there are fewer or more, since their ids would be those of other slices. */
function exactly<T>(tasks: Iterable<T> | AsyncIterable<T>, count: number): Iterable<T> | AsyncIterable<T> {
  return Symbol.asyncIterator in tasks ? exactlyLater(tasks, count) : exactlyNow(tasks, count)
}

function* exactlyNow<T>(tasks: Iterable<T>, count: number): Generator<T, void, undefined> {
  let given = 0
  for (const task of tasks) {
    if (++given > count) throw wrongCount(count, 'more')
    yield task
  }
  if (given < count) throw wrongCount(count, String(given))
}

async function* exactlyLater<T>(tasks: AsyncIterable<T>, count: number): AsyncGenerator<T, void, undefined> {
  let given = 0
  for await (const task of tasks) {
    if (++given > count) throw wrongCount(count, 'more')
    yield task
  }
  if (given < count) throw wrongCount(count, String(given))
}

function wrongCount(count: number, got: string): Error {
  return new Error(
    `Expected a slice of ${counted(count, 'task')} to give ${count} when it is iterated, got ${got}: \`length\`, \`slice\` and the ` +
      'iterator have to agree, and an iterable that is inserted again has to give the same tasks',
  )
}
