/** Decides if two queues are one under two names: those of a host, or of clients that the user passed. */
import { randomUUID } from 'node:crypto'
import type { RedisQueue } from './queue.js'

/** Seconds that a mark stays if its creator dies. */
const markSeconds = 60

/** True where a mark that is made in one is found in the other. */
export async function isSameQueue(one: RedisQueue, other: RedisQueue): Promise<boolean> {
  if (one === other) return true
  if (one.name !== other.name) return false
  const mark = one.key(`same:${randomUUID()}`)
  const what = `tell ${one.label} from ${other.label}`
  await one.connection.ask(what, 'SET', mark, '', 'EX', markSeconds)
  const found = await other.connection.ask(what, 'EXISTS', mark)
  await one.connection.ask(what, 'DEL', mark)
  return found === 1
}
