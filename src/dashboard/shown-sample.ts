/** A sample as it is sent to pages: bounded, and fit to be shown. */
import type { WorkerStatus } from '../index.js'
import { goneFrom } from '../overview/overview.js'
import { bySilence, hasEnded } from '../overview/silent-workers.js'
import { printable } from '../text/printable.js'
import type { Sample } from './sampler.js'

/** More are counted, and not sent: a page of a thousand workers can't be read, and would be sent every two seconds. */
const maxWorkers = 200
const maxRunning = 20
/** Of names and notes. Characters. */
const maxText = 200

/** What a page shows of a sample; times are ages in seconds, since clocks of browsers differ. */
export function shownSample({ atMs, overview, workers, tasksPerSecond, problem, isMissing }: Sample) {
  return {
    atMs,
    problem,
    isMissing,
    tasksPerSecond,
    counts: overview && {
      approximate: overview.approximate,
      waiting: overview.enqueued - overview.leased - overview.delayed,
      enqueued: overview.enqueued,
      messages: overview.messages,
      running: overview.leased,
      delayed: overview.delayed,
      inserted: overview.inserted,
      completed: overview.completed,
      gone: goneFrom(overview),
      failed: overview.failed,
      quarantined: overview.quarantined,
      foreign: overview.foreign ?? 0,
    },
    workers: workers && shownWorkers(workers, atMs),
  }
}

function shownWorkers(workers: readonly WorkerStatus[], nowMs: number) {
  const { alive, silent } = bySilence(workers, nowMs)
  const byAge = (list: readonly WorkerStatus[]) => [...list].sort((a, b) => a.startedAtMs - b.startedAtMs)
  return {
    alive: alive.length,
    silent: silent.length,
    threads: alive.reduce((sum, { threads }) => sum + threads, 0),
    // Those that may need help come first.
    shown: [...byAge(silent), ...byAge(alive)]
      .slice(0, maxWorkers)
      .map((worker, index) => shownWorker(worker, index < silent.length, nowMs)),
  }
}

function shownWorker(worker: WorkerStatus, isSilent: boolean, nowMs: number) {
  const { host, pid, threads, executed, failed, tasksPerSecond, rssMb, running } = worker
  const age = (ms: number) => Math.max(0, nowMs - ms) / 1000
  return {
    key: `${host} ${pid} ${worker.startedAtMs}`,
    host: text(host),
    pid,
    threads,
    executed,
    failed,
    tasksPerSecond,
    rssMb,
    upSeconds: age(worker.startedAtMs),
    silentSeconds: age(worker.writtenAtMs),
    isSilent,
    hasEnded: isSilent && hasEnded(worker),
    runningCount: running.length,
    running: running.slice(0, maxRunning).map(task => ({
      id: text(task.id),
      name: text(task.name),
      ageSeconds: age(task.startedAtMs),
      fraction: task.fraction,
      note: task.note === undefined ? undefined : text(task.note),
    })),
  }
}

function text(value: string): string {
  const shown = printable(String(value))
  return shown.length <= maxText ? shown : `${shown.slice(0, maxText)}…`
}
