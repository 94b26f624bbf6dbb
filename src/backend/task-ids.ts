/**
 * Ids of an insert whose parts may be retried: the id of the n-th task is a function of a seed and of n, so that a task
 * that is inserted again has the same id.
 *
 * An id is a UUID (version 8, "custom", RFC 9562) with 122 bits of its own. They are a permutation of the index, padded with
 * the seed: a generalised Feistel network over four words of 32, 28, 30 and 32 bits. Each step adds a mix of the other words
 * to one word, which can be undone, so two indices never give one id; and the mixes make the ids as uniform as random
 * ones, which the file queue's workers rely on to keep out of each other's way.
 */
import { randomBytes } from 'node:crypto'

/** 128 random bits, as 32 hexadecimal digits. */
export type Seed = string

/** Makes a seed; once for each insert. */
export function newSeed(): Seed {
  return randomBytes(16).toString('hex')
}

const rounds = 4

/** 2^32 divided by the golden ratio: makes a different key of each round. */
const golden = 0x9e3779b9

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * Returns the function from an index to its id.
 *
 * @param seed see {@link newSeed}
 */
export function taskIds(seed: Seed): (index: number) => string {
  const [k0, k1, k2, k3] = wordsOf(seed)
  return index => {
    // An index of up to 53 bits, all of which fit into the first two words.
    let a = (index | 0) ^ k0
    let b = (Math.floor(index / 2 ** 32) ^ k1) & 0xfffffff
    let c = k2 & 0x3fffffff
    let d = k3
    for (let round = 0; round < rounds; round++) {
      const key = Math.imul(round + 1, golden)
      c = (c + mix(a ^ key, b ^ k0)) & 0x3fffffff
      d = (d + mix(c ^ key, a ^ k1)) | 0
      a = (a + mix(d ^ key, b ^ k2)) | 0
      b = (b + mix(a ^ key, c ^ d ^ k3)) & 0xfffffff
    }
    return uuid(a, b, c, d)
  }
}

/** The index whose id this is; `undefined` where no index of this seed has it. The steps of {@link taskIds}, undone. */
export function indexOfTaskId(seed: Seed, id: string): number | undefined {
  const hex = id.replaceAll('-', '')
  const [first, second, third, fourth] = wordsOf(hex)
  const [k0, k1, k2, k3] = wordsOf(seed)
  let a = first
  let b = ((second >>> 4) & 0xffff000) | (second & 0xfff)
  let c = third & 0x3fffffff
  let d = fourth
  for (let round = rounds - 1; round >= 0; round--) {
    const key = Math.imul(round + 1, golden)
    b = (b - mix(a ^ key, c ^ d ^ k3)) & 0xfffffff
    a = (a - mix(d ^ key, b ^ k2)) | 0
    d = (d - mix(c ^ key, a ^ k1)) | 0
    c = (c - mix(a ^ key, b ^ k0)) & 0x3fffffff
  }
  if (c !== (k2 & 0x3fffffff) || d !== k3) return undefined
  const index = ((b ^ k1) & 0xfffffff) * 2 ** 32 + ((a ^ k0) >>> 0)
  return Number.isSafeInteger(index) && taskIds(seed)(index) === id ? index : undefined
}

/** Four words of 32 bits. */
function wordsOf(hex: string): [number, number, number, number] {
  return [0, 8, 16, 24].map(at => Number.parseInt(hex.slice(at, at + 8), 16) | 0) as [number, number, number, number]
}

/** The finish of MurmurHash3 (Austin Appleby, public domain) on two words: each bit of both changes about half the result. */
export function mix(x: number, y: number): number {
  let h = Math.imul(x, 0x85ebca6b) ^ Math.imul(y ^ (y >>> 15), 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Words of 32, 28, 30 and 32 bits around the version (4 bits) and the variant (2 bits). */
function uuid(a: number, b: number, c: number, d: number): string {
  const versioned = (b >>> 12) & 0xffff
  const rest = (b & 0xfff) | 0x8000
  const variant = ((c >>> 16) & 0x3fff) | 0x8000
  return `${word(a)}-${half(versioned)}-${half(rest)}-${half(variant)}-` + `${half(c & 0xffff)}${word(d)}`
}

/** Eight hexadecimal digits. */
export function word(value: number): string {
  return half(value >>> 16) + half(value & 0xffff)
}

/** Four hexadecimal digits. */
export function half(value: number): string {
  return `${hexOfByte[value >>> 8]}${hexOfByte[value & 0xff]}`
}
