/**
 * The grammar of names in `queue/`: `<available>--<id>.json`, with `<available>` in whole Unix seconds by the clock of the
 * filesystem (0: at once, never leased) and `<id>` a UUID in lower case. Python reads the same names.
 */
import { randomInt } from 'node:crypto'

/** A parsed name. */
export interface TaskName {
  readonly name: string
  readonly id: string
  /** Whole Unix seconds from which it may be leased. */
  readonly available: number
}

// At most 15 digits, so that the number is exact.
const maxDigits = 15
const separator = '--'
const suffix = '.json'
const idLength = 36
/** Length of the part after the time. */
const tailLength = separator.length + idLength + suffix.length

const zeroCode = '0'.charCodeAt(0)
const dashCode = '-'.charCodeAt(0)
const noDigit = 255
/** Values of the hexadecimal digits of an id. */
const hexValues = new Uint8Array(128).fill(noDigit)
for (const [value, digit] of [...'0123456789abcdef'].entries()) hexValues[digit.charCodeAt(0)] = value

/** Parses a name; `undefined` for one that is no task's (`.nfs…`, `.DS_Store`, an editor's copy). */
export function parseName(name: string): TaskName | undefined {
  const available = availableOf(name)
  return available === undefined ? undefined : { name, id: idOf(name), available }
}

/**
 * The time from which the task of this name may be leased; `undefined` for a name that is no task's. Character by
 * character: a folder has a million names, and a regular expression takes three times as long.
 */
export function availableOf(name: string): number | undefined {
  const digits = name.length - tailLength
  if (digits < 1 || digits > maxDigits) return undefined
  if (!name.startsWith(separator, digits) || !name.endsWith(suffix)) return undefined
  let available = 0
  for (let at = 0; at < digits; at++) {
    const digit = name.charCodeAt(at) - zeroCode
    if (!(digit >= 0 && digit <= 9)) return undefined
    available = available * 10 + digit
  }
  return hasId(name, digits + separator.length) ? available : undefined
}

/** The id in a name that is a task's. */
function idOf(name: string): string {
  return name.slice(name.length - suffix.length - idLength, -suffix.length)
}

/** The number of values that {@link placeOf} distinguishes. */
export const placeCount = 2 ** 36

/** The first 36 bits of the id (9 hexadecimal digits) in a name that is a task's: its place among the ids. */
export function placeOf(name: string): number {
  const start = name.length - suffix.length - idLength
  let place = 0
  for (let at = start; at < start + 8; at++) place = place * 16 + (hexValues[name.charCodeAt(at)] ?? 0)
  return place * 16 + (hexValues[name.charCodeAt(start + 9)] ?? 0)
}

// Times of claims have 15 digits, those of leases 10 for the next two centuries.
const firstClaim = 10 ** 14
const claimCount = 2 ** 47

/** A time that no other process chooses, for a name on the way to a lease. */
export function claimTime(): number {
  return firstClaim + randomInt(claimCount)
}

/** True for the time of a claim: a process is about to give the task its final name. */
export function isClaim(available: number): boolean {
  return available >= firstClaim
}

/** The even and the odd time of a task that was released uncounted. Not 0 and 1: 0 is for what was never leased. */
const releasedTimes = { even: 2, odd: 3 }

/**
 * The time of a task that is released uncounted, by its holder or by `releaseAll`: in 1970, when no lease ends. Even where `time`
 * is, see `endOfLease`.
 */
export function releasedTime(time: number): number {
  return time % 2 === 0 ? releasedTimes.even : releasedTimes.odd
}

/** True for the time of a task that was released uncounted: the name does not show how its last attempt ended. */
export function isReleased(available: number): boolean {
  return available === releasedTimes.even || available === releasedTimes.odd
}

/**
 * The end of a lease or a delay, in whole seconds, rounded up. For a task with a history it is odd if the name it was
 * found under is even, and the other way round. `releaseAll`, a failure and a release give a task a time of the past
 * that is even if the end of the lease was, or the name it was found under: so the holder whose lease `releaseAll`
 * ended can't reach the next one, which may be set to end within the same second.
 */
export function endOfLease(endSeconds: number, foundAvailable: number): number {
  const end = Math.ceil(endSeconds)
  return foundAvailable !== 0 && (end - foundAvailable) % 2 === 0 ? end + 1 : end
}

/** The name of a task that may be leased from `available` (whole Unix seconds). */
export function nameOf(available: number, id: string): string {
  return `${available}--${id}.json`
}

/** True for a UUID in lower case. */
export function isId(id: unknown): id is string {
  return typeof id === 'string' && id.length === idLength && hasId(id, 0)
}

/** True where the 36 characters from `start` are a UUID in lower case. */
function hasId(text: string, start: number): boolean {
  return (
    text.charCodeAt(start + 8) === dashCode &&
    text.charCodeAt(start + 13) === dashCode &&
    text.charCodeAt(start + 18) === dashCode &&
    text.charCodeAt(start + 23) === dashCode &&
    isHex(text, start, start + 8) &&
    isHex(text, start + 9, start + 13) &&
    isHex(text, start + 14, start + 18) &&
    isHex(text, start + 19, start + 23) &&
    isHex(text, start + 24, start + idLength)
  )
}

function isHex(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((hexValues[text.charCodeAt(at)] ?? noDigit) === noDigit) return false
  return true
}
