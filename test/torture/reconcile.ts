/** Compares what the ledger says with what the queue says. Pure, so that its own tests can show that it sees each fault. */
import type { LedgerLine } from './ledger.js'
import { kindOf } from './tasks.js'

/** The queue at the end, when everything ran that could. */
export interface QueueAtEnd {
  /** Keys of the tasks that are still in the queue or the intake. */
  readonly left: readonly string[]
  /** Keys of the dead letters. */
  readonly dead: readonly string[]
  /** The queue's count of inserted tasks, with that of the intake; NaN where it keeps none. */
  readonly inserted: number
  /** Its count of completions; NaN where it keeps none. */
  readonly completed: number
}

export interface Findings {
  readonly tasks: number
  readonly runs: number
  /** Runs beyond the first of each task. */
  readonly duplicates: number
  /** Of those: by a worker that was killed, or told that its lease was lost. */
  readonly duplicatesByWorkers: number
  /** Of those: of a task that a mover, a retrier or a worker that buried it left in two places when it was killed. */
  readonly duplicatesByCopies: number
  readonly leasesLost: number
  readonly failedAttempts: number
  readonly deadLetters: number
  /** Signals by role, e.g. `SIGKILL worker` → 12. */
  readonly signals: ReadonlyMap<string, number>
  /** Sentences about what must not be; empty: every promise was kept. */
  readonly violations: readonly string[]
}

/** A set of counts by key. */
class Tally extends Map<string, number> {
  add(key: string): void {
    this.set(key, this.of(key) + 1)
  }

  of(key: string): number {
    return this.get(key) ?? 0
  }
}

/** At most this many keys are named in a violation. */
const SHOWN = 5

export function reconcile(lines: Iterable<LedgerLine>, atEnd: QueueAtEnd): Findings {
  const intended = new Set<string>()
  const inserted = new Set<string>()
  /** Pids of the workers that ran a task, in order. */
  const runs = new Map<string, number[]>()
  const holders = new Map<string, Set<number>>()
  const lost = new Set<string>()
  const done = new Tally()
  const copied = new Tally()
  const moving = new Tally()
  const moved = new Tally()
  const retrying = new Tally()
  const retried = new Tally()
  const dead = new Set(atEnd.dead)
  const killed = new Set<number>()
  const signals = new Tally()
  let failedAttempts = 0
  const handlers: Record<LedgerLine['verb'], (key: string, pid: number) => void> = {
    intend: key => intended.add(key),
    inserted: key => inserted.add(key),
    held: (key, pid) => holders.set(key, (holders.get(key) ?? new Set()).add(pid)),
    run: (key, pid) => runs.set(key, [...(runs.get(key) ?? []), pid]),
    done: key => done.add(key),
    lost: (key, pid) => lost.add(`${key} ${pid}`),
    failed: () => {
      failedAttempts++
    },
    dead: key => dead.add(key),
    moving: key => moving.add(key),
    copied: key => copied.add(key),
    moved: key => moved.add(key),
    retrying: key => retrying.add(key),
    retried: key => retried.add(key),
    SIGKILL: (role, pid) => {
      signals.add(`SIGKILL ${role}`)
      killed.add(pid)
    },
    SIGTERM: role => signals.add(`SIGTERM ${role}`),
    SIGSTOP: role => signals.add(`SIGSTOP ${role}`),
  }
  for (const { verb, pid, what } of lines) for (const key of what) handlers[verb](key, pid)

  const violations: string[] = []
  const violate = (what: string, keys: readonly string[]) => {
    if (keys.length > 0) violations.push(`${keys.length} ${what}: ${keys.slice(0, SHOWN).join(' ')}`)
  }
  const left = new Set(atEnd.left)
  const isDead = new Set(atEnd.dead)
  violate(
    'tasks were lost',
    [...inserted].filter(key => !runs.has(key) && !isDead.has(key)),
  )
  violate('tasks were left in the queue', [...left])
  violate(
    'tasks ran that nobody inserted',
    [...runs.keys()].filter(key => !intended.has(key)),
  )
  violate(
    'dead letters should have succeeded',
    [...isDead].filter(key => kindOf(key) !== 'p'),
  )

  // One copy of a task may be run to its end by one worker that neither died nor lost the lease. More copies come from
  // whoever was killed between the two steps of a move: first to the new place, then away from the old one.
  let allRuns = 0
  let duplicates = 0
  let duplicatesByWorkers = 0
  const unexplained: string[] = []
  for (const [key, pids] of runs) {
    allRuns += pids.length
    if (pids.length === 1) continue
    duplicates += pids.length - 1
    const excused = pids.filter(pid => killed.has(pid) || lost.has(`${key} ${pid}`)).length
    const buriers =
      dead.has(key) || retrying.has(key) ? [...(holders.get(key) ?? [])].filter(pid => killed.has(pid)).length : 0
    const copies = moving.of(key) - moved.of(key) + (retrying.of(key) - retried.of(key)) + buriers
    const surplus = pids.length - excused - 1
    duplicatesByWorkers += Math.min(pids.length - 1, excused)
    if (surplus > copies) unexplained.push(key)
  }
  violate('tasks ran twice without a kill or a lost lease', unexplained)

  const sum = (tally: Tally) => [...tally.values()].reduce((all, one) => all + one, 0)
  // A task that is moved is counted where it was first, and where it is now.
  const acknowledged = inserted.size + sum(copied)
  const possible = intended.size + sum(moving)
  if (atEnd.inserted > possible)
    violations.push(`inserted is ${atEnd.inserted}, ahead of the ${possible} tasks there were`)
  const uninterrupted = [...inserted].filter(key => !key.includes('-upload')).length + sum(copied)
  if (atEnd.inserted < uninterrupted) {
    violations.push(
      `inserted is ${atEnd.inserted}, behind the ${uninterrupted} (${acknowledged}) that were acknowledged`,
    )
  }
  const acknowledgedDone = sum(done)
  if (atEnd.completed > allRuns) violations.push(`completed is ${atEnd.completed}, ahead of ${allRuns} runs`)
  if (atEnd.completed < acknowledgedDone) {
    violations.push(`completed is ${atEnd.completed}, behind the ${acknowledgedDone} that were acknowledged`)
  }
  return {
    tasks: inserted.size,
    runs: allRuns,
    duplicates,
    duplicatesByWorkers,
    duplicatesByCopies: duplicates - duplicatesByWorkers - unexplained.length,
    leasesLost: lost.size,
    failedAttempts,
    deadLetters: atEnd.dead.length,
    signals,
    violations,
  }
}
