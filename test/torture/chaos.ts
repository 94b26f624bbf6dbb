/** The torture itself: processes work on one queue and are hit by signals at random; then everything is reconciled. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { TaskQueueOptions } from 'ptq'
import { counted } from '#ptq/text/counted.js'
import { commandAt } from './commands.js'
import { drain, finishCopy } from './drain.js'
import { LedgerReader, type Signal } from './ledger.js'
import type { Queues, Role } from './process-options.js'
import { Processes } from './processes.js'
import { checkPurged } from './purged.js'
import { randomFrom } from './random.js'
import { type Findings, Reconciliation } from './reconcile.js'
import { insertPoison, openQueues } from './setup.js'
import { VanishingFolder } from './vanishing.js'

export interface Torture {
  /** A new folder on a local disk, for the ledger and the output of the processes. */
  readonly folder: string
  readonly queues: Queues
  /** The same queues through other mounts of their filesystem, as on other hosts. Default: none. */
  readonly views?: readonly Queues[]
  readonly options: TaskQueueOptions
  /** Environment variables of its processes, in addition to this one's. */
  readonly env?: NodeJS.ProcessEnv
  /** The number of processes of each role, in addition to the workers and one `ptq` command at a time. */
  readonly processCounts: Readonly<Partial<Record<Role, number>>>
  readonly workers: number
  /** A folder that is renamed away now and then, and back. Default: none. */
  readonly vanishing?: string
  /** Minimum duration, and minimum number of killed and of stopped processes. */
  readonly minutes: number
  readonly kills: number
  /** The mean time between two signals. */
  readonly everyMs: number
  readonly seed: number
  /** Its abort ends the torture early; everything is reconciled even then. */
  readonly signal?: AbortSignal
  /** Called when the processes have ended and what they left is drained: nothing goes wrong any more. */
  readonly calm?: () => void
  /** Called with a status line once a minute. */
  readonly say: (line: string) => void
}

export interface TortureResult extends Findings {
  readonly killed: number
  readonly stopped: number
  readonly processes: number
  /** The number of times the depot's folder was renamed away. */
  readonly vanished: number
  readonly minutes: number
}

/** Share of the signals; the rest are stops. */
const KILLS = 0.65
const ASKS = 0.2

/** A process is stopped for at most so long, longer than a lease. */
const LONGEST_STOP_MS = 6_000

const SAY_EVERY_MS = 60_000

/** Between two tasks that kill their worker: each does it eight times, and keeps others from running for that long. */
const POISON_EVERY_MS = 120_000

export async function torture(plan: Torture): Promise<TortureResult> {
  const { folder, queues, options, everyMs, say } = plan
  const processCounts = { ...plan.processCounts, worker: plan.workers }
  mkdirSync(folder, { recursive: true })
  const ledger = join(folder, 'ledger')
  const base = { options, ledger, uploadNumber: join(folder, 'upload-number') }
  let vanishing: VanishingFolder | undefined
  const processes = new Processes(
    base,
    [queues, ...(plan.views ?? [])],
    join(folder, 'output'),
    plan.env ?? {},
    sinceMs => vanishing?.wasAwaySince(sinceMs) === true,
  )
  const reader = new LedgerReader(ledger)
  const reconciliation = new Reconciliation({
    isExact: queues.endpoint === undefined,
    isLocal: queues.endpoint === undefined && plan.views === undefined,
    hasPacks: queues.pack !== undefined,
  })
  const random = randomFrom(plan.seed)
  const startMs = performance.now()
  const endMs = startMs + plan.minutes * 60_000
  let killed = 0
  let stopped = 0
  // On SQS leases are longer: eight deaths take minutes.
  const hasPoison = queues.endpoint === undefined || plan.minutes >= 5
  let turn = 0
  let poisons = 0
  const sayHowFar = () => {
    reconciliation.read(reader.newLines())
    const minutes = ((performance.now() - startMs) / 60_000).toFixed(1)
    const megabytes = Math.round(process.memoryUsage.rss() / 2 ** 20)
    say(
      `${minutes} min: ${counted(killed, 'kill')}, ${counted(stopped, 'stop')}, ${counted(reconciliation.inserted, 'task')} inserted, ` +
        `${counted(reconciliation.runs, 'run')}, ${counted(processes.violations.length, 'process', 'processes')} ended wrongly, ${megabytes} MB`,
    )
  }
  let saidMs = startMs
  try {
    await openQueues(queues, options, ledger)
    // Its choices depend on what happens: the seed's sequence is for the signals.
    if (plan.vanishing !== undefined) vanishing = new VanishingFolder(plan.vanishing, randomFrom(plan.seed + 1))
    while ((performance.now() < endMs || killed < plan.kills) && plan.signal?.aborted !== true) {
      processes.fill(processCounts)
      if (hasPoison && performance.now() - startMs >= poisons * POISON_EVERY_MS)
        await insertPoison(queues, options, ledger, poisons++)
      if (processes.running('ptq-') === 0) processes.run(commandAt(turn++))
      // A random interval: from none to twice the mean.
      await setTimeout(random() * 2 * everyMs)
      const dice = random()
      const signal: Signal = dice < KILLS ? 'SIGKILL' : dice < KILLS + ASKS ? 'SIGTERM' : 'SIGSTOP'
      if (!processes.hit(signal, random(), random() * LONGEST_STOP_MS)) continue
      if (signal === 'SIGSTOP') stopped++
      else killed++
      if (performance.now() - saidMs < SAY_EVERY_MS) continue
      saidMs = performance.now()
      sayHowFar()
    }
    await processes.askAll()
    vanishing?.stop()
    sayHowFar()
    plan.calm?.()
    say('all processes have ended; draining what they left')
    // In a process of its own, so that an endless call does not block this one.
    if (plan.processCounts['purged-uploader'] !== undefined) await processes.finish('purged-uploader')
    const faults =
      queues.endpoint === undefined
        ? [...(await finishCopy(queues, options, processes)), ...(await checkPurged(queues, options, ledger))]
        : []
    const drained = await drain(queues, plan.views ?? [], options, processes)
    reconciliation.read(reader.newLines())
    const findings = reconciliation.findings(drained)
    return {
      ...findings,
      violations: [...processes.violations, ...faults, ...findings.violations],
      killed,
      stopped,
      processes: processes.started,
      vanished: vanishing?.times ?? 0,
      minutes: (performance.now() - startMs) / 60_000,
    }
  } finally {
    vanishing?.stop()
    await processes.killAll()
  }
}
