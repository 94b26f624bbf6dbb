/** Recognises a queue under another name: a symbolic link, a mount, a name and an address. */
import type { Backend } from '../backend/backend.js'

/** True if both are the same queue. */
export async function isSameQueue(one: Backend, other: Backend): Promise<boolean> {
  if (one.isSame !== undefined) return await one.isSame(other)
  return one.identity !== undefined && one.identity === other.identity && one.label === other.label
}
