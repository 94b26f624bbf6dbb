/**
 * `fq://`: a queue that is a plain directory, on a local disk or on a filesystem that many machines share. Its format is
 * that of Python's `task-queue`, and both may work on one queue at the same time. It needs no server and no locks: rename
 * and unlink are what makes it correct.
 */
import type { Backend, BackendOpener, BackendOptions, QueueUrl } from '../../backend/backend.js'
import { argumentError } from '../../errors/errors.js'
import { FileQueueBackend } from './backend.js'
import { Completions } from './completions.js'
import type { FileSystem } from './file-system.js'
import { History } from './history.js'
import { IoScheduler } from './io-scheduler.js'
import { layoutOf, refuseContainer, refuseFile, trustedRoot } from './layout.js'
import { nodeFileSystem } from './node-files.js'
import { QueueClock } from './queue-clock.js'
import { refuseLinks } from './refuse-links.js'

const defaultConcurrency = 40

/** The options of a file queue. */
export interface FileQueueOptions extends BackendOptions {
  /**
   * The number of files that are worked on at once if the filesystem is slow (a call takes more than 0.5 ms, as over a
   * network). An integer of 1 or more, default 40. Node runs as many calls at once as `UV_THREADPOOL_SIZE` said when it
   * started, 4 without it. On a fast local disk calls are blocking, one after the other, in slices of at most 10 ms.
   */
  readonly concurrency?: number
  /**
   * Survives a power cut too: files and folders are on the disk (fsync) before an insert, a delete or a count is
   * acknowledged. Default false, which survives the death of any process at any point. Costs milliseconds an insert on
   * most disks, shared by those of one batch.
   */
  readonly durable?: boolean
  /** The filesystem to use; default that of this machine. For tests, which put a slow or faulty one in its place. */
  readonly fileSystem?: FileSystem
  /** The host's clock in milliseconds since 1970; default `Date.now`. For tests. */
  readonly hostNowMs?: () => number
}

/**
 * Opens a file queue. Creates nothing: the first insert creates the folders; a lease waits for a queue that doesn't
 * exist yet.
 *
 * Throws TypeError for an option out of range, and Error if the path is a file, a folder that contains a queue, or not
 * readable.
 */
export async function open(url: QueueUrl, options: FileQueueOptions = {}): Promise<Backend> {
  const { concurrency = defaultConcurrency, durable = false, hostNowMs = Date.now } = options
  const { fileSystem = nodeFileSystem } = options
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw argumentError('concurrency', 'an integer of 1 or more', concurrency)
  }
  if (typeof durable !== 'boolean') throw argumentError('durable', 'true or false', durable)

  const label = `fq://${url.path}`
  const layout = layoutOf(url.path)
  const root = await trustedRoot(fileSystem, url.path)
  const io = new IoScheduler(refuseLinks(fileSystem, root), { concurrency, durable, label })
  await refuseFile(io, url.path)
  await refuseContainer(io, layout)
  const clock = new QueueClock(io, layout, hostNowMs)
  const history = new History(io, layout)
  const completions = new Completions(io, layout, label)
  return new FileQueueBackend({ label, layout, io, clock, history, completions })
}

/** The opener of `fq://`. */
export const opener: BackendOpener = { open }
