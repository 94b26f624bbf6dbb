// One scenario in a process of its own: node simulate.js JSON. Prints its results as JSON.
import './virtual-time.js'
import { setMaxListeners } from 'node:events'
import { partial, TaskQueue } from 'ptq'
import { packId } from '#ptq/backend/pack-ids.js'
import { MemoryFolders } from './memory-folders.js'
import { MetadataServer } from './metadata-server.js'
import { randomId, seedChance } from './random.js'
import { simulatedFiles } from './simulated-files.js'
import type { Finding, Scenario } from './simulation.js'
import { simulatedTask, work } from './tasks.js'
import { at, runUntil, virtualMs } from './virtual-time.js'

const ROOT = '/queue-of-simulation'
const IDLE_SECONDS = 600

/** A cluster starts its jobs together, not in the same moment. */
const START_MS = 1_000

const scenario: Scenario = JSON.parse(process.argv[2] ?? '')
const { workers, queued, tasks, threads, latencyMs, pack } = scenario
const realStart = process.hrtime.bigint()
seedChance(scenario.seed)
// The advice about it is for people.
process.env.UV_THREADPOOL_SIZE = '40'
setMaxListeners(0)

const folders = new MemoryFolders()

/** Runs `verb` to its end. */
async function within<T>(verb: Promise<T>): Promise<T> {
  let isOver = false
  const ended = () => {
    isOver = true
  }
  verb.then(ended, ended)
  await runUntil(() => isOver)
  return verb
}

/**
 * The same text in one flat string, as a real listing returns it: a concatenated string is three times as slow to read.
 */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Fills the queue with copies of one task, or pack, that the library inserted itself. */
async function fill(): Promise<void> {
  const server = new MetadataServer({ latencyMs: 0, requestsPerSecond: Number.POSITIVE_INFINITY })
  const tq = new TaskQueue(`fq://${ROOT}`, { progress: false, fileSystem: simulatedFiles(folders, server, 1) })
  const sample = Array.from({ length: pack }, () => partial(simulatedTask))
  await within(tq.insert(sample, pack === 1 ? {} : { pack }))
  await within(tq.close())
  const queue = folders.folder(`${ROOT}/queue`)
  const [name = ''] = queue?.names(0).names ?? []
  const text = queue?.get(name)?.text
  if (queue === undefined || typeof text !== 'string') throw new Error('Expected the inserted task in the queue')
  const idOf = (file: string) => file.slice(-41, -5)
  const [before = '', after = ''] = text.split(idOf(name))
  const file = { text: (path: string) => before + idOf(path) + after, modifiedMs: 0 }
  queue.delete(name)
  while (queue.size * pack < queued) queue.set(flat(`0--${packId(randomId(), pack)}.json`), file)
}

await fill()
const server = new MetadataServer({
  latencyMs,
  requestsPerSecond: scenario.requestsPerSecond ?? Number.POSITIVE_INFINITY,
})
work.taskSeconds = scenario.taskSeconds
const startMs = virtualMs()
const failures: unknown[] = []
for (let worker = 0; worker < workers; worker++) {
  const tq = new TaskQueue(`fq://${ROOT}`, { progress: false, fileSystem: simulatedFiles(folders, server, threads) })
  const poll = () => tq.poll({ parallel: 0, tally: true, leaseSeconds: 600 })
  // They continue until the process ends.
  at(startMs + Math.random() * START_MS, () => void poll().catch((error: unknown) => failures.push(error)))
}
await runUntil(() => work.done >= tasks || failures.length > 0)
const seconds = (virtualMs() - startMs) / 1000
const { requests, renames, lostRenames, statusRequests, namesListed, peakPerSecond } = server
const callsPerTask = Object.fromEntries([...server.calls].map(([kind, count]) => [kind, count / tasks]))

let idleRequestsPerSecond = Number.NaN
if (tasks === queued) {
  // Calls in progress end first; the longest back-off of a worker is two minutes.
  const settledMs = virtualMs() + 300_000
  at(settledMs, () => undefined)
  await runUntil(() => virtualMs() >= settledMs)
  const requestsBefore = server.requests
  at(settledMs + IDLE_SECONDS * 1000, () => undefined)
  await runUntil(() => virtualMs() >= settledMs + IDLE_SECONDS * 1000)
  idleRequestsPerSecond = (server.requests - requestsBefore) / IDLE_SECONDS
  if (work.done !== tasks) failures.push(new Error(`Tasks that ran: ${work.done} of ${tasks}`))
  const left = folders.folder(`${ROOT}/queue`)?.size
  const completions = folders.file(`${ROOT}/completions`)
  const tallied = typeof completions?.text === 'string' ? completions.text.length : 0
  if (left !== 0 || tallied !== tasks) failures.push(new Error(`Left: ${left} of ${tasks}, counted: ${tallied}`))
}
if (failures.length > 0) throw failures[0]

const finding: Finding = {
  ...scenario,
  seconds,
  tasksPerSecond: tasks / seconds,
  lostPerLease: lostRenames / (renames - lostRenames),
  requestsPerTask: requests / tasks,
  statusPerTask: statusRequests / tasks,
  namesPerTask: namesListed / tasks,
  requestsPerSecondMean: requests / seconds,
  requestsPerSecondPeak: peakPerSecond,
  callsPerTask,
  idleRequestsPerSecond,
  realSeconds: Number(process.hrtime.bigint() - realStart) / 1e9,
  peakMb: process.resourceUsage().maxRSS / 1024,
}
process.stdout.write(`${JSON.stringify(finding)}\n`, () => process.exit(0))
