/**
 * Inserts in slices: one loop per thread, each with one slice at a time. Ids are determined by a seed and the task's index,
 * so that a slice can be retried and a named insert resumed.
 */
import type { Backend } from '../backend/backend.js'
import { newSeed } from '../backend/task-ids.js'
import { warnUncounted } from '../backend/uncounted.js'
import type { UploadHead, UploadState, Uploads } from '../backend/uploads.js'
import { isErrorNamed, nameAndMessageOf } from '../errors/thrown.js'
import { type Progress, startProgress } from '../progress/progress.js'
import { countInserted } from '../queue/count-inserted.js'
import { PackSource } from '../queue/pack-source.js'
import { type Range, sizeOf, union, without } from '../tasks/ranges.js'
import { SlicePacks } from '../tasks/slice-packs.js'
import type { BareTask } from '../tasks/task.js'
import type { PulledSource } from '../tasks/task-source.js'
import { onAbort } from '../time/on-abort.js'
import { journalOf } from './journal.js'
import { BulkInsertReport } from './report.js'
import { type SliceableSequence, sequenceMark } from './sequence.js'
import { type QueueReference, taskState } from './slice-messages.js'
import {
  InlineSliceRunner,
  type RunningSlice,
  type SliceResult,
  type SliceRunner,
  ThreadSliceRunner,
} from './slice-runner.js'
import { BlockSource, partOf, SequenceSource, type Slice, type SliceSource } from './slice-source.js'
import { rangesInState } from './slice-states.js'

/** Parameters of a bulk insert. */
export interface BulkInsertPlan {
  readonly backend: Backend
  /** For threads to open the queue; `undefined`: the calling thread inserts. */
  readonly queue: QueueReference | undefined
  readonly tasks: BulkInsertTasks
  /** 0: the calling thread. */
  readonly threads: number
  /** Rounded for the backend, see `seconds.ts`. */
  readonly delaySeconds: number
  /** Concurrent batches per thread. */
  readonly concurrency: number
  /** Show a progress bar. */
  readonly progress: boolean
  /** Leave the count of inserted tasks as it is. */
  readonly skipInsertCounter: boolean
  /** The name for resuming an interrupted insert. */
  readonly resume: string | undefined
  /** Of the span of this insert; `undefined` where no trace is made. */
  readonly traceparent: string | undefined
  /** Its abort ends the insert with an `InsertError`. */
  readonly signal: AbortSignal
}

/** The tasks to insert: a sliceable sequence, or any other iterable. */
export type BulkInsertTasks =
  | { readonly sliceable: SliceableSequence }
  | {
      readonly source: PulledSource<BareTask>
      readonly total: number | undefined
      /** Tasks of a message; `undefined`: each has its own. */
      readonly pack: number | undefined
      readonly mark: string
    }

/** Most attempts of a slice, where a retry is safe. */
const maxTries = 3

/** Failed slices in a row per loop, with nothing stored, after which the insert ends. */
const maxFailuresInRow = 3

/** Interval of progress bar updates. */
const progressMs = 100

/**
 * Inserts tasks in slices. A slice that fails is reported with its range, and the others go on.
 *
 * @returns how many were inserted; of a resumed insert, those that were missing
 * @throws InsertError with the exact counts and the ranges that failed
 */
export async function bulkInsert(plan: BulkInsertPlan): Promise<number> {
  const { backend, resume, tasks } = plan
  const journal = backend.uploads !== undefined || resume !== undefined ? journalOf(backend) : undefined
  const total = totalOf(tasks)
  const sequence = 'sliceable' in tasks ? sequenceMark(tasks.sliceable.reference) : tasks.mark
  const begun = await begin(plan, journal, { seed: newSeed(), sequence, total })
  if (begun?.finished) return 0
  const running = new BulkInsert(plan, total, journal, begun)
  await running.run()
  await running.count()
  await running.finish()
  return running.result()
}

/** The number of tasks; `undefined` if unknown. */
function totalOf(tasks: BulkInsertTasks): number | undefined {
  if (!('sliceable' in tasks)) return tasks.total
  const { sequence } = tasks.sliceable
  return sequence instanceof SlicePacks ? sequence.total : sequence.length
}

async function begin(
  { backend, resume, signal }: BulkInsertPlan,
  journal: Uploads | undefined,
  head: UploadHead,
): Promise<UploadState | undefined> {
  try {
    return await journal?.begin(resume, head, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    const report = new BulkInsertReport()
    report.add(error)
    throw report.failure({ label: backend.label, missing: head.total, resume })
  }
}

class BulkInsert {
  readonly #plan: BulkInsertPlan
  /** Number of tasks; `undefined` if unknown. */
  readonly #total: number | undefined
  readonly #journal: Uploads | undefined
  readonly #begun: UploadState | undefined
  readonly #source: SliceSource
  readonly #runner: SliceRunner
  readonly #parallelism: number
  readonly #progress: Progress
  readonly #running = new Set<RunningSlice>()
  readonly #report = new BulkInsertReport()
  #shown = 0
  /** Failed slices in a row, with nothing stored. */
  #failuresInRow = 0
  #isCounted = true
  #ended = false

  constructor(
    plan: BulkInsertPlan,
    total: number | undefined,
    journal: Uploads | undefined,
    begun: UploadState | undefined,
  ) {
    const { tasks, threads, backend, queue, delaySeconds, concurrency, traceparent } = plan
    const stored = union(begun?.stored ?? [])
    const settings = { seed: begun?.head.seed ?? newSeed(), run: begun?.run, delaySeconds, concurrency, traceparent }
    this.#plan = plan
    this.#journal = journal
    this.#begun = begun
    this.#parallelism = Math.max(1, threads)
    const { sequence, reference } =
      'sliceable' in tasks ? tasks.sliceable : { sequence: undefined, reference: undefined }
    this.#source =
      'sliceable' in tasks
        ? new SequenceSource(tasks.sliceable.sequence, stored, threads)
        : blockSource(tasks, { backend, stored, threads, isResumed: plan.resume !== undefined })
    this.#runner =
      queue === undefined
        ? new InlineSliceRunner(backend, sequence, settings)
        : new ThreadSliceRunner(queue, reference, settings)
    this.#total = total
    const storedTasks = Math.min(total ?? 0, sizeOf(stored) * ('sliceable' in tasks ? 1 : (tasks.pack ?? 1)))
    const missing =
      total === undefined ? undefined : total - ('sliceable' in tasks ? this.#source.storedTasks : storedTasks)
    this.#progress = startProgress({ label: 'Inserting', total: missing, enabled: plan.progress })
  }

  async run(): Promise<void> {
    const { signal } = this.#plan
    const stopListening = onAbort(signal, () => this.#end(signal.reason))
    const progressTimer = setInterval(() => this.#updateProgress(), progressMs)
    try {
      await Promise.all(Array.from({ length: this.#parallelism }, () => this.#insertSlices()))
    } finally {
      clearInterval(progressTimer)
      stopListening()
      this.#runner.end()
      await this.#source.stop()
      this.#updateProgress()
      this.#progress.stop()
    }
    const { error } = this.#source
    if (error !== undefined) this.#report.add(error.thrown, error.failed)
  }

  /** Updates the counter with one write per insert, so that it is exact beside other inserts. */
  async count(): Promise<void> {
    const { backend, resume, skipInsertCounter } = this.#plan
    const stored = this.#source.storedTasks + this.#report.inserted
    const uncounted = stored - (this.#begun?.counted ?? 0)
    if (skipInsertCounter || uncounted === 0 || backend.addInserted === undefined) return
    const note = resume === undefined ? undefined : `The same insert with resume: '${resume}' counts them.`
    try {
      await this.#noteCounted(stored)
      this.#isCounted = await countInserted(backend, uncounted, note)
      if (!this.#isCounted) await this.#noteCounted(stored - uncounted)
    } catch (cause) {
      this.#isCounted = false
      if (isErrorNamed(cause, 'UploadGoneError')) {
        this.#report.add(cause)
        return
      }
      warnUncounted(
        backend,
        { label: backend.label, counter: 'inserted', count: uncounted, ...(note && { note }) },
        cause,
      )
    }
  }

  /**
   * Recorded before it is counted: if another process has taken the insert over, this fails, and that one counts all of it.
   * If the process dies between the two, which takes milliseconds, the count is too low.
   */
  async #noteCounted(stored: number): Promise<void> {
    if (this.#begun !== undefined) await this.#journal?.counted(this.#begun.run, stored)
  }

  async finish(): Promise<void> {
    const isComplete = this.#report.isComplete && this.#isCounted
    if (this.#begun === undefined || (this.#plan.resume !== undefined && !isComplete)) return
    try {
      await this.#journal?.finish(this.#begun.run)
    } catch (error) {
      if (isErrorNamed(error, 'UploadGoneError')) {
        this.#report.add(error)
        return
      }
      // A warning only: the tasks are stored, and a caller who retried after an error would insert them twice.
      const { backend, resume } = this.#plan
      const name = resume === undefined ? '' : ` The same insert with resume: '${resume}' inserts none of them again.`
      process.emitWarning(
        `The tasks are in ${backend.label}, but it could not be recorded that their insert is complete: ` +
          `${nameAndMessageOf(error)}.${name}`,
        { type: 'PtqWarning', code: 'PTQ_INSERT_NOT_CLOSED' },
      )
    }
  }

  result(): number {
    const { backend, resume } = this.#plan
    const missing = this.#total === undefined ? undefined : this.#total - this.#source.storedTasks
    const failure = this.#report.failure({ label: backend.label, missing, resume })
    if (failure !== undefined) throw failure
    return this.#report.inserted
  }

  async #insertSlices(): Promise<void> {
    while (!this.#ended) {
      const slice = await this.#source.next()
      if (slice === undefined || this.#ended) return
      await this.#insert(slice, 1)
    }
  }

  async #insert(slice: Slice, attempt: number): Promise<void> {
    const running = this.#runner.run(slice)
    this.#running.add(running)
    const result = await running.result
    this.#running.delete(running)
    if (result.error === undefined) {
      this.#stored(this.#tasksIn(slice, [slice]))
      return
    }
    const { stored, retriable, lost } = await this.#examineFailure(running, result)
    this.#stored(this.#tasksIn(slice, stored))
    for (const range of lost) this.#report.fail(this.#source.tasksOf(slice, range), result.error, !result.died)
    // The rest was not tried.
    if (result.ended) return
    const rest = without(slice, union([...stored, ...lost]))
    // A slice that gave too many tasks, or threw after its last one, is wrong although none of its own is missing.
    if (rest.length === 0 && lost.length === 0 && !result.died && !result.retriable) this.#report.add(result.error)
    for (const range of rest) {
      const again = retriable && attempt < maxTries && !this.#ended
      if (again) await this.#insert(partOf(slice, range), attempt + 1)
      else this.#report.fail(this.#source.tasksOf(slice, range), result.error, true)
    }
    if (sizeOf(stored) > 0) return
    this.#failuresInRow += 1
    if (this.#failuresInRow >= maxFailuresInRow * this.#parallelism) this.#end(undefined)
  }

  /** Splits a failed slice: stored, lost (unknown or not to be retried), and whether the rest may be retried. */
  async #examineFailure(
    { slice, states }: RunningSlice,
    { retriable, ended, died }: SliceResult,
  ): Promise<{ stored: Range[]; lost: Range[]; retriable: boolean }> {
    const { uploads } = this.#plan.backend
    if (uploads !== undefined && this.#begun !== undefined && !ended && (died || retriable)) {
      try {
        const stored = union(await uploads.settle(this.#begun.run, slice))
        return { stored, lost: [], retriable: true }
      } catch (error) {
        this.#report.add(error)
        return { stored: rangesInState(slice, states, [taskState.stored]), lost: [], retriable: false }
      }
    }
    const stored = rangesInState(slice, states, [taskState.stored])
    if (ended) return { stored, lost: rangesInState(slice, states, [taskState.failed]), retriable: false }
    // Without a journal in the queue, tasks that were sent may be stored or not; the others are safe to retry.
    const lost = died ? rangesInState(slice, states, [taskState.sent, taskState.failed]) : []
    return { stored, lost, retriable: died }
  }

  /** The number of tasks of some messages of a slice. */
  #tasksIn(slice: Slice, parts: readonly Range[]): number {
    return sizeOf(parts.map(part => this.#source.tasksOf(slice, part)))
  }

  #stored(count: number): void {
    this.#report.inserted += count
    if (count > 0) this.#failuresInRow = 0
  }

  /** Ends the insert; a reason is recorded unless it came from a slice. */
  #end(reason: unknown): void {
    if (reason !== undefined) this.#report.add(reason)
    this.#ended = true
    this.#runner.stop()
    void this.#source.stop()
  }

  #updateProgress(): void {
    let done = this.#report.inserted
    for (const { slice, states } of this.#running) {
      done += this.#tasksIn(slice, rangesInState(slice, states, [taskState.stored]))
    }
    this.#progress.add(Math.max(0, done - this.#shown))
    this.#shown = Math.max(done, this.#shown)
  }
}

function blockSource(
  { source, total, pack }: Exclude<BulkInsertTasks, { sliceable: SliceableSequence }>,
  options: { backend: Backend; stored: readonly Range[]; threads: number; isResumed: boolean },
): BlockSource {
  const { stored, threads } = options
  if (pack === undefined) return new BlockSource(source, total, stored, threads)
  const messages = total === undefined ? undefined : Math.ceil(total / pack)
  return new BlockSource(new PackSource(source, { size: pack, ...options }), messages, stored, threads, {
    packed: true,
  })
}
