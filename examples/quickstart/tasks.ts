// Tasks are functions of a module like this one; every thread imports it by itself.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { type FunctionTask, queueable } from 'ptq'

const buffer = Buffer.allocUnsafe(2 ** 20)

/** The SHA-256 of a file, in hex; read in pieces, so of any size. */
export const sha256 = queueable(function sha256(path: string): string {
  const hash = createHash('sha256')
  const file = openSync(path, 'r')
  try {
    for (let n = readSync(file, buffer); n > 0; n = readSync(file, buffer)) hash.update(buffer.subarray(0, n))
  } finally {
    closeSync(file)
  }
  return hash.digest('hex')
})

/** One file to hash. */
export type HashTask = FunctionTask<[], string>

/** What came of all. */
export interface Hashed {
  /** By path. */
  readonly hashes: ReadonlyMap<string, string>
  /** Why the others have none, by path. */
  readonly reasons: ReadonlyMap<string, string>
  /** How fast it was, in words. */
  readonly speed: string
}
