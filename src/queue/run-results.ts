/** `TaskQueue.map` and `TaskQueue.results`: outcomes of tasks that workers anywhere run. */
import { randomUUID } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import { checkBoolean, checkNames, checkSignal } from '../errors/check-options.js'
import { argumentError, UnsupportedOperationError } from '../errors/errors.js'
import { type ReadResultsOptions, type RunResult, readResults } from '../results/read-results.js'
import { totalRecord } from '../results/result-record.js'
import { checkRunName, requestTask } from '../results/result-request.js'
import { partial } from '../tasks/partial.js'
import type { BareTask, FunctionTask } from '../tasks/task.js'
import { toPayload } from '../tasks/task-payload.js'
import { lengthOf } from '../tasks/task-source.js'
import { isEmpty } from './emptiness.js'
import { checkPackSize } from './pack-source.js'
import type { QueueConnection } from './queue-connection.js'
import { ResultPlace } from './result-place.js'
import type { InsertOptions } from './task-queue-options.js'

/** Options of `TaskQueue.results`. */
export interface RunResultsOptions {
  /** URL of the queue that keeps the outcomes, as workers have it (`PollOptions.results`). Default: this queue. */
  readonly results?: string
  /** Wait for outcomes that are still to come. Default true; false: those that are there. */
  readonly wait?: boolean
  /** Its abort ends the reading with its reason; the tasks in the queue still run. */
  readonly signal?: AbortSignal
}

/** Options of `TaskQueue.map`. */
export interface QueueMapOptions extends Omit<RunResultsOptions, 'wait'> {
  /**
   * A name for the run. With it the outcomes are kept until `dropResults`, `results` reads them again, also in another
   * process, and `map` with the same inputs continues an interrupted insert. Default: a random one, dropped when all
   * outcomes were read.
   */
  readonly run?: string
  /** Up to so many calls in one message, as `InsertOptions.pack`; each still has an outcome of its own. Default: a message for each. */
  readonly pack?: number
}

/** Inserts tasks. */
type Insert = (tasks: AsyncIterable<BareTask>, options: Pick<InsertOptions, 'resume' | 'pack'>) => Promise<unknown>

/** Inserts a call for each input, and yields the outcomes as they come. */
export async function* mapInputs<T>(
  queue: QueueConnection,
  insert: Insert,
  fn: unknown,
  inputs: Iterable<unknown> | AsyncIterable<unknown>,
  options: QueueMapOptions,
): AsyncGenerator<RunResult<T>, void, undefined> {
  checkNames('options of map', options, ['run', 'results', 'signal', 'pack'])
  const pack = checkPackSize(options.pack)
  const run = options.run === undefined ? `run-${randomUUID()}` : checkRunName(options.run)
  if (typeof inputs !== 'object' || inputs === null || !(Symbol.iterator in inputs || Symbol.asyncIterator in inputs)) {
    throw argumentError('inputs', 'an iterable or async iterable', inputs)
  }
  const call = partial as (fn: unknown, ...args: unknown[]) => FunctionTask
  // Refused before anything is inserted.
  call(fn)
  const backend = await queue.backend.open()
  const place = new ResultPlace(queue, backend, options.results)
  let isRead = false
  let inserting: Promise<void> | undefined
  try {
    const sink = await place.require()
    const tasks = countedTasks(inputs, (input, index) => {
      // Ending the sequence would look complete, and the named insert would count as complete.
      if (isRead) throw new Error('The reader of the run has ended')
      return requestTask({ run, index, payload: toPayload(call(fn, input)) })
    })
    // So that readers can attach to the run before its first outcome.
    const writer = `inserter.${process.pid}.${randomUUID()}`
    await sink.append(run, writer, ['{}'])
    const insertOptions = {
      ...(options.run !== undefined && { resume: `results-${run}` }),
      ...(pack !== undefined && { pack }),
    }
    inserting = insert(tasks.iterate(), insertOptions).then(async () => {
      await sink.append(run, writer, [totalRecord(await tasks.total())])
    })
    yield* readResults<T>(sink, run, {
      ...readOptions(queue, backend, checkSignal('signal', options.signal), true),
      inserting,
    })
    if (options.run === undefined) await sink.drop(run)
  } finally {
    isRead = true
    // Its error was thrown to the reader, if there still was one.
    await inserting?.catch(() => undefined)
    await place.close()
  }
}

/** Yields the outcomes of a run. */
export async function* runResults<T>(
  queue: QueueConnection,
  run: string,
  options: RunResultsOptions,
): AsyncGenerator<RunResult<T>, void, undefined> {
  checkNames('options of results', options, ['results', 'wait', 'signal'])
  const name = checkRunName(run)
  const wait = checkBoolean('wait', options.wait, true)
  const backend = await queue.backend.open()
  const place = new ResultPlace(queue, backend, options.results)
  try {
    const sink = await place.require()
    if (!(await sink.runs()).includes(name)) throw new Error(`There is no run ${name} of ${backend.label}`)
    yield* readResults<T>(sink, name, readOptions(queue, backend, checkSignal('signal', options.signal), wait))
  } finally {
    await place.close()
  }
}

/** The names of the runs that have outcomes. */
export async function runNames(queue: QueueConnection, results: string | undefined): Promise<readonly string[]> {
  return withSink(queue, results, sink => sink.runs())
}

/** Removes the outcomes of a run. */
export async function dropRun(queue: QueueConnection, run: string, results: string | undefined): Promise<void> {
  const name = checkRunName(run)
  await withSink(queue, results, sink => sink.drop(name))
}

async function withSink<R>(
  queue: QueueConnection,
  results: string | undefined,
  work: (sink: Awaited<ReturnType<ResultPlace['require']>>) => Promise<R>,
): Promise<R> {
  return queue.backend.use(async backend => {
    const place = new ResultPlace(queue, backend, results)
    try {
      return await work(await place.require())
    } finally {
      await place.close()
    }
  })
}

function readOptions(
  { backend: opened }: QueueConnection,
  backend: Backend,
  given: AbortSignal | undefined,
  wait: boolean,
): ReadResultsOptions {
  const signal = given === undefined ? opened.signal : AbortSignal.any([opened.signal, given])
  return {
    wait,
    signal,
    isEmpty: async () => {
      try {
        return await isEmpty(backend, signal)
      } catch (error) {
        // An unknown count is not taken for the end.
        if (error instanceof UnsupportedOperationError) return false
        throw error
      }
    },
  }
}

/** Creates the tasks, and counts the inputs, including those that a resumed insert does not read. */
function countedTasks(
  inputs: Iterable<unknown> | AsyncIterable<unknown>,
  taskOf: (input: unknown, index: number) => BareTask,
): { iterate(): AsyncGenerator<BareTask, void, undefined>; total(): Promise<number> } {
  const known = lengthOf(inputs as Iterable<BareTask>)
  const iterator = Symbol.asyncIterator in inputs ? inputs[Symbol.asyncIterator]() : inputs[Symbol.iterator]()
  let count = 0
  return {
    async *iterate() {
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        yield taskOf(next.value, count++)
      }
    },
    async total() {
      if (known !== undefined) return known
      while ((await iterator.next()).done !== true) count++
      return count
    },
  }
}
