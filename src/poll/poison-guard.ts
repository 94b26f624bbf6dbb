/**
 * Isolates tasks that may kill their worker. When a worker dies, all tasks that it held are leased again with one more
 * death, and one of them may be the cause. So the more deaths a task has had, the fewer tasks a worker holds beside it,
 * until it runs alone: a death then counts as an attempt, see {@link endedAttempts}. A task is held from its lease until its
 * end is written to the queue, since a task whose deletion is pending when the worker dies gets a death too.
 */
import { aloneAfter, type LeasedTask } from '../queue/queued-task.js'
import { type ProcessWorker, ProcessWorkers } from './process-workers.js'

/** Most tasks that a worker may hold with a task that has had 0, 1, 2 deaths; with more deaths it runs alone. */
const maxHeldByDeaths = [Number.POSITIVE_INFINITY, 64, 8] as const

/** Most tasks that may be held with this task, itself included. */
function maxHeldWith({ deaths }: LeasedTask): number {
  return maxHeldByDeaths[deaths] ?? 1
}

/** Number of attempts that count: those that failed, and those in which the worker died while it ran nothing else. */
export function endedAttempts(task: LeasedTask): number {
  // A pack ran alone, but none of its tasks did.
  return task.attempt - 1 - task.deaths + (task.count > 1 ? 0 : deathsAlone(task))
}

/** Number of deaths while the task ran alone. */
export function deathsAlone({ deaths, deathsAlone = Math.max(0, deaths - aloneAfter) }: LeasedTask): number {
  return deathsAlone
}

/** True if a task must run alone. */
export function mustRunAlone(task: LeasedTask): boolean {
  return maxHeldWith(task) === 1
}

/** A decision on tasks that were just leased. */
export interface Decision {
  /** May be run now. */
  readonly run: readonly LeasedTask[]
  /** To be released: there is no room for them. */
  readonly release: readonly LeasedTask[]
  /** To be released with a mark: a worker that leases them with the mark runs them. */
  readonly mark: readonly LeasedTask[]
}

export class PoisonGuard {
  readonly #workers: ProcessWorkers
  readonly #worker: ProcessWorker
  readonly #marksByRelease: boolean
  /** Number of held tasks, including those of the current lease request. */
  readonly #held: () => number
  /** Held tasks that have had deaths. */
  readonly #tasksWithDeaths = new Set<LeasedTask>()
  /** A task that waits until fewer are held. */
  #waiting: LeasedTask | undefined
  /** Most tasks that may be held. */
  #room = Number.POSITIVE_INFINITY
  /** Most tasks in the next lease request: few after one that brought more than there was room for. */
  #limit = Number.POSITIVE_INFINITY
  /** A task was leased that only an idle worker may run: nothing is leased until this worker is idle. */
  #drains = false

  /**
   * @param options.marksByRelease see `capabilities.releasesAlone`
   * @param options.held number of held tasks, including those whose end is not yet written to the queue
   * @param options.workers the workers of this process. Default: this is the only one
   * @param options.changed called when another worker may have made {@link mustWait} false
   * @param options.withdraw releases tasks that have not started
   */
  constructor(options: {
    marksByRelease: boolean
    held: () => number
    workers?: ProcessWorkers
    changed?: () => void
    withdraw?: () => void
  }) {
    const { held, workers = new ProcessWorkers(), changed = () => undefined, withdraw = () => undefined } = options
    this.#marksByRelease = options.marksByRelease
    this.#held = held
    this.#workers = workers
    // A waiting task has not started: two workers with one each must not wait for each other.
    this.#worker = { active: () => held() - (this.#waiting === undefined ? 0 : 1), changed, withdraw }
    workers.join(this.#worker)
  }

  /** The worker has ended. */
  close(): void {
    this.#workers.leave(this.#worker)
  }

  /** True if nothing may be started or leased until a task has ended. */
  get mustWait(): boolean {
    if (this.#workers.isBlocked(this.#worker)) return true
    if (this.#wantsAlone && this.#workers.othersActive(this.#worker)) return true
    if (this.#waiting !== undefined) return this.#held() > Math.min(this.#room, maxHeldWith(this.#waiting))
    const held = this.#held()
    return this.#drains ? held > 0 : held >= this.#room
  }

  /** True if a task waits until fewer are held: tasks that have not started should be released. */
  get isDraining(): boolean {
    return this.#waiting !== undefined || this.#drains || this.#workers.isBlocked(this.#worker)
  }

  /** Number of tasks to lease, once `mustWait` is false. */
  limit(max: number): number {
    this.#drains = false
    return Math.min(max, this.#limit, this.#room - this.#held())
  }

  /** True if a held task waits until fewer are held. */
  get hasWaiting(): boolean {
    return this.#waiting !== undefined
  }

  /** The waiting task, if it may start now. */
  takeWaiting(): LeasedTask | undefined {
    const task = this.#waiting
    if (task === undefined || this.mustWait) return undefined
    this.#waiting = undefined
    this.#add(task)
    this.#notifyOthers()
    return task
  }

  /** Called when a lease request found nothing. */
  leasedNothing(): void {
    this.#notifyOthers()
  }

  /** Decides on tasks that were just leased and are held now. */
  choose(tasks: readonly LeasedTask[]): Decision {
    const choice = this.#choose(tasks)
    this.#notifyOthers()
    return choice
  }

  #choose(tasks: readonly LeasedTask[]): Decision {
    const isFree = this.#room === Number.POSITIVE_INFINITY && !this.isDraining
    if (isFree && tasks.every(({ deaths }) => deaths === 0)) {
      this.#limit *= 2
      return { run: tasks, release: [], mark: [] }
    }
    // Tasks with most deaths first. Those that can't be held with them are released, tasks without deaths first.
    const ordered = [...tasks].sort((one, other) => other.deaths - one.deaths)
    const others = this.#held() - tasks.length
    const run: LeasedTask[] = []
    const release: LeasedTask[] = []
    const mark: LeasedTask[] = []
    for (const task of ordered) {
      if (this.#marksByRelease && mustRunAlone(task) && !task.alone) {
        mark.push(task)
      } else if (
        !this.isDraining &&
        others + run.length < Math.min(this.#room, maxHeldWith(task)) &&
        !(mustRunAlone(task) && this.#workers.othersActive(this.#worker))
      ) {
        this.#add(task)
        run.push(task)
      } else if (task.deaths === 0 || run.length > 0 || this.isDraining) {
        release.push(task)
      } else if (task.alone) {
        // If this worker dies before it is idle, that must not count against the task.
        release.push(task)
        this.#drains = true
      } else {
        this.#waiting = task
      }
    }
    this.#limit = release.length > 0 ? Math.max(1, run.length) : this.#limit * 2
    return { run, release, mark }
  }

  /** True if a task runs alone, or will next. */
  get #wantsAlone(): boolean {
    return this.#drains || this.#room === 1 || (this.#waiting !== undefined && mustRunAlone(this.#waiting))
  }

  #notifyOthers(): void {
    this.#workers.wantAlone(this.#worker, this.#wantsAlone)
  }

  #add(task: LeasedTask): void {
    if (task.deaths === 0) return
    this.#tasksWithDeaths.add(task)
    this.#room = Math.min(this.#room, maxHeldWith(task))
  }

  /** Called when the end of a task is written to the queue, or its lease is lost. */
  settled(task: LeasedTask): void {
    if (this.#waiting === task) this.#waiting = undefined
    if (this.#tasksWithDeaths.delete(task)) {
      this.#room = Number.POSITIVE_INFINITY
      for (const other of this.#tasksWithDeaths) this.#room = Math.min(this.#room, maxHeldWith(other))
    }
    this.#notifyOthers()
    this.#workers.changed(this.#worker)
  }
}
