/** Prepares the arguments of a bulk insert: everything is checked before anything is changed. */
import { createHash } from 'node:crypto'
import type { Backend, BackendOptions, QueueUrl } from '../backend/backend.js'
import { argumentError, UnsupportedOperationError } from '../errors/errors.js'
import { backendFile } from '../queue/open-backend.js'
import { payloadText } from '../queue/payload-text.js'
import type { BareTask } from '../tasks/task.js'
import { type TaskIterable, TaskSource } from '../tasks/task-source.js'
import { refuseInThread } from '../threads/pool.js'
import type { BulkInsertTasks } from './bulk-insert.js'
import { cloneableOptions } from './cloneable-options.js'
import { requireImportable, sliceableSequence } from './sequence.js'
import type { QueueReference } from './slice-messages.js'

/** Names that are also folder names on every filesystem. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** @throws TypeError unless it is a name of the form that journals can have */
export function checkResumeName(name: unknown): string | undefined {
  if (name === undefined || (typeof name === 'string' && namePattern.test(name))) return name
  throw argumentError(
    'resume',
    'a name of up to 100 letters, digits, `.`, `_` and `-`, the first a letter or digit',
    name,
  )
}

/**
 * Prepares the tasks for a bulk insert.
 *
 * @param options.threads 0: the calling thread, which needs no file of the sequence's class
 * @param options.pack tasks of a message; `undefined`: each has its own. Slices are made into packs by the caller
 * @throws TypeError or Error if threads can't rebuild the sequence
 */
export function bulkInsertTasks(
  tasks: TaskIterable<BareTask>,
  { total, threads, pack }: { total: number | undefined; threads: number; pack: number | undefined },
): BulkInsertTasks {
  const sequence = sliceableSequence(tasks)
  if (sequence === undefined) {
    const mark = `${markOf(tasks)}${pack === undefined ? '' : ` in packs of ${pack}`}`
    return { source: new TaskSource(tasks), total, pack, mark }
  }
  if (threads > 0) requireImportable(sequence.reference)
  return { sliceable: sequence }
}

/**
 * Returns what threads need to open a queue.
 *
 * @throws TypeError or Error if they can't
 */
export function queueReference(url: QueueUrl, options: BackendOptions): QueueReference {
  refuseInThread()
  return { url, options: cloneableOptions(options), code: backendFile(url.protocol) }
}

/** @throws UnsupportedOperationError where the queue can't be opened in other threads */
export function requireThreads(backend: Backend): void {
  if (backend.capabilities.threads ?? true) return
  throw new UnsupportedOperationError(
    `${backend.label} is in the memory of this thread, so other threads can't insert into it: insert with \`parallel: 0\``,
  )
}

/** Identifies arrays by their first and last task, which is cheap; other iterables can't be identified. */
function markOf(tasks: TaskIterable): string {
  if (!Array.isArray(tasks)) return 'an iterable'
  const digest = createHash('sha256')
  for (const task of tasks.length === 0 ? [] : [tasks[0], tasks.at(-1)]) digest.update(payloadText(task))
  return `an array ${digest.digest('hex').slice(0, 16)}`
}
