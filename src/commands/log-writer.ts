/** Writes the log of a worker's commands. */
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, nameAndMessageOf } from '../errors/thrown.js'
import { indexSuffix, type LogRecord, logSuffix } from './log-files.js'
import type { OutputStream } from './slot-shell.js'

/** Output of running commands is written so often: readers follow it. Milliseconds. */
const flushMs = 100

// New files of this worker alone, and no link that another process has put there.
const flags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0)

interface LogFiles {
  readonly log: FileHandle
  readonly index: FileHandle
}

/** The entries to write for one task, in order. */
type Entry = LogRecord | { readonly task: TaskLog; readonly stream: OutputStream; readonly chunks: Buffer[] }

export class LogWriter {
  readonly #folder: string
  readonly #name = `${encodeURIComponent(hostname())}.${process.pid}.${Date.now().toString(36)}`
  readonly maxTaskBytes: number
  #files: Promise<LogFiles> | undefined
  #entries: Entry[] = []
  #offset = 0
  #writing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #warned = false
  /** The last line of the index may lack its end. */
  #isTorn = false

  /** Nothing is made before the first record. @param maxTaskBytes more output of a task is dropped */
  constructor(folder: string, maxTaskBytes: number) {
    this.#folder = folder
    this.maxTaskBytes = maxTaskBytes
  }

  /** Begins the log of an attempt. */
  begin(id: string, attempt: number, command: string): TaskLog {
    this.add(['start', id, attempt, Date.now(), command])
    return new TaskLog(this, id, attempt)
  }

  /** Adds something to write, within `flushMs`. */
  add(entry: Entry): void {
    this.#entries.push(entry)
    this.#timer ??= setTimeout(() => void this.flush(), flushMs)
  }

  /** The output of a task that waits to be written, if it is the last that was added. */
  last(): Entry | undefined {
    return this.#entries.at(-1)
  }

  /** Resolves when everything that was added is written. Attempts that end at the same time are written at once. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const before = this.#writing
    if (before !== undefined) {
      await before
      // The entries may have been written by another waiting call.
      if (this.#entries.length === 0) return this.#writing
    }
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async close(): Promise<void> {
    while (this.#entries.length > 0 || this.#writing !== undefined) await this.flush()
    clearTimeout(this.#timer)
    await closeBoth(await this.#files?.catch(() => undefined))
  }

  async #write(): Promise<void> {
    const entries = this.#entries
    this.#entries = []
    try {
      this.#files ??= this.#open()
      await this.#writeTo(await this.#files, entries)
    } catch (error) {
      this.#warn(error)
      await this.#afterFault()
    }
  }

  async #writeTo({ log, index }: LogFiles, entries: readonly Entry[]): Promise<void> {
    const output: Buffer[] = []
    const records: LogRecord[] = []
    let offset = this.#offset
    for (const entry of entries) {
      if (!('chunks' in entry)) {
        records.push(entry)
        continue
      }
      const bytes = entry.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      output.push(...entry.chunks)
      records.push(['output', entry.task.id, entry.task.attempt, offset, bytes, entry.stream])
      offset += bytes
    }
    if (output.length > 0) await log.writeFile(Buffer.concat(output))
    this.#offset = offset
    const lines = records.map(record => `${JSON.stringify(record)}\n`).join('')
    await index.writeFile(this.#isTorn ? `\n${lines}` : lines)
    this.#isTorn = false
  }

  /** Parts of the output and of a line of the index may be there. */
  async #afterFault(): Promise<void> {
    const files = await this.#files?.catch(() => undefined)
    try {
      if (files === undefined) this.#files = undefined
      else this.#offset = (await files.log.stat()).size
      this.#isTorn = files !== undefined
    } catch {
      // Their end is unknown, as with a stale handle: the next output goes into new ones. The first fault was told.
      this.#files = undefined
      await closeBoth(files).catch(() => undefined)
    }
  }

  async #open(): Promise<LogFiles> {
    await makeFolder(this.#folder)
    // `mkdir` is content with a link to a folder, which may lead anywhere.
    if (!(await lstat(this.#folder)).isDirectory()) {
      throw new Error(`Expected a folder for logs at ${this.#folder}, got a link or a file`)
    }
    this.#offset = 0
    const path = join(this.#folder, this.#warned ? `${this.#name}.${Date.now().toString(36)}` : this.#name)
    const log = await open(`${path}${logSuffix}`, flags, 0o666)
    try {
      return { log, index: await open(`${path}${indexSuffix}`, flags, 0o666) }
    } catch (error) {
      await log.close()
      await unlink(`${path}${logSuffix}`)
      throw error
    }
  }

  /** The tasks matter more than their logs. */
  #warn(error: unknown): void {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(
      `Output of commands can't be kept in ${this.#folder}, and is lost: ${nameAndMessageOf(error)}`,
      {
        code: 'PTQ_LOG_NOT_WRITTEN',
      },
    )
  }
}

/** Makes a folder, with its parents if there are none: then Node's error of a full disk would be that a parent is missing. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') await mkdir(path, { recursive: true })
    else if (codeOf(error) !== 'EEXIST') throw error
  }
}

async function closeBoth(files: LogFiles | undefined): Promise<void> {
  await files?.log.close()
  await files?.index.close()
}

/** The log of one attempt. */
export class TaskLog {
  readonly id: string
  readonly attempt: number
  readonly #writer: LogWriter
  #bytes = 0
  #dropped = 0

  constructor(writer: LogWriter, id: string, attempt: number) {
    this.#writer = writer
    this.id = id
    this.attempt = attempt
  }

  add(stream: OutputStream, chunk: Buffer): void {
    const kept = chunk.subarray(0, Math.max(0, this.#writer.maxTaskBytes - this.#bytes))
    this.#bytes += kept.length
    this.#dropped += chunk.length - kept.length
    if (kept.length === 0) return
    const last = this.#writer.last()
    if (last !== undefined && 'chunks' in last && last.task === this && last.stream === stream) last.chunks.push(kept)
    else this.#writer.add({ task: this, stream, chunks: [kept] })
  }

  /** Resolves when all of it is written. @param how e.g. `exit code 0` */
  end(how: string): Promise<void> {
    const dropped = this.#dropped === 0 ? '' : `; ${this.#dropped} bytes of output were not kept`
    this.#writer.add(['end', this.id, this.attempt, Date.now(), how + dropped])
    return this.#writer.flush()
  }
}
