/** Compares the ledger with the queues. Pure, so that its own tests can show that it detects each fault. */

import { counted } from '#ptq/text/counted.js'
import { CopyCheck } from './copies.js'
import { faultyTasks } from './faulty-tasks.js'
import { HeldLeases } from './held-leases.js'
import { TaskHistory } from './history.js'
import type { LedgerLine } from './ledger.js'
import { PythonCounts } from './python-counts.js'
import { isCarried, isHanded, isHealthy, isPoison, isStored, isUploaded } from './tasks.js'

/** The number of inserts that each queue has counted; NaN if it keeps no count. */
interface InsertedCounts {
  readonly main: number
  readonly intake: number
  readonly transit: number
  readonly depot: number
}

/** The queue at the end, when everything ran that could. */
export interface QueueAtEnd {
  /** Keys of the tasks that are still in one of the queues. */
  readonly left: readonly string[]
  /** Keys of the dead letters. */
  readonly dead: readonly string[]
  readonly inserted: InsertedCounts
  /** The count of completions; NaN if none is kept. */
  readonly completed: number
}

export interface Findings {
  readonly tasks: number
  /** Tasks whose insert was acknowledged, and that neither ran nor are dead letters nor still queued. */
  readonly lost: number
  readonly runs: number
  /** Runs beyond the first of each task. */
  readonly duplicates: number
  /** Of those: by a worker that was killed, or that was told that its lease was lost. */
  readonly duplicatesByWorkers: number
  /**
   * Of those: of a task that a mover, a retrier or a worker that stored a dead letter left in two places when it was
   * killed.
   */
  readonly duplicatesByCopies: number
  /**
   * Of those, on SQS: an insert whose reply was lost was sent again, an upload or a `ptq mv` was interrupted in a
   * batch.
   */
  readonly duplicatesBySending: number
  /** Of those, on SQS: deleted by a worker whose lease had just ended, which SQS does not report. */
  readonly duplicatesByLateDeletes: number
  readonly leasesLost: number
  readonly failedAttempts: number
  readonly retries: number
  /** Tasks and runs of Python processes, included above. */
  readonly python: { readonly tasks: number; readonly runs: number }
  /** Copies of the live queue that were finished and compared. */
  readonly liveCopies: number
  readonly deadLetters: number
  /** Signals by role, e.g. `SIGKILL worker` → 12. */
  readonly signals: ReadonlyMap<string, number>
  /** Faults of the SQS server by kind. */
  readonly faults: ReadonlyMap<string, number>
  /** The queues' own counts; NaN if they keep none. */
  readonly counts: { readonly inserted: InsertedCounts; readonly completed: number }
  /** Sentences about what must not be; empty: every promise was kept. */
  readonly violations: readonly string[]
}

/** See {@link Reconciliation}. */
interface ReconciliationOptions {
  readonly isExact?: boolean
  readonly isLocal?: boolean
  readonly hasPacks?: boolean
}

/** Tasks that a killed `ptq mv` may leave uncounted, see docs/cli.md. */
const UNCOUNTED_BY_KILLED_MOVE = 1_000

/** Completions that a killed worker may leave uncounted over a network, or of packs, see docs/workers.md. */
const UNCOUNTED_BY_KILLED_WORKER = 100

const LOST = 'tasks were lost'

/** Takes the ledger line by line. The order matters for copies of the live queue alone. */
export class Reconciliation {
  readonly #histories = new Map<string, TaskHistory>()
  readonly #killed = new Set<number>()
  readonly #fromFiles = new Set<number>()
  readonly #signals = new Map<string, number>()
  readonly #faults = new Map<string, number>()
  readonly #copies = new CopyCheck()
  readonly #leases = new HeldLeases()
  readonly #python = new PythonCounts()
  readonly #isExact: boolean
  readonly #isLocal: boolean
  readonly #hasPacks: boolean
  #inserted = 0
  #runs = 0

  /**
   * @param options.isExact false: the queue, as SQS, can hold a task twice that was sent twice
   * @param options.isLocal false: the queue is reached through a network
   * @param options.hasPacks tasks may be in packs: `done` comes before the message is written without the task, so that the death of a
   *   worker repeats tasks that were done; and a lease is older than `held`
   */
  constructor({ isExact = true, isLocal = isExact, hasPacks = false }: ReconciliationOptions = {}) {
    this.#isExact = isExact
    this.#hasPacks = hasPacks
    this.#isLocal = isLocal
  }

  /** Tasks whose insert was acknowledged, so far. */
  get inserted(): number {
    return this.#inserted
  }

  /** Runs so far. */
  get runs(): number {
    return this.#runs
  }

  read(lines: Iterable<LedgerLine>): void {
    for (const { verb, processNumber, what, timeMs } of lines) {
      this.#python.read(verb, processNumber, what)
      if (this.#leases.read(verb, processNumber, what, timeMs)) continue
      if (verb === 'python' || verb === 'counting' || verb === 'counted') continue
      if (verb === 'SIGKILL' || verb === 'SIGTERM' || verb === 'SIGSTOP') {
        for (const role of what) addTo(this.#signals, `${verb} ${role}`)
        if (verb === 'SIGKILL') this.#killed.add(processNumber)
        continue
      }
      if (verb === 'fromFiles') {
        this.#fromFiles.add(processNumber)
        continue
      }
      if (verb === 'fault') {
        for (const kind of what) addTo(this.#faults, kind)
        continue
      }
      if (this.#copies.read(verb, what, key => this.#hasRun(key))) continue
      if (verb === 'run') this.#runs += what.length
      for (const key of what) {
        const history = this.#historyOf(key)
        // An upload that was cut off is acknowledged once more.
        if (verb === 'inserted' && !history.inserted) this.#inserted++
        history.add(verb, processNumber)
      }
    }
  }

  findings(atEnd: QueueAtEnd): Findings {
    const isDead = new Set(atEnd.dead)
    const isLeft = new Set(atEnd.left)
    const broken = new Map<string, string[]>()
    const violate = (what: string, key: string) => {
      const keys = broken.get(what)
      if (keys === undefined) broken.set(what, [key])
      else keys.push(key)
    }
    let tasks = 0
    const possible = { main: 0, intake: 0, transit: 0, depot: 0 }
    const acknowledged = { main: 0, intake: 0, transit: 0, depot: 0 }
    const events = { moving: 0, copied: 0, done: 0, failed: 0, lost: 0, retried: 0 }
    let duplicates = 0
    let duplicatesByWorkers = 0
    let duplicatesByCopies = 0
    let duplicatesBySending = 0
    let duplicatesByLateDeletes = 0
    let distinctDone = 0
    for (const key of atEnd.left) violate('tasks were left in the queue', key)
    for (const key of isDead) if (!isPoison(key)) violate('dead letters should have succeeded', key)
    for (const [key, history] of this.#histories) {
      const runs = history.processes('run')
      const place = isHanded(key) ? 'intake' : isCarried(key) ? 'transit' : isStored(key) ? 'depot' : 'main'
      if (history.inserted) tasks++
      if (history.intended > 0) possible[place]++
      // The count of an upload that was cut off may stay behind.
      if (history.inserted && (!isUploaded(key) || history.intended === 1)) acknowledged[place]++
      if (this.#isExact && this.#hasSilentRun(history)) violate('tasks ran, and then no word of them', key)
      for (const verb of Object.keys(events) as (keyof typeof events)[]) events[verb] += history.count(verb)
      if (history.count('done') > 0) distinctDone++
      if (history.inserted && runs.length === 0 && !isDead.has(key) && !isLeft.has(key)) violate(LOST, key)
      if (history.intended === 0 && runs.length > 0) violate('tasks ran that nobody inserted', key)
      if (isHealthy(key) && history.count('dead') + history.count('retrying') > 0)
        violate('healthy tasks were among the dead letters', key)
      if (runs.length < 2) continue
      const reasons = this.#reasonsOf(key, history, isDead.has(key))
      let surplus = runs.length - 1
      duplicates += surplus
      const explain = (most: number): number => {
        const explained = Math.min(surplus, most)
        surplus -= explained
        return explained
      }
      duplicatesByWorkers += explain(reasons.excused)
      duplicatesByCopies += explain(reasons.copies)
      duplicatesBySending += explain(reasons.sent)
      duplicatesByLateDeletes += explain(reasons.late)
      if (surplus > 0) violate('tasks ran twice without a kill or a lost lease', key)
    }
    const violations = [...broken].map(([what, keys]) => faultyTasks(keys, what))
    // A task that is moved is counted where it was first, and where it is now.
    const uncounted = UNCOUNTED_BY_KILLED_MOVE * (this.#signals.get('SIGKILL ptq-mv') ?? 0)
    possible.depot += possible.transit
    acknowledged.depot += Math.max(0, acknowledged.transit - uncounted)
    possible.main += events.moving + possible.depot
    acknowledged.main += events.copied + Math.max(0, acknowledged.depot - uncounted)
    // A task that changes from one pack to another may be passed over.
    if (!this.#hasPacks) violations.push(...this.#copies.faults)
    // Counts of Python and ptq overwrite each other: fewer are certain.
    const { isAny, certain } = this.#python
    if (isAny) Object.assign(acknowledged, certain)
    // Python's late workers take leases away; SQS and a network may answer too late.
    else if (this.#isLocal && !this.#hasPacks) violations.push(...this.#leases.faults)
    for (const place of ['main', 'intake', 'transit', 'depot'] as const) {
      const inserted = atEnd.inserted[place]
      const what = `inserted of ${place} is ${inserted}`
      if (inserted > possible[place])
        violations.push(`${what}, ahead of the ${counted(possible[place], 'task')} there were`)
      if (inserted < acknowledged[place])
        violations.push(`${what}, behind the ${acknowledged[place]} that were acknowledged`)
    }
    if (atEnd.completed > this.#runs)
      violations.push(`completed is ${atEnd.completed}, ahead of ${counted(this.#runs, 'run')}`)
    const killedWorkers = (this.#signals.get('SIGKILL worker') ?? 0) + (this.#signals.get('SIGKILL poison') ?? 0)
    const mayMiss = this.#isLocal && !this.#hasPacks ? 0 : UNCOUNTED_BY_KILLED_WORKER * killedWorkers
    const done = this.#hasPacks ? distinctDone : events.done
    if (atEnd.completed < done - mayMiss)
      violations.push(`completed is ${atEnd.completed}, behind the ${done} that were acknowledged`)
    return {
      tasks,
      lost: broken.get(LOST)?.length ?? 0,
      runs: this.#runs,
      duplicates,
      duplicatesByWorkers,
      duplicatesByCopies,
      duplicatesBySending,
      duplicatesByLateDeletes,
      leasesLost: events.lost,
      failedAttempts: events.failed,
      retries: events.retried,
      python: { tasks: this.#python.tasks, runs: this.#python.runs },
      liveCopies: this.#copies.compared,
      deadLetters: atEnd.dead.length,
      signals: this.#signals,
      faults: this.#faults,
      counts: { inserted: atEnd.inserted, completed: atEnd.completed },
      violations,
    }
  }

  /**
   * One copy of a task may be completed by one worker that neither died nor lost the lease. `excused`: further runs, by
   * workers that did. `copies`: further copies, by processes that were killed between the two steps of a move: first
   * into the new place, then out of the old one. `sent`, `late`: duplicates that SQS can't prevent.
   */
  #reasonsOf(key: string, history: TaskHistory, isDead: boolean): Reasons {
    const finished = new Map<number, number>()
    for (const processNumber of history.processes('done'))
      finished.set(processNumber, (finished.get(processNumber) ?? 0) + 1)
    const lost = new Set(history.processes('lost'))
    let excused = 0
    for (const processNumber of history.processes('run')) {
      const left = this.#python.isPython(processNumber) ? 0 : (finished.get(processNumber) ?? 0)
      // It deleted the task that it ran: no reason to run that again.
      if (left > 0 && !(this.#hasPacks && this.#killed.has(processNumber))) finished.set(processNumber, left - 1)
      else if (this.#mayLeave(processNumber) || lost.has(processNumber)) excused++
    }
    const wasDead = isDead || history.count('dead') > 0 || history.count('retrying') > 0
    // A worker that dies between storing the rest of a pack and writing the pack without it leaves the rest in both.
    const buriers =
      wasDead || this.#hasPacks
        ? history.processes('held').filter(processNumber => this.#killed.has(processNumber)).length
        : 0
    const moves = history.count('moving') - history.count('moved')
    const retries = history.count('retrying') - history.count('retried')
    const copies = moves + retries + buriers
    if (this.#isExact) return { excused, copies, sent: 0, late: 0 }
    const cutUploads = isUploaded(key) ? history.intended - 1 : 0
    const sent = history.count('resent') + cutUploads + this.#cutMovesOf(history)
    return { excused, copies, sent, late: history.count('late') }
  }

  /**
   * The number of times that `ptq mv`, and workers that released it, sent it and did not delete it in the old place.
   * Two copies may be in one request.
   */
  #cutMovesOf(history: TaskHistory): number {
    const leavers = new Set(history.processes('stayed'))
    const cutBy = (processNumber: number) =>
      this.#fromFiles.has(processNumber)
        ? Number(leavers.has(processNumber))
        : history.countAfter(processNumber, 'sent', 'removed')
    return [...new Set(history.processes('sent'))].reduce((cut, processNumber) => cut + cutBy(processNumber), 0)
  }

  /**
   * True if a worker ran it that was not killed, and was told neither that it is deleted nor that the lease was lost.
   */
  #hasSilentRun(history: TaskHistory): boolean {
    const ended = [...history.processes('done'), ...history.processes('lost')]
    return history.processes('run').some(processNumber => {
      const at = ended.indexOf(processNumber)
      if (at >= 0) ended.splice(at, 1)
      return at < 0 && !this.#mayLeave(processNumber)
    })
  }

  /**
   * True if a task that this process ran may still be in the queue: it was killed, or is Python, which removes the
   * names in its record.
   */
  #mayLeave(processNumber: number): boolean {
    return this.#killed.has(processNumber) || this.#python.isPython(processNumber)
  }

  #hasRun(key: string): boolean {
    const history = this.#histories.get(key)
    return history !== undefined && history.count('run') + history.count('failed') > 0
  }

  #historyOf(key: string): TaskHistory {
    const known = this.#histories.get(key)
    if (known !== undefined) return known
    const history = new TaskHistory()
    this.#histories.set(key, history)
    return history
  }
}

/** The maximum number of further runs of a task that each reason explains. */
interface Reasons {
  readonly excused: number
  readonly copies: number
  readonly sent: number
  readonly late: number
}

function addTo(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** All at once, for a ledger that is at its end. */
export function reconcile(
  lines: Iterable<LedgerLine>,
  atEnd: QueueAtEnd,
  options: ReconciliationOptions = {},
): Findings {
  const reconciliation = new Reconciliation(options)
  reconciliation.read(lines)
  return reconciliation.findings(atEnd)
}
