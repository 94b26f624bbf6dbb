/** The output of a running command, kept until it is printed: in memory while it is small, else in a file without a name. */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** More of a stream goes to a file. Bytes. */
const maxInMemory = 1_048_576

/** Bytes of the file that are read at once. */
const readBytes = 262_144

export class KeptOutput {
  #chunks: Buffer[] = []
  #inMemory = 0
  #file: number | undefined
  /** All that was added, in bytes. */
  size = 0

  add(chunk: Buffer): void {
    this.size += chunk.length
    this.#chunks.push(chunk)
    this.#inMemory += chunk.length
    if (this.#inMemory > maxInMemory) this.#spill()
  }

  /** Yields what was added; then there is nothing left. */
  *take(): Generator<Buffer, void, undefined> {
    if (this.#file !== undefined) {
      try {
        for (let position = 0; ; ) {
          const buffer = Buffer.allocUnsafe(readBytes)
          const length = readSync(this.#file, buffer, 0, readBytes, position)
          if (length === 0) break
          position += length
          yield buffer.subarray(0, length)
        }
      } finally {
        this.#closeFile()
      }
    }
    yield* this.#chunks
    this.discard()
  }

  /** Drops what was added. */
  discard(): void {
    this.#closeFile()
    this.#chunks = []
    this.#inMemory = 0
    this.size = 0
  }

  #spill(): void {
    if (this.#file === undefined) {
      const path = join(tmpdir(), `ptq-output-${randomUUID()}`)
      this.#file = openSync(path, 'wx+', 0o600)
      // Without a name it is gone with this process, however that ends.
      unlinkSync(path)
    }
    // If the disk is full, the rest is still here.
    for (let [chunk] = this.#chunks; chunk !== undefined; [chunk] = this.#chunks) {
      const written = writeSync(this.#file, chunk)
      if (written < chunk.length) this.#chunks[0] = chunk.subarray(written)
      else this.#chunks.shift()
    }
    this.#inMemory = 0
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}
