/** Reads what the command of a task wrote, out of the logs of the workers. */

import { type OutputPiece, readLog } from '../commands/log-reader.js'
import { checkBoolean, checkNames } from '../errors/check-options.js'
import { argumentError, UnsupportedOperationError } from '../errors/errors.js'
import { findTask } from './listing.js'
import type { QueueConnection } from './queue-connection.js'

/** Options of `TaskQueue.taskOutput`. */
export interface TaskOutputOptions {
  /** Which attempt. Default: the last one. */
  readonly attempt?: number
  /** Continue while the command runs. Default: false. */
  readonly follow?: boolean
  /** Where the workers keep their logs. Default: the queue's own folder for that. */
  readonly logFolder?: string
  /** Its abort ends the reading, with its reason. */
  readonly signal?: AbortSignal
}

/**
 * Yields the output of a task's command.
 *
 * @throws Error where the logs have no such task
 * @throws UnsupportedOperationError where the queue has no folder for logs, and none was named
 */
export async function* taskOutput(
  queue: QueueConnection,
  id: string,
  options: TaskOutputOptions,
): AsyncGenerator<OutputPiece, void, undefined> {
  checkNames('options of taskOutput', options, ['attempt', 'follow', 'logFolder', 'signal'])
  if (typeof id !== 'string' || id === '') throw argumentError('id', 'the id of a task', id)
  const { attempt, signal } = options
  const backend = await queue.backend.open()
  const folder = options.logFolder ?? backend.logFolder
  if (folder === undefined) {
    throw new UnsupportedOperationError(
      `${backend.label} has no folder for logs: pass that of its workers as \`logFolder\``,
    )
  }
  // Where looking would mean leasing, only the command's own end tells.
  const isRunning = async (whole: string) =>
    backend.list === undefined || (await findTask(backend, whole))?.state === 'leased'
  const follow = checkBoolean('follow', options.follow, false)
  yield* readLog(folder, id, { attempt, signal, isRunning: follow ? isRunning : undefined })
}
