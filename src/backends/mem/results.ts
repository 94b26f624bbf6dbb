/** The outcomes of runs, in memory. */
import type { ResultPage, ResultSink } from '../../backend/result-sink.js'

/** Records a page. */
const pageSize = 1_000

export class MemResults implements ResultSink {
  readonly #runs = new Map<string, string[]>()

  async append(run: string, _writer: string, records: readonly string[]): Promise<void> {
    const kept = this.#runs.get(run) ?? []
    for (const record of records) kept.push(record)
    this.#runs.set(run, kept)
  }

  async read(run: string, cursor: unknown): Promise<ResultPage> {
    const start = typeof cursor === 'number' ? cursor : 0
    const records = this.#runs.get(run)?.slice(start, start + pageSize) ?? []
    return { records, cursor: start + records.length }
  }

  async runs(): Promise<readonly string[]> {
    return [...this.#runs.keys()]
  }

  async drop(run: string): Promise<void> {
    this.#runs.delete(run)
  }

  /** Removes all runs. */
  clear(): void {
    this.#runs.clear()
  }
}
