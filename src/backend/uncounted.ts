/** Warns of tasks that a queue stored or removed, but did not count. */

import { nameAndMessageOf } from '../errors/thrown.js'
import { counted } from '../text/counted.js'

/** The count that is missing. */
interface Uncounted {
  /** The queue as a person calls it. */
  readonly label: string
  readonly counter: 'inserted' | 'completed'
  readonly count: number
  /** One sentence more: what becomes of the count. */
  readonly note?: string
}

// Warned once: a worker whose queue can't write its counter would otherwise warn with every batch.
const warned = { inserted: new WeakSet<object>(), completed: new WeakSet<object>() }

/**
 * Warns of the first tasks of an open queue that a counter missed. No error: the tasks themselves were stored or removed, and a
 * caller who took that for a failure would store or run them a second time.
 *
 * @param queue the open queue: once for each, and for each of its counters
 */
export function warnUncounted(queue: object, { label, counter, count, note }: Uncounted, cause: unknown): void {
  if (warned[counter].has(queue)) return
  warned[counter].add(queue)
  const what = counter === 'inserted' ? `inserted into ${label}` : `finished and removed from ${label}`
  process.emitWarning(
    `${counted(count, 'task was', 'tasks were')} ${what}, but not counted as ${counter}: ${nameAndMessageOf(cause)}. ` +
      `${note ?? 'The count is that much too low.'} Said once for each open queue; later ones may be missing too.`,
    { type: 'PtqWarning', code: 'PTQ_NOT_COUNTED' },
  )
}
