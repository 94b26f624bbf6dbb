/**
 * Keeps tasks that may kill their worker apart from the others. When a worker dies, all tasks that it held come back with
 * one more death, and one of them may be to blame. Therefore the more deaths a task has had, the fewer tasks a worker holds
 * beside it, until it runs alone: a death then counts as an attempt, see {@link endedAttempts}. A task is held from its
 * lease until the queue knows how it ended, since one whose removal is under way when the worker dies has died with it.
 */
import type { LeasedTask } from '../queue/queued-task.js'
import { type ProcessWorker, ProcessWorkers } from './process-workers.js'

/** How many tasks a worker may hold with a task that has had 0, 1, 2 deaths; with more, that one alone. */
const maxHeldByDeaths = [Number.POSITIVE_INFINITY, 64, 8] as const

/** How many tasks may be held together with a task that has had so many deaths, itself included. */
function maxHeldWith({ deaths }: LeasedTask): number {
  return maxHeldByDeaths[deaths] ?? 1
}

/** How many attempts of a task count: those that failed, and those in which its worker died while it ran nothing else. */
export function endedAttempts(task: LeasedTask): number {
  return task.attempt - 1 - task.deaths + deathsAlone(task)
}

/** How many deaths a task has had while it ran alone. */
export function deathsAlone({
  deaths,
  deathsAlone = Math.max(0, deaths - maxHeldByDeaths.length),
}: LeasedTask): number {
  return deathsAlone
}

/** Whether a task is to be run beside nothing else. */
export function mustRunAlone(task: LeasedTask): boolean {
  return maxHeldWith(task) === 1
}

/** What becomes of tasks that were just leased. */
export interface Decision {
  /** May be run now. */
  readonly run: readonly LeasedTask[]
  /** To be given back: there is no room for them. */
  readonly giveBack: readonly LeasedTask[]
  /** To be given back and marked: they are run once somebody has leased them with that mark. */
  readonly mark: readonly LeasedTask[]
}

export class PoisonGuard {
  readonly #workers: ProcessWorkers
  readonly #worker: ProcessWorker
  readonly #marksByRelease: boolean
  /** The number of tasks held, those of the look under way included. */
  readonly #held: () => number
  /** Held tasks that have had deaths. */
  readonly #tasksWithDeaths = new Set<LeasedTask>()
  /** Has to wait until fewer are held. */
  #waiting: LeasedTask | undefined
  /** How many tasks may be held. */
  #room = Number.POSITIVE_INFINITY
  /** How many tasks the next look may ask for: few after one that brought more than there was room for. */
  #limit = Number.POSITIVE_INFINITY
  /** A task that only a worker that holds nothing may run was met: nothing is leased until that is so. */
  #drains = false

  /**
   * @param options.marksByRelease see `capabilities.releasesAlone`
   * @param options.held how many tasks are held, those included of whose end the queue doesn't know yet
   * @param options.workers those of this process. Default: this is the only one
   * @param options.changed called where {@link mustWait} may have become false by what another worker did
   * @param options.withdraw has what was leased and has not begun given back
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
    // A task that waits has not begun: two workers with one each must not wait for each other.
    this.#worker = { active: () => held() - (this.#waiting === undefined ? 0 : 1), changed, withdraw }
    workers.join(this.#worker)
  }

  /** The worker has ended. */
  close(): void {
    this.#workers.leave(this.#worker)
  }

  /** Whether nothing may be begun or leased until a task has ended. */
  get mustWait(): boolean {
    if (this.#workers.isBlocked(this.#worker)) return true
    if (this.#wantsAlone && this.#workers.othersActive(this.#worker)) return true
    if (this.#waiting !== undefined) return this.#held() > Math.min(this.#room, maxHeldWith(this.#waiting))
    const held = this.#held()
    return this.#drains ? held > 0 : held >= this.#room
  }

  /** Whether a task waits until fewer are held: what was leased and has not begun is in its way. */
  get isDraining(): boolean {
    return this.#waiting !== undefined || this.#drains || this.#workers.isBlocked(this.#worker)
  }

  /** How many tasks to ask for, once nothing has to be waited for. */
  limit(max: number): number {
    this.#drains = false
    return Math.min(max, this.#limit, this.#room - this.#held())
  }

  /** Whether a task is held that waits until fewer are held. */
  get hasWaiting(): boolean {
    return this.#waiting !== undefined
  }

  /** The task that had to wait, if its turn has come. */
  takeWaiting(): LeasedTask | undefined {
    const task = this.#waiting
    if (task === undefined || this.mustWait) return undefined
    this.#waiting = undefined
    this.#add(task)
    this.#notifyOthers()
    return task
  }

  /** A look at the queue brought nothing. */
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
      return { run: tasks, giveBack: [], mark: [] }
    }
    // First those that have had most deaths. What can't be held together with them is given back, most of all fresh tasks.
    const ordered = [...tasks].sort((one, other) => other.deaths - one.deaths)
    const others = this.#held() - tasks.length
    const run: LeasedTask[] = []
    const giveBack: LeasedTask[] = []
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
        giveBack.push(task)
      } else if (task.alone) {
        // Should this worker die before it is idle, that would count against the task.
        giveBack.push(task)
        this.#drains = true
      } else {
        this.#waiting = task
      }
    }
    this.#limit = giveBack.length > 0 ? Math.max(1, run.length) : this.#limit * 2
    return { run, giveBack, mark }
  }

  /** Whether a task runs alone, or is to do so next. */
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

  /** The queue knows how a task ended, or it is not ours any more. */
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
