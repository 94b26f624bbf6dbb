/** Inserts slices in this thread. */
import type { Backend } from '../src/backend/backend.js'
import { insertSlice, madeMessages, type SliceOutcome } from '../src/bulk-insert/insert-slice.js'
import { journalOf } from '../src/bulk-insert/journal.js'
import {
  control,
  type QueueReference,
  type SequenceReference,
  type SliceMessage,
  type SliceReport,
} from '../src/bulk-insert/slice-messages.js'
import { isProtocolKnown, openBackend } from '../src/queue/open-backend.js'
import { findSliceable, rebuildSequence } from '../src/tasks/sliceable.js'
import { errorToWire } from '../src/threads/error-wire.js'
import { exitThread } from './exit-thread.js'
import { ThreadLink } from './link.js'
import { adviceOn, hasFailedImport, importOnce, notLoadedError } from './load-code.js'

/** Keeps a queue open for the next slice of the same insert, which comes at once if there is one. Milliseconds. */
const keptOpenMs = 1000

interface OpenQueue {
  readonly backend: Promise<Backend>
  uses: number
  closing: NodeJS.Timeout | undefined
}

const openQueues = new Map<number, OpenQueue>()

/** Makes the tasks of a slice and inserts them. Never rejects: an error is in the report. Ends the thread if it can't import them. */
export async function insert(message: SliceMessage): Promise<SliceReport> {
  Atomics.store(message.control, control.began, 1)
  const queue = keepOpen(message.insert, message.queue)
  try {
    const { error, ...outcome } = await insertInto(await queue.backend, message)
    return { ...outcome, error: error === undefined ? undefined : errorToWire(error) }
  } catch (thrown) {
    const error = errorToWire(thrown)
    if (hasFailedImport()) {
      // Only a new thread can try the import again.
      ThreadLink.current.post({ type: 'slice-not-loaded', insert: message.insert, start: message.start, error })
      exitThread()
    }
    return { error, retriable: false, ended: false }
  } finally {
    release(message.insert, queue)
  }
}

async function insertInto(backend: Backend, message: SliceMessage): Promise<SliceOutcome> {
  const { content, start, end, seed, run, delaySeconds, concurrency, traceparent, states } = message
  const journal = run === undefined ? undefined : { uploads: journalOf(backend), run }
  const settings = { seed, delaySeconds, concurrency, traceparent }
  const plan = { backend, journal, start, end, ...settings, states, control: message.control }
  if (!('name' in content)) return insertSlice({ ...plan, tasks: madeMessages(content, message.counts) })
  const sequence = await load(content)
  return insertSlice({ ...plan, tasks: sequence.slice(start, end) })
}

async function load({ name, url, fields }: SequenceReference) {
  if (url !== undefined) await importFile(url)
  const registered = findSliceable(name)
  if (registered !== undefined) return rebuildSequence(registered, fields)
  throw new Error(
    `Expected ${url} to register ${name} by sliceable() when a thread imports it; ${adviceOn('sliceable')}`,
  )
}

async function importFile(url: string): Promise<void> {
  try {
    await importOnce(url)
  } catch (cause) {
    throw notLoadedError(url, cause)
  }
}

function keepOpen(insert: number, { url, options, code }: QueueReference): OpenQueue {
  let queue = openQueues.get(insert)
  if (queue === undefined) {
    queue = { backend: openInThread({ url, options, code }), uses: 0, closing: undefined }
    // The slices that use it get the error; the next slice tries again.
    queue.backend.catch(() => openQueues.delete(insert))
    openQueues.set(insert, queue)
  }
  queue.uses++
  clearTimeout(queue.closing)
  return queue
}

async function openInThread({ url, options, code }: QueueReference): Promise<Backend> {
  if (code !== undefined) {
    await importFile(code)
    if (!isProtocolKnown(url.protocol)) {
      throw new Error(
        `Expected ${code} to register ${url.protocol}:// when a thread imports it; ${adviceOn('registerBackend')}`,
      )
    }
  }
  return openBackend(url, options)
}

function release(insert: number, queue: OpenQueue): void {
  if (--queue.uses > 0) return
  queue.closing = setTimeout(() => {
    openQueues.delete(insert)
    // A failure to open was reported by the slices; a failure to close becomes an unhandled error.
    void queue.backend.then(
      backend => backend.close(),
      () => undefined,
    )
  }, keptOpenMs)
  queue.closing.unref()
}
