/** Sets of task indices, as sorted ranges that neither overlap nor touch. */

/** The indices from `start` on, before `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** One set of ranges that may overlap, in any order. */
export function union(ranges: Iterable<Range>): Range[] {
  const sorted = [...ranges].filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start)
  const joined: Range[] = []
  for (const { start, end } of sorted) {
    const last = joined.at(-1)
    if (last !== undefined && start <= last.end) {
      joined[joined.length - 1] = { start: last.start, end: Math.max(last.end, end) }
    } else {
      joined.push({ start, end })
    }
  }
  return joined
}

/** The parts of `whole` that are not in `taken`, a result of {@link union}. */
export function without(whole: Range, taken: readonly Range[]): Range[] {
  const left: Range[] = []
  let from = whole.start
  for (const { start, end } of taken) {
    if (end <= from) continue
    if (start >= whole.end) break
    if (start > from) left.push({ start: from, end: start })
    from = end
  }
  if (from < whole.end) left.push({ start: from, end: whole.end })
  return left
}

/** Number of indices in ranges that don't overlap. */
export function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0)
}

/** Cuts ranges into pieces of at most `size`, in order. */
export function* cut(ranges: Iterable<Range>, size: number): Generator<Range, void, undefined> {
  for (const { start, end } of ranges) {
    for (let from = start; from < end; from += size) yield { start: from, end: Math.min(from + size, end) }
  }
}

/** A range as messages show it: `Tasks 100 to 199`, `Task 7`. */
export function shownRange({ start, end }: Range): string {
  return end - start === 1 ? `Task ${start}` : `Tasks ${start} to ${end - 1}`
}
