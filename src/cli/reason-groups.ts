/**
 * Groups failure reasons that differ only in values: numbers first (frames, sizes, ids), then paths and quoted texts.
 * A value that repeats tells kinds of failures apart and stays, as does one that is named as a code: `HTTP 404`.
 */

interface ValueKind {
  readonly pattern: RegExp
  /** Replacement for values that vary; quotes around them stay. */
  readonly placeholder: string
}

// A UUID, a hexadecimal number, a decimal one.
const numbers: ValueKind = {
  pattern: /\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b|\b0x[\da-f]+\b|\d+(?:\.\d+)?/gi,
  placeholder: '…',
}

const texts: ValueKind = {
  pattern: /(?<=')[^']+(?=')|(?<=")[^"]+(?=")|(?<=`)[^`]+(?=`)|(?:[A-Za-z]:)?(?:[\w.~…-]*[/\\])+[\w.…-]+/g,
  placeholder: '…',
}

/** A number behind one of these words names a kind of failure, however often it comes. */
const codeWords = /\b(?:HTTP(?:\/[\d.]+)?|status(?: ?code)?|code|errno|signal|exit(?:ed with)?|error|line)[ :=#]*$/i

/** A value that comes at least so often on average tells kinds apart. */
const repeats = 1.5

/** With more values than this a number is no kind of failure. */
const maxKinds = 10

export interface ReasonGroup {
  /** As it is where all are the same; otherwise with `…` for what varies. */
  readonly reason: string
  readonly count: number
}

/** @param counts how often each reason came. @returns the groups, the most frequent first */
export function groupReasons(counts: ReadonlyMap<string, number>): ReasonGroup[] {
  const groups = groupBy(texts, groupBy(numbers, counts))
  return [...groups].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count)
}

/** How often each value came at one place of a form. */
type ValueCounts = Map<string, number>

function groupBy(kind: ValueKind, counts: ReadonlyMap<string, number>): Map<string, number> {
  const placesOf = new Map<string, ValueCounts[]>()
  for (const [reason, count] of counts) {
    const form = formOf(reason, kind)
    const places = placesOf.get(form) ?? []
    placesOf.set(form, places)
    for (const [place, [value]] of [...reason.matchAll(kind.pattern)].entries()) {
      const values: ValueCounts = places[place] ?? new Map()
      places[place] = values.set(value, (values.get(value) ?? 0) + count)
    }
  }
  const groups = new Map<string, number>()
  for (const [reason, count] of counts) {
    const places = placesOf.get(formOf(reason, kind)) ?? []
    let place = 0
    const group = reason.replace(kind.pattern, (value: string, ...rest: unknown[]) => {
      const at = rest.find(each => typeof each === 'number') ?? 0
      const isVarying = varies(places[place++]) && !(kind === numbers && codeWords.test(reason.slice(0, at)))
      return isVarying ? kind.placeholder : value
    })
    groups.set(group, (groups.get(group) ?? 0) + count)
  }
  return groups
}

function formOf(reason: string, { pattern, placeholder }: ValueKind): string {
  return reason.replace(pattern, placeholder)
}

function varies(values: ValueCounts | undefined): boolean {
  if (values === undefined || values.size < 2) return false
  if (values.size > maxKinds) return true
  const total = [...values.values()].reduce((sum, count) => sum + count, 0)
  return total < values.size * repeats
}
