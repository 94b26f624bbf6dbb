/**
 * What the workers of a queue do, for people who watch: `workers/` holds one small file a worker, staged and renamed, so
 * that it is whole. A worker removes its file when it ends; that of one that died is passed over when it is a minute old
 * by the clock of the filesystem, and removed by the next worker that starts an hour later.
 */
import type { WorkerStatus } from '../../backend.js'
import { textOfNoFile } from './file-system.js'
import { inside, isQueue, writeInto } from './layout.js'
import { type FileQueue, queueFault } from './queue.js'

/** Workers write every five seconds; one may be held up by a slow network for a while. */
const SILENT_SECONDS = 60

/** A laptop that slept writes anew when it wakes; an hour is for people who ask which machine is gone. */
const STALE_SECONDS = 3600

/** A worker names 100 tasks at most, each with a note. What is longer, somebody else put there. */
const LONGEST_STATUS_BYTES = 1 << 20

const SUFFIX = '.json'

export class WorkerFiles {
  readonly #queue: FileQueue
  #swept = false

  constructor(queue: FileQueue) {
    this.#queue = queue
  }

  /** Writes a worker's status, or with `undefined` takes it away. Where there is no queue (yet) nothing is written. */
  async report(worker: string, status: WorkerStatus | undefined): Promise<void> {
    const { layout, pace } = this.#queue
    // Never blocking: a status is not worth a pause of the work.
    const { pooled } = pace
    const name = `${encodeURIComponent(worker)}${SUFFIX}`
    const path = inside(layout.workers, name)
    if (status === undefined) {
      await pooled.unlink(path, 'there')
      return
    }
    if (!(await isQueue(pace, layout))) return
    const staged = inside(layout.staging, `worker-${name}`)
    await writeInto(pace, staged, JSON.stringify(status), 'w')
    if (!(await pooled.rename(staged, path))) {
      await pooled.makeFolder(layout.workers)
      await pooled.rename(staged, path)
    }
    if (!this.#swept) await this.#sweep()
  }

  /** What the living workers wrote last. */
  async all(): Promise<WorkerStatus[]> {
    try {
      const found: WorkerStatus[] = []
      await this.#forEach(SILENT_SECONDS, 'younger', async path => {
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
      return await this.#queue.pace.pooled.read(path, 'there')
    } catch (error) {
      textOfNoFile(error)
      return undefined
    }
  }

  async #sweep(): Promise<void> {
    this.#swept = true
    await this.#forEach(STALE_SECONDS, 'older', async path => {
      await this.#queue.pace.pooled.unlink(path, 'there')
    })
  }

  async #forEach(seconds: number, age: 'younger' | 'older', work: (path: string) => Promise<void>): Promise<void> {
    const { layout, pace, clock } = this.#queue
    const folder = await pace.pooled.openFolder(layout.workers)
    if (folder === undefined) return
    try {
      await clock.ready()
      for (let names = await folder.read(); names.length > 0; names = await folder.read()) {
        for (const name of names.filter(found => found.endsWith(SUFFIX))) {
          const path = inside(layout.workers, name)
          const facts = await pace.pooled.stat(path)
          if (facts === undefined || facts.isFolder || facts.sizeBytes > LONGEST_STATUS_BYTES) continue
          const isYoung = clock.nowSeconds - facts.modifiedMs / 1000 < seconds
          if (isYoung === (age === 'younger')) await work(path)
        }
      }
    } finally {
      await folder.close()
    }
  }
}

/** `undefined` for a file that is gone, or that somebody else put there. */
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
