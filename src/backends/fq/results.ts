/**
 * The outcomes of runs: `results/<run>/` has a file for each worker, to which lines are appended. A line that a crash has cut off is
 * no record; its writer is gone.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { ResultPage, ResultSink } from '../../backend/result-sink.js'
import { isMissing } from './file-system.js'
import { allNames, takeAwayTree } from './folders.js'
import { inside } from './layout.js'
import { type FileQueue, queueFault } from './queue.js'

const suffix = '.ndjson'

/** Read at once of all files together. Bytes. */
const pageBytes = 4 << 20

/** A record is far shorter: what goes on for longer without a line end is none, and would fill the memory. Bytes. */
const maxLineBytes = 16 << 20

/** The position up to which each file was read. */
type Cursor = ReadonlyMap<string, number>

export class FileResults implements ResultSink {
  readonly #queue: FileQueue
  readonly #makeQueue: () => Promise<void>
  /** Files in which an append failed: it may have left a part of a line. */
  readonly #torn = new Set<string>()

  /** @param makeQueue makes the folders of the queue, which may keep nothing but results */
  constructor(queue: FileQueue, makeQueue: () => Promise<void>) {
    this.#queue = queue
    this.#makeQueue = makeQueue
  }

  async append(run: string, writer: string, records: readonly string[]): Promise<void> {
    const { layout, io } = this.#queue
    const folder = inside(layout.results, run)
    const path = inside(folder, encodeURIComponent(writer) + suffix)
    const text = `${this.#torn.has(path) ? '\n' : ''}${records.join('\n')}\n`
    try {
      try {
        await io.write(path, text, 'a')
      } catch (error) {
        if (!isMissing(error)) throw error
        await this.#makeQueue()
        await io.calls.makeFolder(layout.results)
        await io.sync(layout.root)
        await io.calls.makeFolder(folder)
        await io.sync(layout.results)
        await io.write(path, text, 'a')
        await io.sync(folder)
      }
      this.#torn.delete(path)
    } catch (error) {
      this.#torn.add(path)
      throw queueFault(this.#queue, 'Storing a result', error)
    }
  }

  async read(run: string, given: unknown): Promise<ResultPage> {
    const cursor = new Map((given as Cursor | undefined) ?? [])
    const folder = inside(this.#queue.layout.results, run)
    const records: string[] = []
    let left = pageBytes
    try {
      for (const name of await this.#files(folder)) {
        if (left <= 0) break
        const position = cursor.get(name) ?? 0
        const { lines, bytes } = await linesFrom(inside(folder, name), position, left)
        cursor.set(name, position + bytes)
        left -= bytes
        for (const line of lines) if (line !== '') records.push(line)
      }
    } catch (error) {
      // Dropped while it was read.
      if (!isMissing(error)) throw queueFault(this.#queue, 'Reading results', error)
    }
    return { records, cursor }
  }

  async runs(): Promise<readonly string[]> {
    const { layout, io } = this.#queue
    const runs: string[] = []
    for (const name of await allNames(this.#queue, layout.results)) {
      const path = inside(layout.results, name)
      // Reading a link is an error that names it: it must not seem that there is no such run.
      if ((await io.calls.isLink(path)) || (await io.calls.stat(path))?.isFolder) runs.push(name)
    }
    return runs
  }

  async drop(run: string): Promise<void> {
    await takeAwayTree(this.#queue, inside(this.#queue.layout.results, run))
  }

  async #files(folder: string): Promise<readonly string[]> {
    return (await allNames(this.#queue, folder)).filter(name => name.endsWith(suffix))
  }
}

/** The whole lines from `position` on, of about `maxBytes`, one at least. */
async function linesFrom(
  path: string,
  position: number,
  maxBytes: number,
): Promise<{ lines: readonly string[]; bytes: number }> {
  // Opening a pipe that someone has put there would wait for its writer. A link is an error that names it.
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  try {
    if (!(await file.stat()).isFile()) return { lines: [], bytes: 0 }
    const parts: Buffer[] = []
    let length = 0
    for (;;) {
      const part = await readPart(file, position + length, Math.min(maxBytes, 1 << 20))
      if (part.length === 0) return { lines: [], bytes: 0 }
      parts.push(part)
      length += part.length
      const end = part.lastIndexOf(0x0a)
      if (end < 0) {
        if (length > maxLineBytes) return { lines: [], bytes: length }
        continue
      }
      const bytes = length - part.length + end + 1
      return { lines: Buffer.concat(parts).subarray(0, bytes).toString('utf8').split('\n'), bytes }
    }
  } finally {
    await file.close()
  }
}

async function readPart(file: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes)
  const { bytesRead } = await file.read(buffer, 0, bytes, position)
  return buffer.subarray(0, bytesRead)
}
