// Tasks are functions of a module like this one; every thread imports it by itself.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { type FunctionTask, queueable } from 'ptq'

const buffer = Buffer.allocUnsafe(2 ** 20)

/** The result of a task for its file. */
export interface Digest {
  /** In hex. */
  readonly sha256: string
  readonly gzipBytes: number
}

/** The SHA-256 of a file, in hex. */
export const sha256 = queueable(function sha256(path: string): string {
  const hash = createHash('sha256')
  for (const piece of piecesOf(path)) hash.update(piece)
  return hash.digest('hex')
})

/** The SHA-256 of a file, and how small gzip makes it. */
export const digest = queueable(function digest(path: string): Digest {
  const hash = createHash('sha256')
  let gzipBytes = 0
  for (const piece of piecesOf(path)) {
    hash.update(piece)
    gzipBytes += gzipSync(piece).length
  }
  return { sha256: hash.digest('hex'), gzipBytes }
})

/** A file in pieces, so of any size; each is valid until the next. */
function* piecesOf(path: string): Generator<Buffer> {
  const file = openSync(path, 'r')
  try {
    for (let n = readSync(file, buffer); n > 0; n = readSync(file, buffer)) yield buffer.subarray(0, n)
  } finally {
    closeSync(file)
  }
}

/** The task of one file. */
export type DigestTask = FunctionTask<[], Digest>

/** The sum of all results. */
export interface Digested {
  /** By path. */
  readonly digests: ReadonlyMap<string, Digest>
  /** The reason for each file without a digest, by path. */
  readonly reasons: ReadonlyMap<string, string>
  /** The speed, as text. */
  readonly speed: string
}
