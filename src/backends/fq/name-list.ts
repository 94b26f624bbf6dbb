/** A list of names in the order of the (uniformly random) ids, used from a random point: each process has its own partition. */
import { placeOf } from './names.js'
import { minNames } from './shared-listing.js'

// The part of a list after which the next one is looked for. A fifth: its partitions are used up, and skips begin;
// sooner, the next list would have the same names as this one. The process that has read the current list comes first,
// since its stream is past these names; the others are there in case that it is slow, or dead.
const readerLooksFrom = 0.2
const othersLookFrom = 0.5
const othersLookUntil = 0.75

// A sort key is an exact double, of 53 bits: 36 for the place of an id, beside 16 for the index in the list.
const indexes = 2 ** 16

/** The source of names: the folder, read for this process or for all; or what another process has published. */
export type ListSource = 'read' | 'read for all' | 'published'

export class NameList {
  readonly length: number
  readonly #source: ListSource
  readonly #names: readonly string[]
  readonly #lookFrom: number
  #next = 0
  /** Names of this list that were there. */
  won = 0
  /** Names of this list that were gone: other workers use it too. */
  lost = 0

  /** @param ordered names, as {@link inOrder} gives them */
  constructor(ordered: readonly string[], source: ListSource) {
    const start = Math.floor(Math.random() * ordered.length)
    const part = othersLookFrom + Math.random() * (othersLookUntil - othersLookFrom)
    this.length = ordered.length
    this.#source = source
    this.#names = [...ordered.slice(start), ...ordered.slice(0, start)]
    this.#lookFrom = this.length * (source === 'read for all' ? readerLooksFrom : part)
  }

  get isUsedUp(): boolean {
    return this.#next >= this.length
  }

  /** True if other workers use these names too, and may want what this process reads next. */
  get isCrowded(): boolean {
    return this.lost > 0 && this.length >= minNames
  }

  /** True if the remaining names will be gone soon. */
  get isLow(): boolean {
    return this.isCrowded && this.#next >= this.#lookFrom && !this.isUsedUp
  }

  /** The next name; `undefined`: the list is used up. */
  take(): string | undefined {
    const name = this.#names[this.#next++]
    // A copy: a part of a text keeps the whole text, and an id is a part of its name.
    return this.#source === 'published' && name !== undefined ? Buffer.from(name, 'latin1').toString('latin1') : name
  }

  toSet(): Set<string> {
    return new Set(this.#names)
  }

  /** Skips names. `false`: there were none. */
  skip(names: number): boolean {
    const skips = names > 0 && !this.isUsedUp
    this.#next += names
    return skips
  }
}

/** Names of tasks in the order of their ids. Sorts numbers without a comparison function, five times as fast. */
export function inOrder(names: readonly string[]): string[] {
  const keys = new Float64Array(names.length)
  // The place above, the index in the list below.
  names.forEach((name, index) => {
    keys[index] = placeOf(name) * indexes + index
  })
  keys.sort()
  const ordered: string[] = []
  for (const key of keys) {
    const name = names[key % indexes]
    if (name !== undefined) ordered.push(name)
  }
  return ordered
}
