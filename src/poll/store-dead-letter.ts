/** Stores a dead letter with as much of its history as the dead letter queue accepts. */

import { messageWriter } from '../backend/envelope.js'
import type { Failure, Message } from '../backend/messages.js'
import { MessageRefusedError } from '../errors/errors.js'
import { type LeasedTask, passageOf } from '../queue/queued-task.js'
import type { DeadLetters } from './worker-parts.js'

/** Length of the last reason if a longer one was refused. Characters. */
const shortReason = 100

/**
 * Stores a dead letter. If the history makes it too large for that queue, only the last failure is kept, then only the
 * start of its reason, then none.
 *
 * @throws MessageRefusedError if the queue refuses it without any history; any other error of the queue
 */
export async function storeDeadLetter(
  { backend }: DeadLetters,
  task: LeasedTask,
  failures: readonly Failure[],
): Promise<void> {
  const write = messageWriter(backend.queueName, { ascii: backend.capabilities.asciiBodies ?? false })
  const last = failures.slice(-1)
  const short = last.map(failure => ({ ...failure, reason: failure.reason.slice(0, shortReason) }))
  let refusal: Error | undefined
  for (const history of [failures, last, short, undefined]) {
    const message = { id: task.id, body: write(task.payloadText, task.id, history), passage: passageOf(task) }
    const error = await store(backend, message)
    if (error === undefined) return
    if (!(error instanceof MessageRefusedError)) throw error
    refusal = error
  }
  throw refusal
}

async function store(backend: DeadLetters['backend'], message: Message): Promise<Error | undefined> {
  const [notStored] = await backend.insert([message], { delaySeconds: 0 })
  return notStored?.error
}
