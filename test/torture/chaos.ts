/** The torture itself: processes work on one queue and are hit by signals at random; then everything is reconciled. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type QueuedTask, TaskQueue, type TaskQueueOptions } from 'ptq'
import { linesOf, type Signal } from './ledger.js'
import type { Role } from './part.js'
import { type Findings, reconcile } from './reconcile.js'
import { Troupe, type View } from './troupe.js'

export interface Torture {
  /** A folder of its own: the ledger, what the processes print, and the file queue. */
  readonly folder: string
  /** The queue that is tortured, and one that movers empty into it. */
  readonly queue: string
  readonly intake: string | undefined
  /** The same two through other mounts of their filesystem, as other hosts see them. Default: none. */
  readonly views?: readonly View[]
  readonly options: TaskQueueOptions
  /** How many of each role are kept running. */
  readonly cast: Readonly<Partial<Record<Role, number>>>
  /** It goes on for so long, and until so many processes were killed or asked to stop. */
  readonly minutes: number
  readonly kills: number
  /** The mean time between two signals. */
  readonly everyMs: number
  readonly seed: number
  /** Told what is going on, some times a minute. */
  readonly say: (line: string) => void
}

export interface TortureResult extends Findings {
  readonly killed: number
  readonly stopped: number
  readonly processes: number
  readonly minutes: number
}

/** Of the signals: the rest are stops. */
const KILLS = 0.65
const ASKS = 0.2

/** A process is stopped for at most so long, longer than a lease. */
const LONGEST_STOP_MS = 6_000

/** Each round runs what the last one brought back from the dead letters. */
const DRAINS = 20

const SAY_EVERY_MS = 20_000

export async function torture(plan: Torture): Promise<TortureResult> {
  const { folder, queue, intake, options, cast, everyMs, say } = plan
  mkdirSync(folder, { recursive: true })
  const ledger = join(folder, 'ledger')
  const uploadNumber = join(folder, 'upload-number')
  const views: [View, ...View[]] = [{ queue, intake }, ...(plan.views ?? [])]
  const troupe = new Troupe({ options, ledger, uploadNumber }, views, join(folder, 'output'))
  const random = randomFrom(plan.seed)
  const startMs = performance.now()
  const endMs = startMs + plan.minutes * 60_000
  let killed = 0
  let stopped = 0
  let saidMs = startMs
  try {
    while (performance.now() < endMs || killed < plan.kills) {
      troupe.fill(cast)
      // The torture's own rhythm: between none and twice the mean.
      await setTimeout(random() * 2 * everyMs)
      const dice = random()
      const signal: Signal = dice < KILLS ? 'SIGKILL' : dice < KILLS + ASKS ? 'SIGTERM' : 'SIGSTOP'
      if (!troupe.hit(signal, random(), random() * LONGEST_STOP_MS)) continue
      if (signal === 'SIGSTOP') stopped++
      else killed++
      if (performance.now() - saidMs > SAY_EVERY_MS) {
        saidMs = performance.now()
        say(`${((saidMs - startMs) / 60_000).toFixed(1)} minutes, ${killed} kills, ${stopped} stops`)
      }
    }
    await troupe.askAll()
    say('all processes have ended; draining what they left')
    const atEnd = await drain(plan, troupe)
    const findings = reconcile(linesOf(readFileSync(ledger, 'utf8')), atEnd)
    return {
      ...findings,
      violations: [...troupe.violations, ...findings.violations],
      killed,
      stopped,
      processes: troupe.started,
      minutes: (performance.now() - startMs) / 60_000,
    }
  } finally {
    await troupe.killAll()
  }
}

/** Runs everything that is left: nobody is killed any more, so what the dead held may be given back at once. */
async function drain({ queue, intake, options }: Torture, troupe: Troupe) {
  await using main = new TaskQueue(queue, options)
  await using from = new TaskQueue(intake ?? queue, options)
  await using buried = new TaskQueue(`${queue}/failed`, options)
  const keysOf = async (tasks: AsyncIterable<QueuedTask>) => {
    const keys: string[] = []
    for await (const task of tasks) keys.push(keyOf(task))
    return keys
  }
  for (let round = 0; round < DRAINS; round++) {
    await from.releaseAll()
    if (intake !== undefined) await troupe.start('mover', { untilEmpty: true }).ended
    await main.releaseAll()
    const workers = [1, 2].map(() => troupe.start('worker', { untilEmpty: true }).ended)
    await Promise.all(workers)
    const dead = await keysOf(main.failures())
    if (dead.length > 0) await buried.releaseAll()
    await troupe.start('retrier', { untilEmpty: true }).ended
    if ((await main.isEmpty()) && (await from.isEmpty())) break
  }
  const counts = await main.status()
  const intakeCounts = intake === undefined ? undefined : await from.status()
  return {
    left: [...(await keysOf(main.tasks())), ...(intake === undefined ? [] : await keysOf(from.tasks()))],
    dead: await keysOf(main.failures()),
    inserted: counts.inserted + (intakeCounts?.inserted ?? 0),
    completed: counts.completed,
  }
}

function keyOf(task: QueuedTask): string {
  const payload = task.payload()
  return Array.isArray(payload) ? String(payload[1][0]) : task.id
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32, public domain). */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
