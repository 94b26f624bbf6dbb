/**
 * Ids of packs: messages that hold several tasks. The id contains the number of tasks, so that a listing counts tasks
 * without reading messages.
 *
 * An id is a UUID of version 8. Of its 122 bits, 60 are those of a random or derived UUID, 30 are the number of tasks, and 32 are a
 * checksum of both: the other ids of version 8, those of a bulk insert, use all their bits, and one in 2^32 of them has that
 * checksum by chance. A worker reads what a message holds from its payload, never from its id.
 */
import { half, mix, word } from './task-ids.js'

/** The most tasks of a message. */
export const maxTasksOfMessage = 1_000_000_000

const versionAt = 14
const countBits = 0x3fffffff

/**
 * The id of a message with `count` tasks.
 *
 * @param base a UUID: random, or one that is made from what the message is
 */
export function packId(base: string, count: number): string {
  if (count === 1) return base
  const first = `${base.slice(0, versionAt)}8${base.slice(versionAt + 1, versionAt + 4)}`
  const high = half(((count >>> 16) & 0x3fff) | 0x8000)
  return `${first}-${high}-${half(count & 0xffff)}${word(checksum(first, count))}`
}

/** The number of tasks of the message that has this id. */
export function tasksOfMessage(id: string): number {
  if (id[versionAt] !== '8') return 1
  const count = ((Number.parseInt(id.slice(19, 23), 16) << 16) | Number.parseInt(id.slice(24, 28), 16)) & countBits
  const isPack = count > 1 && id.endsWith(word(checksum(id.slice(0, 18), count)))
  return isPack ? count : 1
}

/** The number of tasks of some messages. */
export function tasksIn(messages: Iterable<{ readonly id: string }>): number {
  let tasks = 0
  for (const { id } of messages) tasks += tasksOfMessage(id)
  return tasks
}

/** @param first the first 18 characters of the id */
function checksum(first: string, count: number): number {
  const a = Number.parseInt(first.slice(0, 8), 16)
  const b = Number.parseInt(first.slice(9, 13) + first.slice(15, 18), 16)
  return mix(mix(a, b), mix(count, a ^ 0x9e3779b9))
}
