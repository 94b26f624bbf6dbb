/** Stores messages. */

import type { BatchFailure, Message } from '../../backend/messages.js'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { isError } from '../../errors/thrown.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { storeNew } from './stored-messages.js'

/**
 * Messages of one script: a millisecond or two in which the server serves no other client. Long bodies are sent fewer
 * at a time.
 */
export const insertBatch = 250
const insertBytes = 4_000_000

/** Arguments: delay in ms, sizes of packs, then id and body of each. Replies with how many were new. */
const insertScript = new Script(
  'once',
  `${storeNew}
local at = now()
local stored = storeNew(ARGV[5], 6, at + ARGV[4], at)
record(stored)
return { stored }
`,
)

/** Stores messages in calls of a bounded size; if a later call fails, its messages and the rest are the failures. */
export async function insertMessages(
  queue: RedisQueue,
  messages: readonly Message[],
  delaySeconds: number,
): Promise<readonly BatchFailure[]> {
  let start = 0
  for (const part of partsOf(messages)) {
    try {
      await queue.run(insertScript, 'insert into', [Math.round(delaySeconds * 1000), ...argumentsOf(part)])
    } catch (error) {
      if (start === 0 || !isError(error)) throw error
      return messages.slice(start).map((_, offset) => ({ index: start + offset, error }))
    }
    start += part.length
  }
  return []
}

/** Splits messages into those of one call each. */
export function* partsOf(messages: readonly Message[]): Generator<readonly Message[]> {
  let start = 0
  let bytes = 0
  for (const [index, { body }] of messages.entries()) {
    if (index > start && (index - start === insertBatch || bytes + body.length > insertBytes)) {
      yield messages.slice(start, index)
      start = index
      bytes = 0
    }
    bytes += body.length
  }
  if (start < messages.length) yield messages.slice(start)
}

/** Messages as `storeNew` takes them: id and number of tasks of each pack in one text, then id and body of each message. */
export function argumentsOf(messages: readonly Message[]): string[] {
  const sizes: string[] = []
  for (const { id } of messages) {
    const size = tasksOfMessage(id)
    if (size > 1) sizes.push(`${id} ${size}`)
  }
  return [sizes.join(' '), ...messages.flatMap(({ id, body }) => [id, body])]
}
