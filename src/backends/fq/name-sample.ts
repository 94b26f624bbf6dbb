/**
 * Names found while a folder is read: all of them, or if there are too many, those whose ids follow a random one.
 *
 * Ids are uniformly random, so each task is kept with the same probability, wherever its name is in the folder. And
 * workers with overlapping lists take each other's tasks in one contiguous range, which `Candidates` skips; in a
 * scattered sample each third name would be lost one by one.
 */
import { placeCount, placeOf } from './names.js'

// A sort key is an exact double of 53 bits: 36 for the distance, 16 for the index.
const indexes = 2 ** 16

export class NameSample {
  readonly #most: number
  readonly #start = Math.floor(Math.random() * placeCount)
  #names: string[] = []
  #furthest = placeCount

  /** @param most the maximum number of names kept; fewer than 2 ** 16 */
  constructor(most: number) {
    this.#most = most
  }

  add(name: string): void {
    if (this.#furthest === placeCount || this.#distanceOf(name) <= this.#furthest) this.#names.push(name)
    if (this.#names.length === indexes) this.#cut()
  }

  /** The kept names, in no order, and whether others were left out. */
  take(): { names: readonly string[]; isPart: boolean } {
    if (this.#names.length > this.#most) this.#cut()
    return { names: this.#names, isPart: this.#furthest < placeCount }
  }

  #distanceOf(name: string): number {
    return (placeOf(name) - this.#start + placeCount) % placeCount
  }

  #cut(): void {
    const names = this.#names
    const keys = Float64Array.from(names, (name, index) => this.#distanceOf(name) * indexes + index).sort()
    this.#furthest = Math.floor((keys[this.#most - 1] ?? 0) / indexes)
    this.#names = Array.from(keys.subarray(0, this.#most), key => names[key % indexes] ?? '')
  }
}
