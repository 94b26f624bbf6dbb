/** A seeded random generator that replaces `Math.random`, so that each run of the simulation is the same. */

/** Numbers from 0 to 1 that follow from a seed (mulberry32, public domain). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function seedChance(seed: number): void {
  Math.random = randomFrom(seed)
}

/** A UUID (version 4) from `Math.random`. */
export function randomId(): string {
  const digits = (count: number) =>
    Math.floor(Math.random() * 16 ** count)
      .toString(16)
      .padStart(count, '0')
  return `${digits(8)}-${digits(4)}-4${digits(3)}-8${digits(3)}-${digits(6)}${digits(6)}`
}
