/** The end of a torture: nobody is killed any more, everything that is left is run, and the queues are looked at. */
import { setTimeout } from 'node:timers/promises'
import { type QueuedTask, type QueueStatus, TaskQueue, type TaskQueueOptions } from 'ptq'
import { copyCommand, moveCommand } from './commands.js'
import type { Queues } from './part.js'
import type { QueueAtEnd } from './reconcile.js'
import { keyIn, kindOf } from './tasks.js'
import type { Troupe } from './troupe.js'

/** Each round runs what the last one brought back from the dead letters. */
const DRAINS = 20

/** Hosts know the size of a file that others appended to late: after a second on GlusterFS, a minute on NFS. Milliseconds. */
const AGREEMENT_MS = 70_000

/**
 * Runs everything that is left: what the dead held may be given back at once.
 *
 * @param views the same queues through other mounts
 * @returns what the queues hold and count then
 */
export async function drain(
  queues: Queues,
  views: readonly Queues[],
  options: TaskQueueOptions,
  troupe: Troupe,
): Promise<QueueAtEnd> {
  await using main = new TaskQueue(queues.main, options)
  await using intake = new TaskQueue(queues.intake, options)
  await using transit = new TaskQueue(queues.transit, options)
  const { deadLetter } = queues
  const place = deadLetter === undefined ? {} : { deadLetter }
  await using buried = new TaskQueue(deadLetter ?? `${queues.main}/failed`, options)
  for (let round = 0; round < DRAINS; round++) {
    await intake.releaseAll()
    await transit.releaseAll()
    await troupe.start('mover', { untilEmpty: true }).ended
    await troupe.run(moveCommand).ended
    // On SQS the leases of the dead have to run out: whoever works until it is empty waits for that.
    if (queues.endpoint === undefined) await main.releaseAll()
    await Promise.all([1, 2].map(() => troupe.start('worker', { untilEmpty: true }).ended))
    if (!(await isEmptyOf(main.failures(place)))) await buried.releaseAll()
    await troupe.start('retrier', { untilEmpty: true }).ended
    if ((await main.isEmpty()) && (await intake.isEmpty()) && (await transit.isEmpty())) break
  }
  const all = [main, intake, transit]
  const counts = await agreedCounts([queues, ...views], options)
  const left = await Promise.all(
    all.map((tq, index) => {
      // SQS can't be listed.
      const isListed = tq !== main || queues.endpoint === undefined
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
    },
    completed: counts[0]?.completed ?? Number.NaN,
  }
}

/** The status of the three queues, when all views say the same: whoever wrote last sees what is there. */
async function agreedCounts(views: readonly Queues[], options: TaskQueueOptions): Promise<readonly QueueStatus[]> {
  const deadlineMs = performance.now() + AGREEMENT_MS
  for (;;) {
    const seen = await Promise.all(views.map(view => statusOf(view, options)))
    const said = new Set(seen.map(statuses => statuses.map(tq => `${tq.inserted} ${tq.completed}`).join()))
    if (said.size === 1 || performance.now() > deadlineMs) return seen[0] ?? []
    await setTimeout(200)
  }
}

async function statusOf({ main, intake, transit }: Queues, options: TaskQueueOptions): Promise<QueueStatus[]> {
  return Promise.all(
    [main, intake, transit].map(async url => {
      await using tq = new TaskQueue(url, options)
      return await tq.status()
    }),
  )
}

/** Finishes a copy that was cut off, maybe often. @returns what is wrong with it */
export async function finishCopy(queues: Queues, options: TaskQueueOptions, troupe: Troupe): Promise<string[]> {
  await using main = new TaskQueue(queues.main, options)
  await using backup = new TaskQueue(queues.backup, options)
  await troupe.run(copyCommand).ended
  const copies = new Map<string, string>()
  let copied = 0
  for await (const task of backup.tasks()) {
    copied++
    copies.set(task.id, task.payloadText)
  }
  const missing: string[] = []
  for await (const task of main.tasks()) if (copies.get(task.id) !== task.payloadText) missing.push(keyIn(task))
  const faults: string[] = []
  if (missing.length > 0) faults.push(`${missing.length} tasks are not in the copy: ${missing.slice(0, 5).join(' ')}`)
  if (copied > copies.size) faults.push(`the copy has ${copied - copies.size} tasks twice`)
  return faults
}

async function isEmptyOf(tasks: AsyncIterable<QueuedTask>): Promise<boolean> {
  for await (const task of tasks) if (kindOf(keyIn(task)) !== 'p') return false
  return true
}

async function keysOf(tasks: AsyncIterable<QueuedTask>): Promise<string[]> {
  const keys: string[] = []
  for await (const task of tasks) keys.push(keyIn(task))
  return keys
}
