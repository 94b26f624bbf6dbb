/** Keeps what a worker does where others can read it, if the queue can hold that. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Backend, WorkerStatus } from '../backend.js'
import type { Call } from '../call.js'
import { codeName } from '../registry.js'
import { reasonOf } from './failure-policy.js'
import type { WorkRecord } from './work-record.js'

/** Often enough for a person who watches, rare enough for a network filesystem with a thousand workers. Milliseconds. */
const writeEveryMs = 5_000

/** Of very many running tasks the oldest are shown: one that hangs is among them. */
const shownTasks = 100

interface RunningEntry {
  readonly startedAtMs: number
  fraction: number | undefined
  note: string | undefined
}

export class StatusReporter {
  readonly #backend: Backend
  readonly #threads: number
  readonly #record: WorkRecord
  readonly #worker = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  readonly #startedAtMs = Date.now()
  readonly #running = new Map<Call, RunningEntry>()
  readonly #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #last = { atMs: Date.now(), executed: 0 }

  constructor(backend: Backend, threads: number, record: WorkRecord) {
    this.#backend = backend
    this.#threads = threads
    this.#record = record
    if (backend.reportWorker !== undefined) {
      this.#timer = setInterval(() => this.#write(), writeEveryMs)
      // A status is no reason to keep a process alive.
      this.#timer.unref()
      this.#write()
    }
  }

  begin(call: Call): void {
    this.#running.set(call, { startedAtMs: Date.now(), fraction: undefined, note: undefined })
  }

  progress(call: Call, fraction: number, note: string | undefined): void {
    const entry = this.#running.get(call)
    if (entry === undefined) return
    entry.fraction = fraction
    entry.note = note
  }

  end(call: Call | undefined): void {
    if (call !== undefined) this.#running.delete(call)
  }

  /** How long a task has been running. Seconds. */
  ageSeconds(call: Call): number {
    const entry = this.#running.get(call)
    return entry === undefined ? 0 : (Date.now() - entry.startedAtMs) / 1000
  }

  /** Takes the status away. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.#report(undefined)
  }

  #write(): void {
    this.#writing ??= this.#report(this.#status()).finally(() => {
      this.#writing = undefined
    })
  }

  async #report(status: WorkerStatus | undefined): Promise<void> {
    try {
      await this.#backend.reportWorker?.(this.#worker, status)
    } catch (error) {
      // The work goes on without its status.
      process.emitWarning(
        `The status of this worker could not be written to ${this.#backend.label}: ${reasonOf(error)}`,
      )
    }
  }

  #status(): WorkerStatus {
    const { executed, failed } = this.#record
    const nowMs = Date.now()
    const tasksPerSecond = ((executed - this.#last.executed) * 1000) / Math.max(1, nowMs - this.#last.atMs)
    this.#last = { atMs: nowMs, executed }
    const running = [...this.#running].slice(0, shownTasks).map(([call, { startedAtMs, fraction, note }]) => ({
      id: String(call.idSuffix),
      name: codeName(call.code),
      startedAtMs,
      fraction,
      note,
    }))
    return {
      host: hostname(),
      pid: process.pid,
      threads: this.#threads,
      startedAtMs: this.#startedAtMs,
      writtenAtMs: nowMs,
      executed,
      failed,
      tasksPerSecond,
      rssMb: Math.round(process.memoryUsage.rss() / 2 ** 20),
      running,
    }
  }
}
