/** The tasks of the torture: each writes its run into the ledger. Its kind is part of its key. */
import { appendFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { context, type QueuedTask, queueable } from 'ptq'
import { note } from './ledger.js'

/**
 * `n`ormal, `s`low (longer than a lease), `f`laky (fails the first time), `p`oison (always fails), `d`ies (fails until
 * it is retried from the dead letters), `x` (ends its thread once), `k`ills its worker each time, `r`ate-limited: fails
 * more than maxAttempts times, with an error of `backoffExceptions`.
 */
export type Kind = 'n' | 's' | 'f' | 'p' | 'd' | 'x' | 'k' | 'r'

/** The error of rate-limited tasks, for `backoffExceptions`. */
export const RATE_LIMIT = 'RateLimitError'

/** More often than `maxAttempts`. */
const LIMITED_RUNS = 7

/** Longer than the lease, so that it has to be renewed. Milliseconds. */
export const SLOW_MS = 3_500

/**
 * The path of a task into the queue: inserted there, uploaded under a name, inserted into the intake and handed over by
 * a mover, inserted into the transit queue and carried by `ptq mv` to the depot and from there, or stored in the depot.
 */
export type Way = 'inserted' | 'upload' | 'handed' | 'carried' | 'stored'

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
  return text.match(/\b[nsfpdxkr]-(?:inserted|upload|handed|carried|stored)\d+-\d+\./g) ?? []
}

export function kindOf(key: string): string {
  return key.slice(0, 1)
}

/** True if a task has to be a dead letter in the end. */
export function isPoison(key: string): boolean {
  return kindOf(key) === 'p' || kindOf(key) === 'k'
}

/** True if a task fails less often than maxAttempts: it must never be a dead letter, not even for a time. */
export function isHealthy(key: string): boolean {
  return !isPoison(key) && kindOf(key) !== 'd'
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

export function isStored(key: string): boolean {
  return key.startsWith('stored', 2)
}

/** From this call on a task of kind `d` succeeds. */
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
  if (kind === 'k') {
    // Records that this worker was ended by the task.
    note(ledger, 'SIGKILL', ['poison'])
    process.kill(process.pid, 'SIGKILL')
  }
  if (kind === 'r' && countRun(`${ledger}.limited`, key) < LIMITED_RUNS) {
    throw Object.assign(new Error('not now'), { name: RATE_LIMIT })
  }
  if (kind === 's') await setTimeout(SLOW_MS)
  note(ledger, 'run', [key])
})

/** The number of earlier calls for this key. */
function countRun(folder: string, key: string): number {
  mkdirSync(folder, { recursive: true })
  appendFileSync(`${folder}/${key}`, '.')
  return statSync(`${folder}/${key}`).size - 1
}

/** The kind of the n-th task: mostly normal ones. Those that kill their worker are inserted one by one. */
export function kindAt(index: number): Kind {
  if (index % 500 === 250) return 's'
  if (index % 100 === 50) return 'f'
  if (index % 1000 === 777) return 'p'
  if (index % 100 === 23) return 'd'
  if (index % 400 === 110) return 'r'
  return index % 700 === 333 ? 'x' : 'n'
}
