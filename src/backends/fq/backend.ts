/** The file queue as the core sees it: each verb, with its arguments checked before anything is changed. */
import type { Backend, Capabilities, Counts, WorkerStatus } from '../../backend/backend.js'
import type { BatchFailure, Failure, Lease, Message } from '../../backend/messages.js'
import { argumentError } from '../../errors/errors.js'
import { Inserter } from './insert.js'
import { changeInsertions } from './insertions.js'
import { deadLettersFolder, isQueue } from './layout.js'
import { type FileLeaseOptions, Leaser } from './lease.js'
import { release, remove, renew, replace, runsAlone } from './lease-changes.js'
import { moveTasks } from './move.js'
import { isId } from './names.js'
import { purge } from './purge.js'
import type { FileQueue } from './queue.js'
import { FileResults } from './results.js'
import { count, list, releaseAll, rezero } from './scan.js'
import { SkippedTasks } from './skipped-tasks.js'
import { FileUploads } from './uploads.js'
import { WorkerFiles } from './workers.js'

// A hundred years: names hold any number of seconds; a longer time is a slip (milliseconds, a date).
const maxSeconds = 36_525 * 24 * 3600

// Leases a call: at 10 µs each, ten milliseconds of work, which amortises what is done once a call (the tally, the fsync of
// folders), while the memory of a call stays small.
const leasesPerCall = 1_000

// Messages per call. A part of an upload writes all its files and then renames them: of 1,000, the kernel's data of the
// first ones has left the processor's cache by then (9.3 µs a file on tmpfs instead of 8.4).
const messagesPerStep = 250

const capabilities: Capabilities = {
  insertBatch: messagesPerStep,
  // Some are stored while the next one is created; together they keep the maximum number of operations in flight.
  insertsAtOnce: 4,
  leaseBatch: leasesPerCall,
  // Exact while no process changes the queue, and never a wrong zero; see `count`.
  exactCounts: true,
  counters: true,
  listing: true,
  releaseAll: true,
  history: true,
  // A repeated insert of a task that was not leased yet writes the same file again. One that is leased has another
  // name, and finding it would need a reading of the folder, so this is not promised.
  dedupesInserts: false,
  maxDelaySeconds: maxSeconds,
  maxLeaseSeconds: maxSeconds,
  secondsStep: 1,
}

function requireSecondsInRange(name: string, value: number, { zero }: { zero: boolean }): void {
  const fits = Number.isFinite(value) && (zero ? value >= 0 : value > 0) && value <= maxSeconds
  const least = zero ? '0 or more' : 'more than 0'
  if (!fits) throw argumentError(name, `a number of seconds, ${least} and at most ${maxSeconds}`, value)
}

export class FileQueueBackend implements Backend {
  readonly capabilities = capabilities
  readonly label: string
  readonly queueName: string
  /** A queue inside the queue's folder, which Python takes no notice of. */
  readonly deadLetterUrl: string
  readonly logFolder: string
  readonly results: FileResults
  readonly uploads: FileUploads
  readonly #queue: FileQueue
  readonly #inserter: Inserter
  readonly #leaser: Leaser
  readonly #skipped: SkippedTasks
  readonly #workers: WorkerFiles

  constructor(queue: FileQueue) {
    this.label = queue.label
    this.queueName = queue.layout.root
    this.deadLetterUrl = `fq://${queue.layout.root}/${deadLettersFolder}`
    this.logFolder = queue.layout.logs
    this.#queue = queue
    this.#skipped = new SkippedTasks(queue)
    this.#inserter = new Inserter(queue)
    this.#leaser = new Leaser(queue, this.#skipped)
    this.results = new FileResults(queue, () => this.#inserter.make())
    this.uploads = new FileUploads(queue, () => this.#inserter.make())
    this.#workers = new WorkerFiles(queue)
  }

  async isSame(other: Backend): Promise<boolean> {
    if (!(other instanceof FileQueueBackend)) return false
    const [here, there] = await Promise.all(
      [this.#queue, other.#queue].map(({ io, layout }) => io.identityOf(layout.root)),
    )
    return here === there
  }

  async insert(messages: readonly Message[], options: { delaySeconds: number }): Promise<readonly BatchFailure[]> {
    requireSecondsInRange('delaySeconds', options.delaySeconds, { zero: true })
    return this.#inserter.insert(messages, options)
  }

  async lease(options: FileLeaseOptions): Promise<Lease[]> {
    requireSecondsInRange('seconds', options.seconds, { zero: false })
    requireSecondsInRange('waitSeconds', options.waitSeconds, { zero: true })
    if (!Number.isInteger(options.max) || options.max < 1) {
      throw argumentError('max', 'an integer of 1 or more', options.max)
    }
    return this.#leaser.lease(options)
  }

  async renew(leases: readonly Lease[], seconds: number): Promise<readonly BatchFailure[]> {
    requireSecondsInRange('seconds', seconds, { zero: true })
    return renew(this.#queue, leases, seconds)
  }

  async release(
    leases: readonly Lease[],
    options: { delaySeconds: number; failure?: Failure },
  ): Promise<readonly BatchFailure[]> {
    requireSecondsInRange('delaySeconds', options.delaySeconds, { zero: true })
    return release(this.#queue, leases, options)
  }

  runsAlone(lease: Lease): Promise<void> {
    return runsAlone(this.#queue, lease)
  }

  delete(
    leases: readonly Lease[],
    options: { tally: boolean; mayTallyLater?: boolean; completions?: readonly number[] },
  ): Promise<readonly BatchFailure[]> {
    return remove(this.#queue, leases, options)
  }

  tallyDeleted(): Promise<void> {
    return this.#queue.completions.flush()
  }

  replace(lease: Lease, body: string): Promise<void> {
    return replace(this.#queue, lease, body)
  }

  counts(): Promise<Counts> {
    return count(this.#queue)
  }

  purge(_options: { native: boolean }): Promise<void> {
    return purge(this.#queue)
  }

  async addInserted(added: number): Promise<void> {
    if (!Number.isSafeInteger(added) || added < 0) throw argumentError('count', 'an integer of 0 or more', added)
    if (added === 0) return
    await this.#inserter.make()
    await changeInsertions(this.#queue, inserted => inserted + added)
  }

  rezero(): Promise<void> {
    return rezero(this.#queue)
  }

  releaseAll(): Promise<number> {
    return releaseAll(this.#queue)
  }

  list({ wanted = () => true }: { wanted?: (id: string) => boolean } = {}) {
    return list(this.#queue, wanted)
  }

  moveTo(other: Backend, { signal }: { signal: AbortSignal }): AsyncIterable<number> | undefined {
    if (!(other instanceof FileQueueBackend)) return undefined
    return moveTasks(this.#queue, this.#leaser, other.#queue, other.#inserter, signal)
  }

  quarantine(lease: Lease, reason: string): Promise<void> {
    return this.#skipped.quarantine(lease, reason)
  }

  async failures(message: { readonly id: string }): Promise<readonly Failure[]> {
    if (!isId(message.id)) throw argumentError('message.id', 'a UUID in lower case', message.id)
    return this.#queue.history.failures(message.id)
  }

  reportWorker(worker: string, status: WorkerStatus | undefined): Promise<void> {
    return this.#workers.report(worker, status)
  }

  workers(): Promise<readonly WorkerStatus[]> {
    return this.#workers.all()
  }

  exists(): Promise<boolean> {
    return isQueue(this.#queue.io, this.#queue.layout)
  }

  async close(): Promise<void> {
    await this.#queue.completions.flush()
    await this.#leaser.close()
  }
}
