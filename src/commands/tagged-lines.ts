/** Puts the values of a task before each line of its output. */

const lineFeed = 0x0a

export class TaggedLines {
  readonly #tag: Buffer
  #atLineStart = true

  /** @param tag '' for none */
  constructor(tag: string) {
    this.#tag = Buffer.from(tag)
  }

  /** The chunk with the tag at the beginning of each line. Lines may continue in the next chunk. */
  add(chunk: Buffer): Buffer {
    if (this.#tag.length === 0 || chunk.length === 0) return chunk
    const parts: Buffer[] = []
    for (let start = 0; start < chunk.length; ) {
      const at = chunk.indexOf(lineFeed, start)
      const end = at < 0 ? chunk.length : at + 1
      if (this.#atLineStart) parts.push(this.#tag)
      parts.push(chunk.subarray(start, end))
      this.#atLineStart = at >= 0
      start = end
    }
    return Buffer.concat(parts)
  }
}

/** What goes on for longer without a line end is given in pieces. Bytes. */
const maxHeldBytes = 1 << 20

/** Holds back the end of a chunk that is no whole line. */
export class WholeLines {
  #rest: Buffer[] = []
  #restBytes = 0

  /** Returns what is whole by now. */
  add(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(lineFeed) + 1
    if (end === 0) {
      this.#rest.push(chunk)
      this.#restBytes += chunk.length
      return this.#restBytes > maxHeldBytes ? this.end() : Buffer.alloc(0)
    }
    const lines = Buffer.concat([...this.#rest, chunk.subarray(0, end)])
    this.#rest = end < chunk.length ? [chunk.subarray(end)] : []
    this.#restBytes = chunk.length - end
    return lines
  }

  /** Returns what is held back: a line without its end. */
  end(): Buffer {
    const rest = Buffer.concat(this.#rest)
    this.#rest = []
    this.#restBytes = 0
    return rest
  }
}
