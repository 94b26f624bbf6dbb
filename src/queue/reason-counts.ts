/**
 * Counts failures by reason. Memory is bounded: of very many reasons, those that differ only in values are counted as
 * one.
 */
import { groupOfEach } from './reason-groups.js'

/** Distinct reasons that are kept as they are; with the ids of some tasks they take some ten megabytes. */
const maxReasons = 20_000

/** The group of further distinct reasons once there is no more room. */
export const otherReasons = '(other reasons)'

const maxIds = 5

/** Failures with the same reason, or with reasons that differ in values. */
export interface ReasonGroup {
  /** Unchanged if all are equal; otherwise with `…` for what varies. */
  readonly reason: string
  readonly count: number
  /** Ids of up to five of the tasks. */
  readonly ids: readonly string[]
}

interface Entry {
  count: number
  readonly ids: string[]
}

export class ReasonCounts {
  #entries = new Map<string, Entry>()
  #isFull = false
  #total = 0

  /** The number of failures that were added. */
  get total(): number {
    return this.#total
  }

  /** Adds the failure of the task `id`. */
  add(reason: string, id: string): void {
    this.#total++
    const key = this.#isFull && !this.#entries.has(reason) ? otherReasons : reason
    addTo(this.#entries, key, { count: 1, ids: [id] })
    if (this.#entries.size <= maxReasons || this.#isFull) return
    this.#entries = grouped(this.#entries)
    // Otherwise grouping would be repeated every few failures.
    this.#isFull = this.#entries.size > maxReasons / 2
  }

  /** The groups, the most frequent first. */
  groups(): ReasonGroup[] {
    return [...grouped(this.#entries)]
      .map(([reason, entry]) => ({ reason, ...entry }))
      .sort((a, b) => b.count - a.count)
  }
}

function grouped(entries: ReadonlyMap<string, Entry>): Map<string, Entry> {
  const groups = groupOfEach(new Map([...entries].map(([reason, { count }]) => [reason, count])))
  const result = new Map<string, Entry>()
  for (const [reason, entry] of entries) addTo(result, groups.get(reason) ?? reason, entry)
  return result
}

function addTo(entries: Map<string, Entry>, reason: string, { count, ids }: Entry): void {
  const entry = entries.get(reason)
  if (entry === undefined) {
    entries.set(reason, { count, ids: [...ids] })
    return
  }
  entry.count += count
  if (entry.ids.length < maxIds) entry.ids.push(...ids.slice(0, maxIds - entry.ids.length))
}
