/** Reads the outcomes of a run as they come: of each task one, in bounded memory. */
import type { ResultSink } from '../backend/result-sink.js'
import { sleep } from '../time/sleep.js'
import { type ResultRecord, readRecord } from './result-record.js'

/** The outcome of one task of a run. */
export type RunResult<T = unknown> =
  | { readonly ok: true; readonly index: number; readonly id: string; readonly value: T }
  | { readonly ok: false; readonly index: number; readonly id: string; readonly error: Error }

/** Options of {@link readResults}. */
export interface ReadResultsOptions {
  /** False: end with what is there. */
  readonly wait: boolean
  /** True where no task is left in the queue. */
  readonly isEmpty: () => Promise<boolean>
  readonly signal: AbortSignal
  /** Rejects where the run will not get its whole number of tasks, because inserting them failed. */
  readonly inserting?: Promise<unknown>
}

/** Pauses between reads that found nothing, doubled up to the maximum. Milliseconds. */
const minPauseMs = 20
const maxPauseMs = 1_000

/** If a queue has been empty for this time, without new records, no worker is about to write. Milliseconds. */
const settledMs = 5_000

/**
 * Yields each outcome once, also if a task ran twice, and ends when each task of the run has one. A task whose message
 * was removed without an outcome is a failure, as soon as the queue is empty.
 *
 * @throws what `inserting` rejects with, after the outcomes that are there
 */
export async function* readResults<T>(
  sink: ResultSink,
  run: string,
  options: ReadResultsOptions,
): AsyncGenerator<RunResult<T>, void, undefined> {
  const { wait, isEmpty, signal, inserting } = options
  const seen = new IndexSet()
  let total: number | undefined
  let cursor: unknown
  let pauseMs = minPauseMs
  let changedMs = performance.now()
  let emptyFound = false
  let failed: { readonly thrown: unknown } | undefined
  inserting?.catch((thrown: unknown) => {
    failed = { thrown }
  })
  for (;;) {
    signal.throwIfAborted()
    const page = await sink.read(run, cursor)
    cursor = page.cursor
    for (const text of page.records) {
      const record = readRecord(text)
      if (record === undefined) continue
      if ('total' in record) total = record.total
      else if (seen.add(record.index)) yield resultOf<T>(record)
    }
    if (total !== undefined && seen.size >= total) return
    if (page.records.length > 0) {
      pauseMs = minPauseMs
      changedMs = performance.now()
      emptyFound = false
      continue
    }
    if (!wait) return
    if (failed !== undefined) throw failed.thrown
    if (emptyFound && total !== undefined) {
      yield* removed<T>(run, seen, total)
      return
    }
    // Then the records are read once more: the last outcome was written before its message was removed.
    emptyFound = total !== undefined && performance.now() - changedMs > settledMs && (await isEmpty())
    if (emptyFound) continue
    await sleep(pauseMs, signal)
    pauseMs = Math.min(2 * pauseMs, maxPauseMs)
  }
}

function resultOf<T>({ index, id, value, reason, attempt }: ResultRecord): RunResult<T> {
  if (reason === undefined) return { ok: true, index, id, value: value as T }
  return { ok: false, index, id, error: new Error(`Task ${id} failed at attempt ${attempt}: ${reason}`) }
}

function* removed<T>(run: string, seen: IndexSet, total: number): Generator<RunResult<T>, void, undefined> {
  for (let index = 0; index < total; index++) {
    if (seen.has(index)) continue
    const error = new Error(`Task ${index} of run ${run} was removed from the queue without an outcome`)
    yield { ok: false, index, id: '', error }
  }
}

/** A set of small integers, one bit each. */
class IndexSet {
  #bits = new Uint32Array(1024)
  size = 0

  has(index: number): boolean {
    return ((this.#bits[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0
  }

  /** False where it has the integer already. */
  add(index: number): boolean {
    const word = Math.floor(index / 32)
    if (word >= maxWords) return false
    if (word >= this.#bits.length) {
      const bits = new Uint32Array(Math.max(2 * this.#bits.length, word + 1))
      bits.set(this.#bits)
      this.#bits = bits
    }
    if (this.has(index)) return false
    this.#bits[word] = (this.#bits[word] ?? 0) | (1 << (index & 31))
    this.size++
    return true
  }
}

/** A record with a higher index than any insert reaches is foreign. 2^28 words: 8,000 million tasks. */
const maxWords = 2 ** 28
