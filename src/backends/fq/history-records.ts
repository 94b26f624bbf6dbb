/** The lines of a task's records, see `history.ts`: names in `movement/<id>`, failures in `failures/<id>`. */
import type { Failure } from '../../backend/messages.js'
import { failuresFrom } from '../../backend/recorded-failures.js'
import { availableOf, isReleased, nameOf, parseName } from './names.js'

/** A line of `failures/<id>`: the failure, and until when the task waits. */
export interface FailureLine extends Failure {
  /** Whole Unix seconds by the queue's clock: the task may be leased from then on. */
  readonly until: number
}

/** A line of `failures/<id>`: in this attempt the task runs alone; with `over`, that attempt was released uncounted. */
export interface AloneLine {
  readonly alone: number
  readonly over?: true
}

/** The content of `failures/<id>`. */
interface FailureRecord {
  readonly failures: readonly FailureLine[]
  /** The attempts in which the task ran alone. */
  readonly alone: ReadonlySet<number>
}

/**
 * Parses `failures/<id>`. Other lines were cut off by the death of their writer, or are not ours; the attempt is then
 * counted by the task's name.
 */
export function recordOf(text: string | undefined): FailureRecord {
  const failures: FailureLine[] = []
  const alone = new Set<number>()
  for (const line of linesOf(text)) {
    const value = jsonOf(line)
    if (isAlone(value)) {
      if (value.over) alone.delete(value.alone)
      else alone.add(value.alone)
      continue
    }
    const [failure] = failuresFrom([value])
    if (failure === undefined || !('until' in failure) || typeof failure.until !== 'number') continue
    failures.push({ ...failure, until: failure.until })
  }
  return { failures, alone }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function isAlone(value: unknown): value is AloneLine {
  return typeof value === 'object' && value !== null && 'alone' in value && typeof value.alone === 'number'
}

function linesOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split('\n').filter(line => line !== '')
}

/**
 * The names in a record. An invalid line was cut off by the death of its writer: it counts as the end of an attempt,
 * unless it is the first, which is the name that the task began with.
 */
export function namesOf(text: string | undefined, id: string): string[] {
  return linesOf(text).filter((line, index) => index > 0 || parseName(line)?.id === id)
}

/**
 * The lines that are ends of attempts. An earlier version of this program, which may work on the queue too, also writes
 * a line when it leases a task that was released uncounted: that is no end.
 */
export function endsIn(names: readonly string[], id: string): readonly string[] {
  const [first, second] = names
  const isDelay = first !== undefined && first === second
  const later = first === nameOf(0, id) ? names.slice(1) : isDelay ? names.slice(2) : names
  return later.filter(name => !isReleased(availableOf(name) ?? 0))
}

/**
 * The ends of attempts among lines of which Python wrote the last one, at `writtenSeconds`. That was a lease or its
 * renewal, so its time shows for how long Python leases; or a release, which has a time before that of the lease that
 * it ended, and so shows how long that lease was at least. A name that is followed by one less than a lease later did
 * not expire: the lease was renewed or released. A release is no end of an attempt either.
 */
export function endsOfPython(names: readonly string[], writtenSeconds: number): string[] {
  const times = names.map(name => availableOf(name) ?? Number.NaN)
  const [before = 0, last = 0] = times.slice(-2)
  const wasReleased = names.length > 1 && last < before
  const leaseSeconds = wasReleased ? before - last + 1 : last - writtenSeconds
  return names.filter((_, index) => {
    const laterSeconds = (times[index + 1] ?? Number.POSITIVE_INFINITY) - (times[index] ?? Number.NaN)
    return !(laterSeconds < leaseSeconds || laterSeconds < 0) && !(wasReleased && index === names.length - 1)
  })
}
