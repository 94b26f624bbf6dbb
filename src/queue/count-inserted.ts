/** Counts tasks that were inserted. */
import type { Backend } from '../backend/backend.js'
import { warnUncounted } from '../backend/uncounted.js'

/**
 * Adds to the queue's count of inserted tasks, where it keeps one. A failure is a warning, see `warnUncounted`.
 *
 * @param note one sentence for the warning: what becomes of the count
 * @returns whether it was counted
 */
export async function countInserted(backend: Backend, count: number, note?: string): Promise<boolean> {
  try {
    await backend.addInserted?.(count)
    return true
  } catch (error) {
    warnUncounted(backend, { label: backend.label, counter: 'inserted', count, ...(note && { note }) }, error)
    return false
  }
}
