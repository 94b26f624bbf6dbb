/**
 * The workers of this process, of all queues: a task that kills its process kills all of them. So a task that runs alone
 * runs beside no task of another worker of the process either; workers take turns for that.
 */

/** One worker. */
export interface ProcessWorker {
  /** Number of held tasks that may have started, or whose end is not yet written to the queue. */
  active(): number
  /** Called when a task or a turn of another worker has ended. */
  changed(): void
  /** Called when another worker wants to run a task alone: releases tasks that have not started. */
  withdraw(): void
}

export class ProcessWorkers {
  readonly #all = new Set<ProcessWorker>()
  /** The workers that want to run a task alone, in order: the first one runs next. */
  readonly #wanting = new Set<ProcessWorker>()

  join(worker: ProcessWorker): void {
    this.#all.add(worker)
  }

  leave(worker: ProcessWorker): void {
    this.#all.delete(worker)
    this.wantAlone(worker, false)
    this.changed(worker)
  }

  /** Sets whether the worker wants to run a task alone, or runs one. */
  wantAlone(worker: ProcessWorker, wants: boolean): void {
    if (wants === this.#wanting.has(worker)) return
    if (wants) {
      this.#wanting.add(worker)
      if (!this.isBlocked(worker)) for (const other of this.#others(worker)) other.withdraw()
    } else {
      this.#wanting.delete(worker)
      const [next] = this.#wanting
      if (next !== undefined) for (const other of this.#others(next)) other.withdraw()
      for (const other of this.#others(worker)) other.changed()
    }
  }

  /** True if it is the turn of another worker to run a task alone. */
  isBlocked(worker: ProcessWorker): boolean {
    const [first] = this.#wanting
    return first !== undefined && first !== worker
  }

  /** True if another worker has tasks that may be running. */
  othersActive(worker: ProcessWorker): boolean {
    return this.#others(worker).some(other => other.active() > 0)
  }

  /** Called when a task of this worker has ended: another one may wait for that. */
  changed(worker: ProcessWorker): void {
    if (this.#wanting.size > 0) for (const other of this.#others(worker)) other.changed()
  }

  #others(worker: ProcessWorker): ProcessWorker[] {
    return [...this.#all].filter(other => other !== worker)
  }
}

// On `globalThis` for the reason given in registry.ts: two copies of this module share the workers of their process.
const key = Symbol.for('ptq.workers.1')
const holder = globalThis as { [key]?: ProcessWorkers }
holder[key] ??= new ProcessWorkers()

/** The workers of this process. */
export const processWorkers: ProcessWorkers = holder[key]
