/** Writes the status of a worker to its queue, if the queue supports that. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Backend, WorkerStatus } from '../backend/backend.js'
import { codeName } from '../tasks/registry.js'
import type { Call } from '../threads/call.js'
import type { Run } from '../threads/run-options.js'
import { reasonOf } from './failure-reason.js'
import type { WorkRecord } from './work-record.js'

/** Often enough for a person who watches, rare enough for a network filesystem with a thousand workers. Milliseconds. */
const writeEveryMs = 5_000

/** Of very many running tasks the oldest are shown: one that hangs is among them. */
const shownTasks = 100

interface Progress {
  readonly fraction: number
  readonly note: string | undefined
}

export class StatusReporter {
  readonly #backend: Backend
  readonly #threads: number
  readonly #record: WorkRecord
  readonly #worker = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  readonly #startedAtMs = Date.now()
  /** Last progress of each running task that reported any. */
  readonly #progress = new Map<Call, Progress>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #saidFault = false
  readonly #monotonicMs: () => number
  #last: { readonly atMs: number; readonly executed: number }

  /** @param monotonicMs a clock that is never set, in milliseconds; for tests */
  constructor(backend: Backend, threads: number, record: WorkRecord, monotonicMs = () => performance.now()) {
    this.#monotonicMs = monotonicMs
    this.#last = { atMs: monotonicMs(), executed: 0 }
    this.#backend = backend
    this.#threads = threads
    this.#record = record
  }

  /** Writes the status of `run` periodically. Reads it then: recording each start and end would cost more. */
  start(run: Pick<Run, 'running'>): void {
    if (this.#backend.reportWorker === undefined) return
    this.#timer = setInterval(() => this.#write(run), writeEveryMs)
    // Must not keep the process alive.
    this.#timer.unref()
    this.#write(run)
  }

  progress(call: Call, fraction: number, note: string | undefined): void {
    this.#progress.set(call, { fraction, note })
  }

  /** Drops the progress of a task that has ended. */
  end(call: Call | undefined): void {
    if (call !== undefined && this.#progress.size > 0) this.#progress.delete(call)
  }

  /** Removes the status. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.#report(undefined)
  }

  #write(run: Pick<Run, 'running'>): void {
    this.#writing ??= this.#report(this.#status(run)).finally(() => {
      this.#writing = undefined
    })
  }

  async #report(status: WorkerStatus | undefined): Promise<void> {
    try {
      await this.#backend.reportWorker?.(this.#worker, status)
    } catch (error) {
      // The worker continues without its status.
      if (this.#saidFault) return
      this.#saidFault = true
      process.emitWarning(
        `The status of this worker could not be written to ${this.#backend.label}: ${reasonOf(error)}`,
      )
    }
  }

  #status(run: Pick<Run, 'running'>): WorkerStatus {
    const { executed, failed } = this.#record
    const nowMs = this.#monotonicMs()
    const tasksPerSecond = ((executed - this.#last.executed) * 1000) / Math.max(1, nowMs - this.#last.atMs)
    this.#last = { atMs: nowMs, executed }
    const running = run.running(shownTasks).map(({ call, startedAtMs }) => ({
      id: String(call.idSuffix),
      name: codeName(call.code),
      startedAtMs,
      fraction: this.#progress.get(call)?.fraction,
      note: this.#progress.get(call)?.note,
    }))
    return {
      host: hostname(),
      pid: process.pid,
      threads: this.#threads,
      startedAtMs: this.#startedAtMs,
      writtenAtMs: Date.now(),
      executed,
      failed,
      tasksPerSecond,
      rssMb: Math.round(process.memoryUsage.rss() / 2 ** 20),
      running,
    }
  }
}
