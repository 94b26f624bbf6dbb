/** A set of message ids (UUIDs in lower case) in 16 bytes each, twice that with the free places: a `Set` of strings takes 100. */

const wordsPerId = 4
const firstPlaces = 1024
/** Maximum share of used places; above it a search probes too many others. */
const maxLoad = 0.6

const hyphenCode = 45
const nineCode = 57
const tenBelowA = 87
const zeroCode = 48

export class IdSet {
  #table = new Uint32Array(wordsPerId * firstPlaces)
  #size = 0
  /** True if the id was added whose words equal those of a free place. */
  #hasZero = false
  readonly #words = new Uint32Array(wordsPerId)

  get size(): number {
    return this.#size + Number(this.#hasZero)
  }

  has(id: string): boolean {
    this.#parse(id)
    const place = this.#find(this.#table)
    return place === undefined ? this.#hasZero : this.#isTaken(this.#table, place)
  }

  /** @returns whether it is new */
  add(id: string): boolean {
    this.#parse(id)
    const place = this.#find(this.#table)
    if (place === undefined) {
      const isNew = !this.#hasZero
      this.#hasZero = true
      return isNew
    }
    if (this.#isTaken(this.#table, place)) return false
    this.#table.set(this.#words, place)
    if (++this.#size * wordsPerId > this.#table.length * maxLoad) this.#grow()
    return true
  }

  #grow(): void {
    const former = this.#table
    const table = new Uint32Array(former.length * 2)
    for (let place = 0; place < former.length; place += wordsPerId) {
      if (!this.#isTaken(former, place)) continue
      for (let word = 0; word < wordsPerId; word++) this.#words[word] = former[place + word] ?? 0
      const free = this.#find(table)
      if (free !== undefined) table.set(this.#words, free)
    }
    this.#table = table
  }

  /** The slot of the parsed id, or the free one for it; `undefined` for the one that is all zeros. */
  #find(table: Uint32Array): number | undefined {
    const [first = 0, second = 0, third = 0, fourth = 0] = this.#words
    if ((first | second | third | fourth) === 0) return undefined
    const mask = table.length / wordsPerId - 1
    // Random ids need no mixing; others differ only in some of the words.
    for (let at = (first ^ second ^ third ^ fourth) & mask; ; at = (at + 1) & mask) {
      const place = at * wordsPerId
      const isSame =
        table[place] === first &&
        table[place + 1] === second &&
        table[place + 2] === third &&
        table[place + 3] === fourth
      if (isSame || !this.#isTaken(table, place)) return place
    }
  }

  #isTaken(table: Uint32Array, place: number): boolean {
    return ((table[place] ?? 0) | (table[place + 1] ?? 0) | (table[place + 2] ?? 0) | (table[place + 3] ?? 0)) !== 0
  }

  #parse(id: string): void {
    let digits = 0
    let word = 0
    for (let at = 0; at < id.length; at++) {
      const code = id.charCodeAt(at)
      if (code === hyphenCode) continue
      word = (word << 4) | (code <= nineCode ? code - zeroCode : code - tenBelowA)
      if (++digits % 8 === 0) {
        this.#words[digits / 8 - 1] = word
        word = 0
      }
    }
  }
}
