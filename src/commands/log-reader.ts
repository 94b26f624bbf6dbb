/** Reads what a command wrote out of the logs of workers, also while it runs. */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { codeOf } from '../errors/thrown.js'
import { sleep } from '../time/sleep.js'
import { indexSuffix, type LogRecord, logSuffix, recordFrom } from './log-files.js'
import type { OutputStream } from './slot-shell.js'

/** A piece of what a command wrote. */
export interface OutputPiece {
  readonly stream: OutputStream
  readonly bytes: Buffer
}

/** An attempt at a task, as the log of a worker has it. */
interface LoggedAttempt {
  readonly id: string
  readonly attempt: number
  readonly startMs: number
  /** Path of the files, without their suffix. */
  readonly path: string
}

/** Options of {@link readLog}. */
export interface ReadLogOptions {
  /** Default: the last one. */
  readonly attempt?: number | undefined
  /**
   * Called while the output has no end: false if no worker runs the task any more. Without it the output so far is
   * read.
   */
  readonly isRunning?: ((id: string) => Promise<boolean>) | undefined
  readonly signal?: AbortSignal | undefined
}

const lookMs = 200

/** Interval at which the queue is asked, since a killed worker writes no end. Milliseconds. */
const askMs = 2_000

const readBytes = 1_048_576

/**
 * Yields the output of an attempt at a task.
 *
 * @param id the task's id, or as much of its beginning as no other task in the logs has
 * @throws Error where the logs have no such task
 */
export async function* readLog(
  folder: string,
  id: string,
  { attempt, isRunning, signal }: ReadLogOptions,
): AsyncGenerator<OutputPiece, void, undefined> {
  const found = latest(await attemptsOf(folder, id), id, attempt)
  if (found === undefined) {
    const which = attempt === undefined ? '' : ` at attempt ${attempt}`
    throw new Error(`There is no output of task ${id}${which} in ${folder}`)
  }
  const log = await openFile(found.path + logSuffix)
  if (log === undefined) throw new Error(`Expected a file at ${found.path}${logSuffix}, got a pipe or a folder`)
  try {
    let position = 0
    let askedMs = performance.now()
    for (let isLast = isRunning === undefined; ; ) {
      const { records, end } = await recordsFrom(found.path + indexSuffix, position)
      position = end
      for (const record of records) {
        if (record[1] !== found.id || record[2] !== found.attempt) continue
        if (record[0] === 'end') return
        if (record[0] === 'output') yield* pieces(log, record)
      }
      if (isLast || signal?.aborted === true) return
      await sleep(lookMs, signal)
      if (performance.now() - askedMs < askMs) continue
      askedMs = performance.now()
      // Once more, for what was written before the answer.
      isLast = !(await isRunning?.(found.id))
    }
  } finally {
    await log.close()
  }
}

/** The attempts of the tasks whose ids begin so. */
async function attemptsOf(folder: string, id: string): Promise<LoggedAttempt[]> {
  const attempts: LoggedAttempt[] = []
  // As JSON has it, so that most lines need no parsing.
  const beginning = `["start","${id}`
  for (const path of await logPaths(folder)) {
    const file = await openFile(path + indexSuffix)
    if (file === undefined) continue
    const input = file.createReadStream()
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const record = line.startsWith(beginning) ? recordFrom(line) : undefined
      if (record?.[0] === 'start') attempts.push({ id: record[1], attempt: record[2], startMs: record[3], path })
    }
  }
  return attempts
}

/**
 * Opens a file of a folder in which others may have put links and pipes: a link is an error that names it, and a pipe, whose
 * opening would wait for its writer, or a folder is `undefined`.
 */
async function openFile(path: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  if ((await file.stat()).isFile()) return file
  await file.close()
  return undefined
}

async function logPaths(folder: string): Promise<string[]> {
  try {
    if ((await lstat(folder)).isSymbolicLink()) {
      throw new Error(
        `Expected a folder for logs at ${folder}, found a symbolic link. Remove it, or name another folder`,
      )
    }
    const names = await readdir(folder)
    return names
      .filter(name => name.endsWith(indexSuffix))
      .map(name => join(folder, name.slice(0, -indexSuffix.length)))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** A task that a lost lease started twice has the same attempt in two logs: the later one is used. */
function latest(
  attempts: readonly LoggedAttempt[],
  id: string,
  attempt: number | undefined,
): LoggedAttempt | undefined {
  const ids = new Set(attempts.map(each => each.id))
  if (ids.size > 1 && !ids.has(id)) {
    const [one, other] = ids
    throw new Error(`Several tasks have ids that begin with ${id}: ${one}, ${other}, …`)
  }
  return attempts
    .filter(each => (ids.size === 1 || each.id === id) && (attempt === undefined || each.attempt === attempt))
    .reduce<LoggedAttempt | undefined>(
      (last, each) => (last === undefined || each.startMs >= last.startMs ? each : last),
      undefined,
    )
}

/** The whole lines from `position` on. */
async function recordsFrom(path: string, position: number): Promise<{ records: LogRecord[]; end: number }> {
  const records: LogRecord[] = []
  let end = position
  const file = await openFile(path)
  if (file === undefined) return { records, end }
  const { size } = await file.stat()
  if (size <= position) await file.close()
  else {
    let rest = Buffer.alloc(0)
    for await (const chunk of file.createReadStream({ start: position, end: size - 1 }) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const whole = bytes.lastIndexOf(0x0a) + 1
      for (const line of bytes.subarray(0, whole).toString('utf8').split('\n')) {
        const record = line === '' ? undefined : recordFrom(line)
        if (record !== undefined) records.push(record)
      }
      end += whole
      rest = Buffer.from(bytes.subarray(whole))
    }
  }
  return { records, end }
}

async function* pieces(
  log: FileHandle,
  [, , , offset, bytes, stream]: Extract<LogRecord, readonly ['output', ...unknown[]]>,
): AsyncGenerator<OutputPiece, void, undefined> {
  for (let done = 0; done < bytes; ) {
    const length = Math.min(readBytes, bytes - done)
    const { buffer, bytesRead } = await log.read(Buffer.allocUnsafe(length), 0, length, offset + done)
    if (bytesRead === 0) return
    done += bytesRead
    yield { stream, bytes: buffer.subarray(0, bytesRead) }
  }
}
