/**
 * Inserts in slices: lanes, one a thread, each of which has one slice inserted at a time. Ids are fixed by a seed and the
 * task's index, so that a slice can be tried again, and an upload with a name be continued.
 */
import type { Backend } from '../backend/backend.js'
import { warnUncounted } from '../backend/uncounted.js'
import type { UploadHead, UploadState, Uploads } from '../backend/uploads.js'
import { isErrorNamed, nameAndMessageOf } from '../errors/thrown.js'
import { type Progress, startProgress } from '../progress/progress.js'
import { countInserted } from '../queue/count-inserted.js'
import type { TaskSource } from '../tasks/task-source.js'
import { onAbort } from '../time/on-abort.js'
import { withFate } from './fates.js'
import { journalOf } from './journal.js'
import { type Range, sizeOf, union, without } from './ranges.js'
import { type CuttableSequence, sequenceMark } from './sequence.js'
import { fate, type QueueReference } from './slice-messages.js'
import { type Flight, HereSliceRunner, type Landing, type SliceRunner, ThreadSliceRunner } from './slice-runner.js'
import { BlockSource, CutSource, type Slice, type SliceSource } from './slice-source.js'
import { Tally } from './tally.js'
import { newSeed } from './task-ids.js'

/** How to insert in slices. */
export interface UploadPlan {
  readonly backend: Backend
  /** How threads open the queue; `undefined`: the calling thread inserts. */
  readonly queue: QueueReference | undefined
  readonly tasks: UploadTasks
  /** 0: the calling thread. */
  readonly threads: number
  /** As the backend can hold it, see `seconds.ts`. */
  readonly delaySeconds: number
  /** How many batches a thread may have under way at once. */
  readonly concurrency: number
  /** Show a bar. */
  readonly progress: boolean
  /** Leave the count of inserted tasks as it is. */
  readonly skipInsertCounter: boolean
  /** The name under which an interrupted upload goes on. */
  readonly resume: string | undefined
  /** Its abort ends the insert with an `InsertError`. */
  readonly signal: AbortSignal
}

/** What is inserted: a sequence that can be cut, or an iterable that can't. */
export type UploadTasks =
  | { readonly cuttable: CuttableSequence }
  | { readonly source: TaskSource; readonly total: number | undefined; readonly mark: string }

/** How often a slice is tried, where that is safe. */
const maxTries = 3

/** So many slices a lane that failed one after the other, of which nothing was stored: the rest would fare no better. */
const fruitlessSlices = 3

/** How often the bar is told what slices have stored so far. Milliseconds. */
const lookMs = 100

/**
 * Inserts tasks in slices. A slice that fails is reported with its range, and the others go on.
 *
 * @returns how many were inserted; of an upload that is continued, those that were missing
 * @throws InsertError with the exact counts and the ranges that failed
 */
export async function upload(plan: UploadPlan): Promise<number> {
  const { backend, resume, tasks } = plan
  const journal = backend.uploads !== undefined || resume !== undefined ? journalOf(backend) : undefined
  const total = 'cuttable' in tasks ? tasks.cuttable.sequence.length : tasks.total
  const sequence = 'cuttable' in tasks ? sequenceMark(tasks.cuttable.reference) : tasks.mark
  const begun = await begin(plan, journal, { seed: newSeed(), sequence, total })
  if (begun?.finished) return 0
  const running = new Upload(plan, total, journal, begun)
  await running.run()
  await running.count()
  await running.finish()
  return running.result()
}

async function begin(
  { backend, resume, signal }: UploadPlan,
  journal: Uploads | undefined,
  head: UploadHead,
): Promise<UploadState | undefined> {
  try {
    return await journal?.begin(resume, head, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    const tally = new Tally()
    tally.add(error)
    throw tally.failure({ label: backend.label, missing: head.total, resume })
  }
}

class Upload {
  readonly #plan: UploadPlan
  /** How many tasks were not stored at the beginning; `undefined` where nobody knows. */
  readonly #missing: number | undefined
  readonly #journal: Uploads | undefined
  readonly #begun: UploadState | undefined
  readonly #storedBefore: number
  readonly #source: SliceSource
  readonly #runner: SliceRunner
  readonly #lanes: number
  readonly #progress: Progress
  readonly #flights = new Set<Flight>()
  readonly #tally = new Tally()
  #shown = 0
  /** Slices in a row of which nothing was stored. */
  #fruitless = 0
  #isCounted = true
  #ended = false

  constructor(
    plan: UploadPlan,
    total: number | undefined,
    journal: Uploads | undefined,
    begun: UploadState | undefined,
  ) {
    const { tasks, threads, backend, queue, delaySeconds, concurrency } = plan
    const stored = union(begun?.stored ?? [])
    const settings = { seed: begun?.head.seed ?? newSeed(), run: begun?.run, delaySeconds, concurrency }
    this.#plan = plan
    this.#journal = journal
    this.#begun = begun
    this.#storedBefore = sizeOf(stored)
    this.#lanes = Math.max(1, threads)
    const { sequence, reference } = 'cuttable' in tasks ? tasks.cuttable : { sequence: undefined, reference: undefined }
    this.#source =
      'cuttable' in tasks
        ? new CutSource(tasks.cuttable.sequence.length, stored, threads)
        : new BlockSource(tasks.source, total, stored, threads)
    this.#runner =
      queue === undefined
        ? new HereSliceRunner(backend, sequence, settings)
        : new ThreadSliceRunner(queue, reference, settings)
    this.#missing = total === undefined ? undefined : total - this.#storedBefore
    this.#progress = startProgress({ label: 'Inserting', total: this.#missing, enabled: plan.progress })
  }

  async run(): Promise<void> {
    const { signal } = this.#plan
    const stopListening = onAbort(signal, () => this.#end(signal.reason))
    const look = setInterval(() => this.#show(), lookMs)
    try {
      await Promise.all(Array.from({ length: this.#lanes }, () => this.#lane()))
    } finally {
      clearInterval(look)
      stopListening()
      this.#runner.end()
      await this.#source.stop()
      this.#show()
      this.#progress.stop()
    }
    const { error } = this.#source
    if (error !== undefined) this.#tally.add(error.thrown, error.failed)
  }

  /** One write an insert, so that the counter is exact whatever else is inserting. */
  async count(): Promise<void> {
    const { backend, resume, skipInsertCounter } = this.#plan
    const stored = this.#storedBefore + this.#tally.inserted
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
        this.#tally.add(cause)
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
   * Noted before it is counted: whoever took the upload over meanwhile, so that this fails, counts all of it. If the process
   * dies between the two, which takes milliseconds, the count is too low.
   */
  async #noteCounted(stored: number): Promise<void> {
    if (this.#begun !== undefined) await this.#journal?.counted(this.#begun.run, stored)
  }

  async finish(): Promise<void> {
    const isComplete = this.#tally.isFlawless && this.#isCounted
    if (this.#begun === undefined || (this.#plan.resume !== undefined && !isComplete)) return
    try {
      await this.#journal?.finish(this.#begun.run)
    } catch (error) {
      if (isErrorNamed(error, 'UploadGoneError')) {
        this.#tally.add(error)
        return
      }
      // No error: the tasks are there, and a caller who inserted them once more would have them twice.
      const { backend, resume } = this.#plan
      const name = resume === undefined ? '' : ` The same insert with resume: '${resume}' inserts none of them again.`
      process.emitWarning(
        `The tasks are in ${backend.label}, but it could not be noted that their insert is complete: ` +
          `${nameAndMessageOf(error)}.${name}`,
        { type: 'PtqWarning', code: 'PTQ_INSERT_NOT_CLOSED' },
      )
    }
  }

  result(): number {
    const { backend, resume } = this.#plan
    const failure = this.#tally.failure({ label: backend.label, missing: this.#missing, resume })
    if (failure !== undefined) throw failure
    return this.#tally.inserted
  }

  async #lane(): Promise<void> {
    while (!this.#ended) {
      const slice = await this.#source.next()
      if (slice === undefined || this.#ended) return
      await this.#insert(slice, 1)
    }
  }

  async #insert(slice: Slice, attempt: number): Promise<void> {
    const flight = this.#runner.run(slice)
    this.#flights.add(flight)
    const landing = await flight.landed
    this.#flights.delete(flight)
    if (landing.error === undefined) {
      this.#stored(sizeOf([slice]))
      return
    }
    const { stored, retriable, lost } = await this.#aftermath(flight, landing)
    this.#stored(sizeOf(stored))
    for (const range of lost) this.#tally.fail(range, landing.error, !landing.died)
    // The rest was not tried.
    if (landing.ended) return
    const rest = without(slice, union([...stored, ...lost]))
    // A slice that gave too many tasks, or threw after its last one, is wrong although none of its own is missing.
    if (rest.length === 0 && lost.length === 0 && !landing.died && !landing.retriable) this.#tally.add(landing.error)
    for (const range of rest) {
      const again = retriable && attempt < maxTries && !this.#ended
      if (again) await this.#insert(part(slice, range), attempt + 1)
      else this.#tally.fail(range, landing.error, true)
    }
    if (sizeOf(stored) > 0) return
    this.#fruitless += 1
    if (this.#fruitless >= fruitlessSlices * this.#lanes) this.#end(undefined)
  }

  /** Of a slice that failed: what is stored, what nobody can tell of, and whether the rest may be tried again. */
  async #aftermath(
    { slice, fates }: Flight,
    { retriable, ended, died }: Landing,
  ): Promise<{ stored: Range[]; lost: Range[]; retriable: boolean }> {
    const { uploads } = this.#plan.backend
    if (uploads !== undefined && this.#begun !== undefined && !ended && (died || retriable)) {
      try {
        const stored = union(await uploads.settle(this.#begun.run, slice))
        return { stored, lost: [], retriable: true }
      } catch (error) {
        this.#tally.add(error)
        return { stored: withFate(slice, fates, [fate.stored]), lost: [], retriable: false }
      }
    }
    const stored = withFate(slice, fates, [fate.stored])
    if (ended) return { stored, lost: withFate(slice, fates, [fate.failed]), retriable: false }
    // Without a journal of the queue's own, what was sent may be there or not; what was never sent is safe to try.
    const lost = died ? withFate(slice, fates, [fate.underWay, fate.failed]) : []
    return { stored, lost, retriable: died }
  }

  #stored(count: number): void {
    this.#tally.inserted += count
    if (count > 0) this.#fruitless = 0
  }

  /** Ends the insert; with a reason, if it is not one of the slices'. */
  #end(reason: unknown): void {
    if (reason !== undefined) this.#tally.add(reason)
    this.#ended = true
    this.#runner.stop()
    void this.#source.stop()
  }

  #show(): void {
    let done = this.#tally.inserted
    for (const { fates } of this.#flights) for (const one of fates) if (one === fate.stored) done++
    this.#progress.add(Math.max(0, done - this.#shown))
    this.#shown = Math.max(done, this.#shown)
  }
}

function part(slice: Slice, { start, end }: Range): Slice {
  return { start, end, texts: slice.texts?.slice(start - slice.start, end - slice.start) }
}
