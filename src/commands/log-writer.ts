/** Writes the log of a worker's commands. */
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { nameAndMessageOf } from '../errors/thrown.js'
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
    const files = await this.#files?.catch(() => undefined)
    await files?.log.close()
    await files?.index.close()
  }

  async #write(): Promise<void> {
    const entries = this.#entries
    this.#entries = []
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
    try {
      this.#files ??= this.#open()
      const { log, index } = await this.#files
      if (output.length > 0) await log.writeFile(Buffer.concat(output))
      this.#offset = offset
      await index.writeFile(records.map(record => `${JSON.stringify(record)}\n`).join(''))
    } catch (error) {
      // Part of the output may be there, so its end is unknown: the next goes into new files.
      this.#files = undefined
      this.#warn(error)
    }
  }

  async #open(): Promise<LogFiles> {
    await mkdir(this.#folder, { recursive: true })
    // `mkdir` is content with a link to a folder, which may lead anywhere.
    if (!(await lstat(this.#folder)).isDirectory()) {
      throw new Error(`Expected a folder for logs at ${this.#folder}, got a link or a file`)
    }
    this.#offset = 0
    const path = join(this.#folder, this.#warned ? `${this.#name}.${Date.now().toString(36)}` : this.#name)
    const log = await open(`${path}${logSuffix}`, flags, 0o666)
    return { log, index: await open(`${path}${indexSuffix}`, flags, 0o666) }
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
