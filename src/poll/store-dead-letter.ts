/** Storing a dead letter with as much of its history as the queue for dead letters takes. */

import { messageWriter } from '../backend/envelope.js'
import type { Failure, Message } from '../backend/messages.js'
import { MessageRefusedError } from '../errors/errors.js'
import { type LeasedTask, passageOf } from '../queue/queued-task.js'
import type { DeadLetters } from './worker-parts.js'

/** The reason of the last failure in a history that was refused otherwise. Characters. */
const shortReason = 100

/**
 * Stores a dead letter. Where its history makes it larger than that queue takes, only the last failure is kept, then only
 * the beginning of its reason, then none.
 *
 * @throws MessageRefusedError where the queue refuses it without any history; what else the queue fails of
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
