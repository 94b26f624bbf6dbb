/**
 * Reasons that differ only in numbers that vary a lot (frames, sizes, ids) are one group, with `…` for these numbers.
 * Those with few values stay, since they tell kinds apart: `HTTP 404` from `HTTP 503`.
 */

// A number, a hexadecimal one, a UUID: what holds a digit, up to whatever is neither letter, digit, `_` nor `-`.
const NUMBERS = /\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b|\b0x[\da-f]+\b|\d+(?:\.\d+)?/gi

/** With more values than this a number is no kind of failure. */
const KINDS = 10

const VARYING = '…'

export interface ReasonGroup {
  /** As it is where all are the same; otherwise with `…` for what varies. */
  readonly reason: string
  readonly count: number
}

/** @param counts how often each reason came. @returns the groups, the most frequent first */
export function groupReasons(counts: ReadonlyMap<string, number>): ReasonGroup[] {
  const valuesAt = new Map<string, Set<string>[]>()
  for (const reason of counts.keys()) {
    const form = reason.replace(NUMBERS, VARYING)
    const values = valuesAt.get(form) ?? []
    valuesAt.set(form, values)
    for (const [place, [value]] of [...reason.matchAll(NUMBERS)].entries()) {
      const known = values[place] ?? new Set()
      values[place] = known.add(value)
    }
  }
  const groups = new Map<string, number>()
  for (const [reason, count] of counts) {
    const values = valuesAt.get(reason.replace(NUMBERS, VARYING)) ?? []
    let place = 0
    const group = reason.replace(NUMBERS, value => ((values[place++]?.size ?? 0) > KINDS ? VARYING : value))
    groups.set(group, (groups.get(group) ?? 0) + count)
  }
  return [...groups].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count)
}
