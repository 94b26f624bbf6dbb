/**
 * Status files of the workers of a queue, for monitoring: `workers/` holds one small file for each worker, staged and
 * renamed, so that it is whole. A worker removes its file when it ends; that of a dead worker is ignored when it is a
 * minute old by the clock of the filesystem, and removed by a worker that starts an hour later.
 */
import type { WorkerStatus } from '../../backend/backend.js'
import { textOfNoFile } from './file-system.js'
import { inside, isQueue, renameInto, writeInto } from './layout.js'
import { type FileQueue, queueFault } from './queue.js'

/** Workers write every five seconds; one may be held up by a slow network for a while. */
const silentSeconds = 60

/** A laptop that slept writes again when it wakes; an hour shows people which machine is gone. */
const staleSeconds = 3600

/**
 * Number of random files of others that a starting worker checks: a thousand workers that start together would
 * otherwise make a million requests.
 */
const sweptFiles = 16

/** A worker names 100 tasks at most, each with a note. A longer file is not a worker's. */
const maxStatusBytes = 1 << 20

/** Statuses a second that all workers together write: with more than 250 workers each writes less often. */
const statusesPerSecond = 50
const minIntervalMs = 5_000
/** Well below the time after which a worker counts as silent. */
const maxIntervalMs = 20_000
/** Interval at which a worker counts the others. */
const countIntervalMs = 60_000
/** Reports come every five seconds, more or less. */
const slackMs = 1_000

const suffix = '.json'

export class WorkerFiles {
  readonly #queue: FileQueue
  /** Time of the last write for each worker of this process. */
  readonly #writtenMs = new Map<string, number>()
  #countedMs = Number.NEGATIVE_INFINITY
  #everyMs = 0
  #swept = false

  constructor(queue: FileQueue) {
    this.#queue = queue
  }

  /** Writes a worker's status, or with `undefined` removes it. If there is no queue (yet) nothing is written. */
  async report(worker: string, status: WorkerStatus | undefined): Promise<void> {
    const { layout, io } = this.#queue
    // Never blocking: a status is not worth a pause of the work.
    const { pooled } = io
    const name = `${encodeURIComponent(worker)}${suffix}`
    const path = inside(layout.workers, name)
    if (status === undefined) {
      this.#writtenMs.delete(worker)
      await pooled.unlink(path, 'there')
      return
    }
    const nowMs = performance.now()
    if (nowMs - (this.#writtenMs.get(worker) ?? Number.NEGATIVE_INFINITY) < this.#everyMs - slackMs) return
    if (!(await isQueue(io, layout))) return
    const staged = inside(layout.staging, `worker-${name}`)
    try {
      await writeInto(io, staged, JSON.stringify(status), 'w')
    } catch (error) {
      await pooled.unlink(staged, 'there')
      throw error
    }
    // `false`: removed by hand since; the next status will be there.
    await renameInto(pooled, staged, path)
    this.#writtenMs.set(worker, nowMs)
    if (nowMs - this.#countedMs >= countIntervalMs) await this.#countOthers(nowMs)
  }

  /** The last status of each live worker. */
  async all(): Promise<WorkerStatus[]> {
    try {
      const found: WorkerStatus[] = []
      await this.#forEach(await this.#names(), silentSeconds, 'younger', async path => {
        const status = statusFrom(await this.#textOf(path))
        if (status !== undefined) found.push(status)
      })
      return found
    } catch (error) {
      throw queueFault(this.#queue, 'Reading what the workers do', error)
    }
  }

  /** `undefined`: it is gone, or no file. */
  async #textOf(path: string): Promise<string | undefined> {
    try {
      return await this.#queue.io.pooled.read(path, 'size first')
    } catch (error) {
      textOfNoFile(error)
      return undefined
    }
  }

  async #countOthers(nowMs: number): Promise<void> {
    this.#countedMs = nowMs
    const names = await this.#names()
    const everyMs = Math.min(maxIntervalMs, (names.length * 1000) / statusesPerSecond)
    this.#everyMs = everyMs > minIntervalMs ? everyMs : 0
    if (!this.#swept) await this.#sweep(names)
  }

  async #sweep(names: string[]): Promise<void> {
    this.#swept = true
    const picked: string[] = []
    while (picked.length < sweptFiles && names.length > 0) {
      picked.push(...names.splice(Math.floor(Math.random() * names.length), 1))
    }
    await this.#forEach(picked, staleSeconds, 'older', async path => {
      await this.#queue.io.pooled.unlink(path, 'there')
    })
  }

  /** The names of all workers' files. */
  async #names(): Promise<string[]> {
    const { layout, io } = this.#queue
    const folder = await io.pooled.openFolder(layout.workers)
    if (folder === undefined) return []
    const found: string[] = []
    try {
      for (let names = await folder.read(); names.length > 0; names = await folder.read()) found.push(...names)
    } finally {
      await folder.close()
    }
    return found.filter(name => name.endsWith(suffix))
  }

  async #forEach(
    names: readonly string[],
    seconds: number,
    age: 'younger' | 'older',
    work: (path: string) => Promise<void>,
  ): Promise<void> {
    const { layout, io, clock } = this.#queue
    await clock.ready()
    for (const name of names) {
      const path = inside(layout.workers, name)
      const facts = await io.pooled.stat(path)
      if (facts === undefined || facts.isFolder || facts.sizeBytes > maxStatusBytes) continue
      const isYoung = clock.nowSeconds - facts.modifiedMs / 1000 < seconds
      if (isYoung === (age === 'younger')) await work(path)
    }
  }
}

/** `undefined` for a file that is gone, or not a worker's. */
function statusFrom(text: string | undefined): WorkerStatus | undefined {
  if (text === undefined) return undefined
  let status: unknown
  try {
    status = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isStatus(status)) return undefined
  // JSON leaves out what is undefined; the type has every key.
  return { ...status, running: status.running.map(({ fraction, note, ...task }) => ({ ...task, fraction, note })) }
}

function isStatus(value: unknown): value is WorkerStatus {
  if (typeof value !== 'object' || value === null) return false
  const { host, pid, threads, startedAtMs, writtenAtMs, executed, failed, tasksPerSecond, rssMb, running } =
    value as Record<keyof WorkerStatus, unknown>
  const numbers = [pid, threads, startedAtMs, writtenAtMs, executed, failed, tasksPerSecond, rssMb]
  return (
    typeof host === 'string' &&
    numbers.every(number => typeof number === 'number') &&
    Array.isArray(running) &&
    running.every(isRunning)
  )
}

function isRunning(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { id, name, startedAtMs, fraction, note } = value as Record<keyof WorkerStatus['running'][number], unknown>
  return (
    typeof id === 'string' &&
    typeof name === 'string' &&
    typeof startedAtMs === 'number' &&
    (fraction === undefined || typeof fraction === 'number') &&
    (note === undefined || typeof note === 'string')
  )
}
