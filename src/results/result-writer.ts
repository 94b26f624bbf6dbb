/** Writes the outcomes of a worker's tasks: those that come while others are written go together. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { ResultSink } from '../backend/result-sink.js'

export class ResultWriter {
  readonly #sink: ResultSink
  readonly #writer = `${hostname()}.${process.pid}.${randomUUID().slice(0, 8)}`
  /** By run: records that are not being written yet, with the promise of their write. */
  readonly #waiting = new Map<string, { readonly records: string[]; readonly written: Promise<void> }>()
  /** By run: the last append. */
  readonly #appending = new Map<string, Promise<void>>()

  constructor(sink: ResultSink) {
    this.#sink = sink
  }

  /** Resolves when the record is stored. */
  write(run: string, record: string): Promise<void> {
    const waiting = this.#waiting.get(run)
    if (waiting !== undefined) {
      waiting.records.push(record)
      return waiting.written
    }
    const records = [record]
    const before = this.#appending.get(run) ?? new Promise<void>(resolve => setImmediate(resolve))
    const written = before
      // A failure is reported to the callers whose records it concerned.
      .catch(() => undefined)
      .then(() => {
        this.#waiting.delete(run)
        return this.#sink.append(run, this.#writer, records)
      })
    this.#waiting.set(run, { records, written })
    this.#appending.set(run, written)
    const forget = () => {
      if (this.#appending.get(run) === written) this.#appending.delete(run)
    }
    written.then(forget, forget)
    return written
  }
}
