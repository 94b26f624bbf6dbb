/** Reads the states of a slice's tasks from shared memory. */
import type { Range } from '../tasks/ranges.js'

/** The indices of a slice's tasks with one of these states, as ranges. */
export function rangesInState({ start }: Range, states: Uint8Array, wanted: readonly number[]): Range[] {
  const ranges: { start: number; end: number }[] = []
  states.forEach((one, at) => {
    if (!wanted.includes(one)) return
    const last = ranges.at(-1)
    if (last?.end === start + at) last.end += 1
    else ranges.push({ start: start + at, end: start + at + 1 })
  })
  return ranges
}
