/** Stores a task, with as much of its history as the queue accepts: a dead letter, or a task that leaves its pack. */

import type { Backend } from '../backend/backend.js'
import { type EarlierAttempts, messageWriter } from '../backend/envelope.js'
import type { Failure, Message } from '../backend/messages.js'
import { MessageRefusedError } from '../errors/errors.js'
import { type LeasedTask, passageOf, traceparentOf } from '../queue/queued-task.js'
import { type Range, sizeOf } from '../tasks/ranges.js'
import type { HeldPack } from './held-pack.js'
import type { PackedCall, PackedTask } from './packed-call.js'
import type { DeadLetters } from './worker-dependencies.js'

/** Length of the last reason if a longer one was refused. Characters. */
const shortReason = 100

/** Parameters of storing a task as a message of its own. */
interface StoredTask {
  readonly task: LeasedTask
  readonly failures: readonly Failure[]
  /** Attempts that the backend of this queue doesn't know of. Default: none */
  readonly earlier?: EarlierAttempts
  /** Default: 0 */
  readonly delaySeconds?: number
}

/**
 * Stores a dead letter.
 *
 * @param move deletes the task and stores the message instead, both or neither; false where it can't
 * @returns true if the task was deleted with it
 * @throws as {@link storeTask}, and what `move` throws
 */
export async function storeDeadLetter(
  { backend }: DeadLetters,
  task: LeasedTask,
  failures: readonly Failure[],
  move: (message: Message) => Promise<boolean>,
): Promise<boolean> {
  let isMoved = false
  await storeTask(backend, { task, failures }, async message => {
    try {
      isMoved = await move(message)
    } catch (error) {
      // With less history it may be taken.
      if (error instanceof MessageRefusedError) return error
      throw error
    }
    return isMoved ? undefined : insertOne(backend, message, 0)
  })
  return isMoved
}

/**
 * Stores a task with its history. If that makes it too large for the queue, the stack is left out, then all but the last failure,
 * then all but the start of its reason, then that too.
 *
 * @param store stores a message; resolves with the error where it could not
 * @throws MessageRefusedError if the queue refuses it without any history; any other error of the queue
 */
export async function storeTask(
  backend: Backend,
  { task, failures, earlier, delaySeconds = 0 }: StoredTask,
  store = (message: Message) => insertOne(backend, message, delaySeconds),
): Promise<void> {
  const write = messageWriter(backend.queueName, { ascii: backend.capabilities.asciiBodies ?? false })
  const withoutStack = failures.map(({ stack: _, ...failure }) => failure)
  const last = withoutStack.slice(-1)
  const short = last.map(failure => ({ ...failure, reason: failure.reason.slice(0, shortReason) }))
  const traceparent = traceparentOf(task)
  let refusal: Error | undefined
  for (const history of [failures, withoutStack, last, short, undefined]) {
    const body = write(task.payloadText, task.id, { failures: history, earlier, traceparent })
    const error = await store({ id: task.id, body, passage: passageOf(task) })
    if (error === undefined) return
    if (!(error instanceof MessageRefusedError)) throw error
    refusal = error
  }
  throw refusal
}

async function insertOne(backend: Backend, message: Message, delaySeconds: number): Promise<Error | undefined> {
  const [notStored] = await backend.insert([message], { delaySeconds })
  return notStored?.error
}

/** False for what a sequence made and JSON can't carry, or that is no task: it can't leave its pack. */
export function canBeStored({ pack, index, given }: PackedCall): boolean {
  if (!pack.isMade) return true
  try {
    return pack.contentOf(index, given).payloadText !== ''
  } catch {
    return false
  }
}

/**
 * The one task of `ranges`, to be stored under its own id; `undefined` where it can't be made or stored: it fails when its part of the
 * pack is run.
 */
export async function onlyTask(pack: HeldPack, ranges: readonly Range[]): Promise<PackedTask | undefined> {
  if (sizeOf(ranges) !== 1) return undefined
  const made = await pack.onlyTask(ranges).catch(() => undefined)
  return made !== undefined && canBeStored(made) ? made.task : undefined
}
