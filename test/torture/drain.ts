/** The end of a torture: no more kills; everything that is left runs, and the queues are checked. */
import { setTimeout } from 'node:timers/promises'
import type { QueuedTask, QueueStatus, TaskQueueOptions } from 'ptq'
import { counted } from '#ptq/text/counted.js'
import { copyCommand, moveCommand, toDepotCommand } from './commands.js'
import { faultyTasks } from './faulty-tasks.js'
import { open, type Queues } from './process-options.js'
import type { Processes } from './processes.js'
import type { QueueAtEnd } from './reconcile.js'
import { isPoison, keysIn } from './tasks.js'

/** Each round runs the tasks that the last one retried from the dead letters. */
const DRAINS = 20

/** Poison ends its worker eight times. */
const WORK_ROUNDS = 100

/**
 * Hosts see the size of a file that others appended to late: after a second on GlusterFS, a minute on NFS.
 * Milliseconds.
 */
const AGREEMENT_MS = 70_000

/**
 * Runs everything that is left; leases of dead processes may be released at once.
 *
 * @param views the same queues through other mounts
 * @returns what the queues hold and count then
 */
export async function drain(
  queues: Queues,
  views: readonly Queues[],
  options: TaskQueueOptions,
  processes: Processes,
): Promise<QueueAtEnd> {
  await using main = open(queues.main, options)
  await using intake = open(queues.intake, options)
  await using transit = open(queues.transit, options)
  await using depot = open(queues.depot, options)
  const { deadLetter } = queues
  const place = deadLetter === undefined ? {} : { deadLetter }
  await using buried = open(deadLetter ?? `${queues.main}/failed`, options)
  for (let round = 0; round < DRAINS; round++) {
    await intake.releaseAll()
    await transit.releaseAll()
    await processes.start('mover', { untilEmpty: true }).ended
    if (queues.endpoint === undefined) await depot.releaseAll()
    await processes.run(toDepotCommand).ended
    await processes.run(moveCommand).ended
    await workUntilEmpty(processes)
    if (!(await isEmptyOf(main.failures(place)))) await buried.releaseAll()
    await processes.start('retrier', { untilEmpty: true }).ended
    if (await areEmpty([queues, ...views], options)) break
  }
  const all = [main, intake, transit, depot]
  const counts = await agreedCounts([queues, ...views], options)
  const left = await Promise.all(
    all.map((tq, index) => {
      // SQS can't be listed.
      const isListed = (tq !== main && tq !== depot) || queues.endpoint === undefined
      return isListed ? keysOf(tq.tasks()) : Array.from({ length: counts[index]?.enqueued ?? 0 }, () => 'unknown')
    }),
  )
  return {
    left: left.flat(),
    dead: await keysOf(main.failures(place)),
    inserted: {
      main: counts[0]?.inserted ?? Number.NaN,
      intake: counts[1]?.inserted ?? Number.NaN,
      transit: counts[2]?.inserted ?? Number.NaN,
      depot: counts[3]?.inserted ?? Number.NaN,
    },
    completed: counts[0]?.completed ?? Number.NaN,
  }
}

/**
 * Runs workers that end when the queue is empty, restarted while poison kills them. Leases of dead processes are not
 * released: they have to expire, since a released lease records no death.
 */
async function workUntilEmpty(processes: Processes): Promise<void> {
  for (let round = 0; round < WORK_ROUNDS; round++) {
    const workers = [1, 2].map(() => processes.start('worker', { untilEmpty: true }))
    await Promise.all(workers.map(({ ended }) => ended))
    if (workers.every(({ child }) => child.exitCode === 0)) return
  }
}

/**
 * True if the queues are empty through each view: a mount may show a folder as it was ten seconds ago, but the one through which the
 * retrier stored its last task shows that task.
 */
async function areEmpty(views: readonly Queues[], options: TaskQueueOptions): Promise<boolean> {
  for (const { main, intake, transit, depot } of views) {
    for (const url of [main, intake, transit, depot]) {
      await using tq = open(url, options)
      if (!(await tq.isEmpty())) return false
    }
  }
  return true
}

/** The status of the queues, once all views agree: the last writer's view is complete. */
async function agreedCounts(views: readonly Queues[], options: TaskQueueOptions): Promise<readonly QueueStatus[]> {
  const deadlineMs = performance.now() + AGREEMENT_MS
  for (;;) {
    const seen = await Promise.all(views.map(view => statusOf(view, options)))
    const said = new Set(seen.map(statuses => statuses.map(tq => `${tq.inserted} ${tq.completed}`).join()))
    if (said.size === 1 || performance.now() > deadlineMs) return seen[0] ?? []
    await setTimeout(200)
  }
}

async function statusOf({ main, intake, transit, depot }: Queues, options: TaskQueueOptions): Promise<QueueStatus[]> {
  return Promise.all(
    [main, intake, transit, depot].map(async url => {
      await using tq = open(url, options)
      return await tq.status()
    }),
  )
}

/** Finishes a copy that was interrupted, maybe several times. @returns its faults */
export async function finishCopy(queues: Queues, options: TaskQueueOptions, processes: Processes): Promise<string[]> {
  await using main = open(queues.main, options)
  await using backup = open(queues.backup, options)
  await processes.run(copyCommand).ended
  const copies = new Map<string, string>()
  let copied = 0
  for await (const task of backup.tasks()) {
    copied++
    copies.set(task.id, task.payloadText)
  }
  const missing: string[] = []
  for await (const task of main.tasks())
    if (copies.get(task.id) !== task.payloadText) missing.push(...keysIn(task.payloadText))
  const faults: string[] = []
  if (missing.length > 0) faults.push(faultyTasks(missing, 'tasks are not in the copy'))
  if (copied > copies.size) faults.push(`the copy has ${counted(copied - copies.size, 'task')} twice`)
  return faults
}

async function isEmptyOf(tasks: AsyncIterable<QueuedTask>): Promise<boolean> {
  for await (const task of tasks) if (!keysIn(task.payloadText).every(isPoison)) return false
  return true
}

async function keysOf(tasks: AsyncIterable<QueuedTask>): Promise<string[]> {
  const keys: string[] = []
  for await (const task of tasks) keys.push(...keysIn(task.payloadText))
  return keys
}
