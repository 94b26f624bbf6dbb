/** The tasks of the torture: each writes into the ledger that it was run. What kind it is stands in its key. */
import { setTimeout } from 'node:timers/promises'
import { context, queueable } from 'ptq'
import { note } from './ledger.js'

/** `n`ormal, `s`low (longer than a lease), `f`laky (fails the first time), `p`oison (always fails), `x` (ends its thread once). */
export type Kind = 'n' | 's' | 'f' | 'p' | 'x'

/** Longer than the lease, so that it has to be renewed. Milliseconds. */
const SLOW_MS = 3_500

/** A key that no other contains: keys end with a full stop. */
export function keyOf(kind: Kind, inserter: string, index: number): string {
  return `${kind}-${inserter}-${index}.`
}

export function kindOf(key: string): string {
  return key.slice(0, 1)
}

export const leaveTrace = queueable(async function leaveTrace(key: string, ledger: string): Promise<void> {
  const { attempt } = context()
  const kind = kindOf(key)
  if (kind === 'p' || (kind === 'f' && attempt === 1)) throw new RangeError(`task ${key} fails at attempt ${attempt}`)
  if (kind === 'x' && attempt === 1) process.exit(1)
  if (kind === 's') await setTimeout(SLOW_MS)
  note(ledger, 'run', [key])
})

/** The kind of the n-th task: mostly normal ones. */
export function kindAt(index: number): Kind {
  if (index % 500 === 250) return 's'
  if (index % 100 === 50) return 'f'
  if (index % 1000 === 777) return 'p'
  return index % 700 === 333 ? 'x' : 'n'
}
