/** The tasks of the torture: each writes into the ledger that it was run. What kind it is stands in its key. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { context, type QueuedTask, queueable } from 'ptq'
import { note } from './ledger.js'

/**
 * `n`ormal, `s`low (longer than a lease), `f`laky (fails the first time), `p`oison (always fails), `d`ies (fails until it
 * is brought back from the dead letters), `x` (ends its thread once).
 */
export type Kind = 'n' | 's' | 'f' | 'p' | 'd' | 'x'

/** Longer than the lease, so that it has to be renewed. Milliseconds. */
const SLOW_MS = 3_500

/**
 * How a task gets into the queue: inserted there, uploaded under a name, inserted into the intake and handed over by a mover,
 * or inserted elsewhere and carried by `ptq mv`.
 */
export type Way = 'inserted' | 'upload' | 'handed' | 'carried'

/** A key that no other contains: keys end with a full stop. `maker`: the inserter's, or the upload's, number. */
export function keyOf(kind: Kind, way: Way, maker: string, index: number): string {
  return `${kind}-${way}${maker}-${index}.`
}

/** The key of a task that `leaveTrace` runs. */
export function keyIn(task: QueuedTask): string {
  const payload = task.payload()
  const key: unknown = Array.isArray(payload) ? payload[1][0] : undefined
  if (typeof key !== 'string') throw new Error(`Expected a task of the torture, got ${task.payloadText}`)
  return key
}

/** The keys in a text: a message's, or a whole batch's. */
export function keysIn(text: string): string[] {
  return text.match(/\b[nsfpdx]-(?:inserted|upload|handed|carried)\d+-\d+\./g) ?? []
}

export function kindOf(key: string): string {
  return key.slice(0, 1)
}

export function isUploaded(key: string): boolean {
  return key.startsWith('upload', 2)
}

export function isHanded(key: string): boolean {
  return key.startsWith('handed', 2)
}

export function isCarried(key: string): boolean {
  return key.startsWith('carried', 2)
}

/** From now on a task that dies succeeds. */
export function heal(ledger: string, key: string): void {
  mkdirSync(`${ledger}.healed`, { recursive: true })
  writeFileSync(`${ledger}.healed/${key}`, '')
}

export const leaveTrace = queueable(async function leaveTrace(key: string, ledger: string): Promise<void> {
  const { attempt } = context()
  const kind = kindOf(key)
  const fails =
    kind === 'p' || (kind === 'f' && attempt === 1) || (kind === 'd' && !existsSync(`${ledger}.healed/${key}`))
  if (fails) throw new RangeError(`task ${key} fails at attempt ${attempt}`)
  if (kind === 'x' && attempt === 1) process.exit(1)
  if (kind === 's') await setTimeout(SLOW_MS)
  note(ledger, 'run', [key])
})

/** The kind of the n-th task: mostly normal ones. */
export function kindAt(index: number): Kind {
  if (index % 500 === 250) return 's'
  if (index % 100 === 50) return 'f'
  if (index % 1000 === 777) return 'p'
  if (index % 100 === 23) return 'd'
  return index % 700 === 333 ? 'x' : 'n'
}
