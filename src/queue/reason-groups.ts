/**
 * Groups failure reasons that differ only in values: numbers first (frames, sizes, ids), then paths and quoted texts. A
 * value that repeats distinguishes kinds of failures and stays, and so does one that is named as a code: `HTTP 404`.
 */

interface ValueKind {
  readonly pattern: RegExp
  /** Replacement for values that vary; quotes around them stay. */
  readonly placeholder: string
}

// A UUID, a hexadecimal number, a decimal one.
const numbers: ValueKind = {
  pattern: /\b[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12}\b|\b0[xX][\da-fA-F]+\b|\d+(?:\.\d+)?/g,
  placeholder: '…',
}

const texts: ValueKind = {
  pattern: /(?<=')[^']+(?=')|(?<=")[^"]+(?=")|(?<=`)[^`]+(?=`)|(?:[A-Za-z]:)?(?:[\w.~…-]*[/\\])+[\w.…-]+/g,
  placeholder: '…',
}

/** A number after one of these words names a kind of failure, however often it occurs. */
const codeWords = /\b(?:HTTP(?:\/[\d.]+)?|status(?: ?code)?|code|errno|signal|exit(?:ed with)?|error|line)[ :=#]*$/i

/** A value that occurs this often on average distinguishes kinds. */
const repeats = 1.5

/** With more values than this a number is no kind of failure. */
const maxKinds = 10

/** The group of each reason. @param counts number of occurrences of each */
export function groupOfEach(counts: ReadonlyMap<string, number>): Map<string, string> {
  const byNumbers = groupsBy(numbers, counts)
  const totals = new Map<string, number>()
  for (const [reason, group] of byNumbers) totals.set(group, (totals.get(group) ?? 0) + (counts.get(reason) ?? 0))
  const byTexts = groupsBy(texts, totals)
  return new Map([...byNumbers].map(([reason, group]) => [reason, byTexts.get(group) ?? group]))
}

/** Returns the function that decides if a reason belongs to a group: the same text, with a value for each `…`. */
export function groupMatcher(group: string): (reason: string) => boolean {
  const value = `(?:${numbers.pattern.source}|${texts.pattern.source}|…)`
  const pattern = new RegExp(`^${group.split('…').map(escaped).join(value)}$`)
  return reason => reason === group || pattern.test(reason)
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/** Number of occurrences of each value at one place of a form. */
type ValueCounts = Map<string, number>

/** The reasons with placeholders for the values of one kind that vary. */
function groupsBy(kind: ValueKind, counts: ReadonlyMap<string, number>): Map<string, string> {
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
  const groups = new Map<string, string>()
  for (const reason of counts.keys()) {
    const places = placesOf.get(formOf(reason, kind)) ?? []
    let place = 0
    const group = reason.replace(kind.pattern, (value: string, ...rest: unknown[]) => {
      const at = rest.find(each => typeof each === 'number') ?? 0
      const isVarying = varies(places[place++]) && !(kind === numbers && codeWords.test(reason.slice(0, at)))
      return isVarying ? kind.placeholder : value
    })
    groups.set(reason, group)
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
