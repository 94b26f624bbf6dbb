/** Roles of the torture's processes, each until it is killed or asked to stop. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { LeaseLostError, partial, type TaskQueue } from 'ptq'
import { note } from './ledger.js'
import { open, type ProcessOptions } from './process-options.js'
import { PURGED_UPLOAD, purgedTasks } from './purged.js'
import { heal, isPoison, keyIn, keyOf, kindAt, leaveTrace, RATE_LIMIT } from './tasks.js'

/** Inserters wait while so many tasks are queued. */
const ENOUGH_TASKS = 1_500

/** Whole seconds; `leaveTrace` has tasks that take longer. */
const LEASE_SECONDS = 3

/** Longer than the pauses between retries of a request. */
const SQS_LEASE_SECONDS = 10

/** A lease has half its time left when it is renewed. */
const LONGEST_DELAY_MS = 500

const BATCH = 25
const UPLOAD_TASKS = 2_200
const PAUSE_MS = 150

async function whileFull(tq: TaskQueue, signal: AbortSignal, pauseMs = PAUSE_MS): Promise<void> {
  do await setTimeout(pauseMs)
  while (!signal.aborted && (await tq.enqueued()) > ENOUGH_TASKS)
}

/** Inserts some tasks at a time, now and then with a delay, in turn into each queue that leads to the main one. */
export async function insertContinuously(
  { processNumber, queues, options, ledger }: ProcessOptions,
  signal: AbortSignal,
): Promise<void> {
  await using main = open(queues.main, options)
  await using intake = open(queues.intake, options)
  await using transit = open(queues.transit, options)
  const turns = [
    { tq: main, way: 'inserted' },
    { tq: intake, way: 'handed' },
    { tq: main, way: 'inserted' },
    { tq: transit, way: 'carried' },
  ] as const
  for (let batch = 0; !signal.aborted; batch++) {
    const { tq, way } = turns[batch % turns.length] ?? turns[0]
    const keys = Array.from({ length: BATCH }, (_, at) => {
      const index = batch * BATCH + at
      return keyOf(kindAt(index), way, String(processNumber), index)
    })
    note(ledger, 'intend', keys)
    await tq.insert(
      keys.map(key => partial(leaveTrace, key, ledger)),
      {
        // FIFO queues have no delay for single tasks.
        delaySeconds: batch % 10 === 4 && !queues.main.endsWith('.fifo') ? 1 : 0,
        // Beside messages of one task.
        ...(queues.pack !== undefined && batch % 4 === 0 && { pack: queues.pack }),
      },
    )
    note(ledger, 'inserted', keys)
    await whileFull(main, signal)
  }
}

/** Long inserts under a name: a process that starts after a kill continues the interrupted one. */
export async function uploadContinuously(
  { queues, options, ledger, uploadNumber }: ProcessOptions,
  signal: AbortSignal,
): Promise<void> {
  await using tq = open(queues.main, options)
  let number = existsSync(uploadNumber) ? Number(readFileSync(uploadNumber, 'utf8')) : 0
  for (; !signal.aborted; number++) {
    // A process killed between here and the end of the upload: the next one finds the same number.
    writeFileSync(`${uploadNumber}.new`, String(number))
    renameSync(`${uploadNumber}.new`, uploadNumber)
    const keys = Array.from({ length: UPLOAD_TASKS }, (_, index) => keyOf('n', 'upload', String(number), index))
    note(ledger, 'intend', keys)
    await tq.insert(
      keys.map(key => partial(leaveTrace, key, ledger)),
      { resume: `upload-${number}`, ...(queues.pack !== undefined && number % 2 === 1 && { pack: queues.pack }) },
    )
    note(ledger, 'inserted', keys)
    await whileFull(tq, signal, 20 * PAUSE_MS)
  }
}

/** Runs tasks on two threads. `poll` handles SIGTERM from its first lease request on. */
export async function work({ queues, options, ledger, untilEmpty }: ProcessOptions): Promise<void> {
  // It releases tasks by sending them once more: the access key of the environment tells the server which process
  // sends.
  const { credentials: _shared, ...own } = options
  await using tq = open(queues.main, own)
  const { events } = tq
  noteDelays(ledger)
  const sayReady = () => {
    events.off('leased', sayReady).off('idle', sayReady)
    process.send?.('ready')
  }
  events.on('leased', sayReady).on('idle', sayReady)
  events.on('leased', ({ task }) => note(ledger, 'held', [keyIn(task)]))
  events.on('succeeded', ({ task }) => note(ledger, 'done', [keyIn(task)]))
  events.on('lost', ({ task }) => note(ledger, 'lost', [keyIn(task)]))
  events.on('failed', ({ task }) => note(ledger, 'failed', [keyIn(task)]))
  events.on('dead-lettered', ({ task }) => note(ledger, 'dead', [keyIn(task)]))
  await tq.poll({
    parallel: 2,
    leaseSeconds: queues.endpoint === undefined ? LEASE_SECONDS : SQS_LEASE_SECONDS,
    tally: queues.endpoint === undefined,
    ...(queues.deadLetter !== undefined && { deadLetter: queues.deadLetter }),
    minBackoffSeconds: 0.05,
    maxBackoffSeconds: 0.5,
    backoffExceptions: [RATE_LIMIT],
    timeoutSeconds: 60,
    untilEmpty,
  })
  // When asked to stop, `poll` sets the exit code of that signal. Reaching this line shows that it stopped normally.
  process.exitCode = 0
}

/** Records when this process was blocked for so long that a renewal may be late. */
function noteDelays(ledger: string): void {
  let lastMs = performance.now()
  const look = () => {
    const nowMs = performance.now()
    if (nowMs - lastMs > LONGEST_DELAY_MS) note(ledger, 'delayed', [String(Math.round(nowMs - lastMs))])
    lastMs = nowMs
  }
  setInterval(look, LONGEST_DELAY_MS / 5).unref()
}

/** Moves tasks from the intake into the queue, by hand. */
export async function moveTasks(
  { queues, options, ledger, untilEmpty }: ProcessOptions,
  signal: AbortSignal,
): Promise<void> {
  await using from = open(queues.intake, options)
  await using to = open(queues.main, options)
  while (!signal.aborted) {
    const tasks = await from.lease({ seconds: LEASE_SECONDS, numTasks: 20, waitSeconds: 0.3, signal })
    if (tasks.length === 0 && untilEmpty && (await from.isEmpty())) return
    for (const task of tasks) {
      const key = keyIn(task)
      note(ledger, 'moving', [key])
      await to.insert(task)
      note(ledger, 'copied', [key])
      try {
        await from.delete(task)
        note(ledger, 'moved', [key])
      } catch (error) {
        if (!(error instanceof LeaseLostError)) throw error
        note(ledger, 'lost', [key])
      }
    }
  }
}

/** Retries the dead letters that should not be there: all but poison. */
export async function retryDeadLetters(
  { queues, options, ledger, untilEmpty }: ProcessOptions,
  signal: AbortSignal,
): Promise<void> {
  await using tq = open(queues.main, options)
  const place = queues.deadLetter === undefined ? {} : { deadLetter: queues.deadLetter }
  do {
    const keys: string[] = []
    for await (const letter of tq.failures(place)) if (!isPoison(keyIn(letter))) keys.push(keyIn(letter))
    for (const key of keys) {
      heal(ledger, key)
      note(ledger, 'retrying', [key])
      await tq.retry({ match: key, ...place })
      note(ledger, 'retried', [key])
    }
    if (!untilEmpty) await setTimeout(PAUSE_MS * 10)
  } while (!signal.aborted && !untilEmpty)
}

/** Copies the queue while it is worked on, and records what was copied. */
export async function copyLiveQueue(
  { processNumber, queues, options, ledger }: ProcessOptions,
  signal: AbortSignal,
): Promise<void> {
  await using main = open(queues.main, options)
  for (let number = 0; !signal.aborted; number++) {
    const name = `${processNumber}-${number}`
    const url = `${queues.copies}/${name}`
    await using copy = open(url, options)
    note(ledger, 'copyBegun', [name])
    const copied = Number(await main.copyTo(copy, { signal }))
    // A copy that was asked to stop lacks the rest.
    if (signal.aborted) return
    note(ledger, 'copyMade', [name])
    const keys: string[] = []
    // An empty copy makes no queue.
    if (copied > 0) for await (const task of copy.tasks()) keys.push(keyIn(task))
    for (let at = 0; at < keys.length; at += 100) note(ledger, 'copyHas', [name, ...keys.slice(at, at + 100)])
    note(ledger, 'copyListed', [name])
    rmSync(new URL(url.replace('fq:', 'file:')), { recursive: true, force: true })
    await setTimeout(PAUSE_MS * 10)
  }
}

/** Uploads the same tasks under the same name again and again, while others purge the queue; with `untilEmpty` once. */
export async function uploadBesidePurges(
  { queues, options, ledger, untilEmpty }: ProcessOptions,
  signal: AbortSignal,
): Promise<void> {
  await using tq = open(queues.purged, options)
  while (!signal.aborted) {
    try {
      await tq.insert(purgedTasks(ledger), { resume: PURGED_UPLOAD })
    } catch (error) {
      if (!inspect(error, { depth: 10 }).includes('the queue was purged')) throw error
    }
    if (untilEmpty) return
    await setTimeout(PAUSE_MS / 2)
  }
}

export async function purgeBesideUploads({ queues, options }: ProcessOptions, signal: AbortSignal): Promise<void> {
  await using tq = open(queues.purged, options)
  while (!signal.aborted) {
    await tq.purge()
    await setTimeout(Math.random() * 4 * PAUSE_MS)
  }
}
