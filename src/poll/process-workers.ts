/**
 * The workers of this process, of all queues: a task that may kill its worker kills all of them. So one that runs alone
 * runs beside no task of another worker of the process either; workers that want that take turns.
 */

/** One worker. */
export interface ProcessWorker {
  /** How many tasks it holds that it may have begun, or whose end its queue doesn't know yet. */
  active(): number
  /** A task or a turn of another worker has ended. */
  changed(): void
  /** Another one wants to run a task alone: what was leased and has not begun is in its way. */
  withdraw(): void
}

export class ProcessWorkers {
  readonly #all = new Set<ProcessWorker>()
  /** Those that want to run a task alone, in their order: it is the first one's turn. */
  readonly #wanting = new Set<ProcessWorker>()

  join(worker: ProcessWorker): void {
    this.#all.add(worker)
  }

  leave(worker: ProcessWorker): void {
    this.#all.delete(worker)
    this.wantAlone(worker, false)
    this.changed(worker)
  }

  /** The worker wants to run a task alone, or runs one; or does so no more. */
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

  /** Whether it is the turn of another worker to run a task alone. */
  isBlocked(worker: ProcessWorker): boolean {
    const [first] = this.#wanting
    return first !== undefined && first !== worker
  }

  /** Whether another worker has tasks that may be running. */
  othersActive(worker: ProcessWorker): boolean {
    return this.#others(worker).some(other => other.active() > 0)
  }

  /** A task of this worker has ended: another one may have waited for that. */
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

/** Those of this process. */
export const processWorkers: ProcessWorkers = holder[key]
