/** Lists, finds, counts and purges dead letters. */

import type { Backend, QueueUrl } from '../backend/backend.js'
import { parseQueueUrl } from '../backend/queue-url.js'
import { withPasswordOf } from '../backend/server-url.js'
import { argumentError, UnsupportedOperationError } from '../errors/errors.js'
import { findTask, listTasks } from './listing.js'
import { OpenOnce } from './open-backend.js'
import type { QueueConnection } from './queue-connection.js'
import type { ListedTask } from './queued-task.js'
import { isSameQueue } from './same-queue.js'

/**
 * The dead-letter queue of a queue; `undefined` if it has none.
 * @param named the queue that was named for them
 */
export function deadLettersOf(
  { options, queueUrl }: QueueConnection,
  backend: Backend,
  named: QueueUrl | undefined,
): OpenOnce | undefined {
  const { deadLetterUrl } = backend
  // A URL that a backend gives is absolute.
  const url = named ?? (deadLetterUrl === undefined ? undefined : parseQueueUrl(deadLetterUrl, { cwd: '/', home: '/' }))
  if (url === undefined) return undefined
  return new OpenOnce(withPasswordOf(url, queueUrl), options, async letters => {
    if (await isSameQueue(backend, letters)) {
      throw argumentError('deadLetter', `another queue than ${backend.label} under another name`, letters.label)
    }
  })
}

/** Yields dead letters; none if the dead-letter queue doesn't exist yet. */
export async function* listFailures(
  queue: QueueConnection,
  deadLetter: string | undefined,
): AsyncGenerator<ListedTask, void, undefined> {
  const dead = requireDeadLetters(queue, await queue.backend.open(), deadLetter)
  try {
    const backend = await dead.open()
    if ((await backend.exists?.()) === false) return
    for await (const letter of listTasks(backend)) {
      queue.backend.requireOpen()
      yield letter
    }
  } finally {
    await dead.close()
  }
}

/**
 * The dead letter whose id is `id` or begins with it.
 *
 * @throws Error where several ids begin with it, or its message is no task
 */
export async function findFailure(
  queue: QueueConnection,
  id: string,
  deadLetter: string | undefined,
): Promise<ListedTask | undefined> {
  return queue.backend.use(async backend => {
    const dead = requireDeadLetters(queue, backend, deadLetter)
    try {
      const letters = await dead.open()
      return (await letters.exists?.()) === false ? undefined : await findTask(letters, id)
    } finally {
      await dead.close()
    }
  })
}

/** The number of dead letters: 0 if the dead-letter queue doesn't exist yet, NaN if there is none. */
export async function countFailures(
  queue: QueueConnection,
  backend: Backend,
  deadLetter: string | undefined,
): Promise<number> {
  const named = deadLetter === undefined ? undefined : queue.deadLetterUrl(deadLetter)
  const dead = deadLettersOf(queue, backend, named)
  if (dead === undefined) return Number.NaN
  try {
    const letters = await dead.open()
    return (await letters.exists?.()) === false ? 0 : (await letters.counts()).enqueued
  } finally {
    await dead.close()
  }
}

/** Removes every dead letter. @throws UnsupportedOperationError if there is no dead-letter queue */
export async function purgeFailures(queue: QueueConnection, deadLetter: string | undefined): Promise<void> {
  await queue.backend.use(async backend => {
    const dead = requireDeadLetters(queue, backend, deadLetter)
    try {
      const letters = await dead.open()
      if ((await letters.exists?.()) !== false) await letters.purge({ native: false })
    } finally {
      await dead.close()
    }
  })
}

/** The same as {@link deadLettersOf}. @throws UnsupportedOperationError if the queue has none, and none was named */
export function requireDeadLetters(queue: QueueConnection, backend: Backend, deadLetter: string | undefined): OpenOnce {
  const named = deadLetter === undefined ? undefined : queue.deadLetterUrl(deadLetter)
  const letters = deadLettersOf(queue, backend, named)
  if (letters !== undefined) return letters
  throw new UnsupportedOperationError(
    `${backend.label} has no dead letters of its own: pass the URL of the queue as \`deadLetter\``,
  )
}
