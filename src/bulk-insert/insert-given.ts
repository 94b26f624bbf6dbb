/** Inserts the tasks that a caller gave, in the way that the options ask for: in batches, or in slices. */

import { checkBoolean, checkInteger, checkNames, checkParallel } from '../errors/check-options.js'
import { insertTasks } from '../queue/insert.js'
import { checkPackSize, PackSource } from '../queue/pack-source.js'
import { payloadText, taskCount } from '../queue/payload-text.js'
import type { QueueConnection } from '../queue/queue-connection.js'
import type { InsertOptions } from '../queue/task-queue-options.js'
import { slicePacks } from '../tasks/slice-packs.js'
import type { BareTask } from '../tasks/task.js'
import { type TaskIterable, TaskSource } from '../tasks/task-source.js'
import { delaySeconds, requireSeconds } from '../time/seconds.js'
import { QueueSpans } from '../tracing/queue-spans.js'
import { bulkInsert } from './bulk-insert.js'
import { bulkInsertTasks, checkResumeName, queueReference, requireThreads } from './plan.js'

/** The options of an insert, checked. */
export interface CheckedInsert {
  readonly delay: number
  readonly total: number | undefined
  readonly threads: number
  readonly resume: string | undefined
  readonly pack: number | undefined
  readonly skipInsertCounter: boolean
}

/** @throws TypeError where an option is not of its form */
export function checkInsertOptions(options: InsertOptions): CheckedInsert {
  checkNames('options of insert', options, ['delaySeconds', 'total', 'parallel', 'resume', 'pack', 'skipInsertCounter'])
  return {
    skipInsertCounter: checkBoolean('skipInsertCounter', options.skipInsertCounter, false),
    delay: requireSeconds('delaySeconds', options.delaySeconds ?? 0, { zero: true }),
    total: options.total === undefined ? undefined : checkInteger('total', options.total, 0),
    threads: checkParallel(options.parallel, 0),
    resume: checkResumeName(options.resume),
    pack: checkPackSize(options.pack),
  }
}

/**
 * Inserts tasks into a queue.
 *
 * @param total the number of tasks, if it is known
 * @returns how many were inserted; of a resumed insert, those that were missing
 * @throws InsertError with how many were inserted, failed and not tried
 * @throws UnsupportedOperationError with threads, where the queue can't be opened in them
 */
export async function insertGiven(
  queue: QueueConnection,
  tasks: TaskIterable<BareTask>,
  total: number | undefined,
  { delay, threads, resume, pack, skipInsertCounter }: CheckedInsert,
): Promise<number> {
  const { concurrency, progress } = queue
  const slices = pack === undefined ? undefined : slicePacks(tasks, pack)
  const isBulk = threads > 0 || resume !== undefined
  const bulk = isBulk ? bulkInsertTasks(slices ?? tasks, { total, threads, pack }) : undefined
  const reference = threads > 0 ? queueReference(queue.queueUrl, { ...queue.options, concurrency }) : undefined
  return queue.backend.use(async backend => {
    if (threads > 0) requireThreads(backend)
    const settings = {
      delaySeconds: delaySeconds('delaySeconds', delay, backend.capabilities, backend.label),
      concurrency,
      progress,
      skipInsertCounter,
      signal: queue.backend.signal,
    }
    const insert = (traceparent: string | undefined) => {
      const plan = { ...settings, traceparent }
      if (bulk !== undefined) return bulkInsert({ ...plan, backend, queue: reference, tasks: bulk, threads, resume })
      const source = new TaskSource<BareTask>(slices ?? tasks)
      return insertTasks(
        backend,
        pack === undefined || slices !== undefined ? source : new PackSource(source, { size: pack, backend }),
        { ...plan, textOf: payloadText, countOf: taskCount, total },
      )
    }
    const spans = QueueSpans.of(queue.queueUrl.protocol, backend.queueName)
    return spans === undefined ? insert(undefined) : spans.send(insert)
  })
}
