/**
 * Attempts and failures of a task.
 *
 * `movement/<id>` holds former names of the task's file, one a line. It begins with the task's first name, which is
 * there twice if that was a delay set by ptq; each further line is the end of an attempt: an expired lease or a
 * failure's back-off. Renewals rename without a line, so they don't count. A task that was released, by its holder or
 * by `releaseAll`, has a time of 1970 in its name, which is never a line: no attempt is counted. A task that is leased
 * for the first time and deleted has no such file, unless Python inserted it.
 *
 * Python writes a line at each lease, each renewal and each release. A process that takes a task over from Python
 * removes lines that were no end of an attempt, see `endsOfPython`, as far as the times show. And a history of one line
 * with a time is either Python's delayed insert or Python's lease of a task of ptq; the times of the two files
 * distinguish them, see `#wasInsertedLate`.
 *
 * `failures/<id>` holds one line of JSON for each failure, and one for each attempt in which the task ran alone. It exists
 * only beside a `movement/<id>`. The attempts that ended and did not fail are the deaths of their workers.
 *
 * If one of them can't be a record (a link, a folder, more than 16 MiB), it is not ours. It is then ignored, except by
 * the process that takes the task over: attempts that can't be counted would never exceed the limit.
 *
 * Only the holder of a lease writes here (and a Python inserter, which writes its one line late). A process that dies
 * between the rename that takes a task over and the line that records it leaves one attempt uncounted; one that dies
 * while it postpones a task leaves one counted that never ran.
 */
import { randomUUID } from 'node:crypto'
import type { Failure, Lease } from '../../backend/messages.js'
import { codeOfNoFile, isMissing, isStaleHandle } from './file-system.js'
import { type AloneLine, endsIn, endsOfPython, type FailureLine, namesOf, recordOf } from './history-records.js'
import type { IoScheduler } from './io-scheduler.js'
import { inside, type Layout, renameInto, writeInto } from './layout.js'
import { isReleased, nameOf, type TaskName } from './names.js'
import { isMarker } from './upload-marker.js'

/** The attempts of a task when it is leased: this one, and the number of earlier ones that were deaths. */
export type Past = Required<Pick<Lease, 'attempt' | 'deaths' | 'deathsAlone'>>

// Python's insert writes the history right after the task, its lease at any time later. Local disks take less than a
// millisecond between the two, networks some tens.
const insertMs = 100

// Time for which a folder that had records is assumed to have some. A check costs a read of up to a thousand names.
const recordsStayMs = 10_000

// Time that a folder without records is taken to have none of tasks that were never leased. A record that Python writes in
// the meantime may stay, until a purge.
const noRecordsMs = 30_000

// Over a network a look at the folder takes two requests, one at a record takes one: for deletions that are further apart, the
// latter are fewer.
const rareMs = noRecordsMs / 3

export class History {
  readonly #io: IoScheduler
  readonly #layout: Layout
  #recordsUntilMs = Number.NEGATIVE_INFINITY
  #emptyUntilMs = Number.NEGATIVE_INFINITY
  /** When `wasEmpty` was asked last while that was not known. */
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(io: IoScheduler, layout: Layout) {
    this.#io = io
    this.#layout = layout
  }

  /** The lines of `movement/<id>`, oldest first; empty without the file. */
  async names(id: string): Promise<string[]> {
    return namesOf(await this.#textIfRecord(inside(this.#layout.movement, id)), id)
  }

  /**
   * Records that the task was found under `origin`, a name with a time, and taken over. Only after the rename: who lost the
   * race must not write.
   *
   * @param heldPath where the task's file is now
   * @throws the error of what can't be a record
   */
  async takenOver(origin: TaskName, heldPath: string): Promise<Past> {
    const ends = await this.#recordedEnds(origin, heldPath)
    const attempt = ends + 1
    if (ends === 0) return { attempt, deaths: 0, deathsAlone: 0 }
    const { failures, alone } = recordOf(await this.#textIfRecord(inside(this.#layout.failures, origin.id)))
    // Begun alone in the attempt that begins only now: the lease was released, or ended by `releaseAll`.
    if (alone.has(attempt)) await this.#addLine(origin.id, { alone: attempt, over: true })
    // By their numbers: a failure that was recorded and whose rename failed is recorded again.
    const failed = new Set(failures.map(failure => failure.attempt))
    const deaths = Math.max(0, ends - failed.size)
    const diedAlone = [...alone].filter(number => number <= ends && !failed.has(number))
    return { attempt, deaths, deathsAlone: Math.min(deaths, diedAlone.length) }
  }

  /** Records that the task starts to run in this attempt, and no other task beside it. */
  async runsAlone(id: string, attempt: number): Promise<void> {
    await this.#addLine(id, { alone: attempt })
  }

  async #recordedEnds({ id, name, available }: TaskName, heldPath: string): Promise<number> {
    const record = inside(this.#layout.movement, id)
    const text = (await this.#io.calls.read(record, 'short')) ?? ''
    const names = namesOf(text, id)
    const ends = endsIn(names, id)
    if (isReleased(available)) return ends.length
    const [first, second] = names
    // A record whose writer died in the middle of a line has no line end.
    const newLine = text === '' || text.endsWith('\n') ? '' : '\n'
    if (first === undefined) {
      await this.#append(id, `${newLine}${nameOf(0, id)}\n${name}\n`)
      return 1
    }
    if (first === name && first === second) return ends.length
    const wasInsertedLate = first === name && (await this.#wasInsertedLate(id, names, heldPath))
    if (!wasInsertedLate && names.at(-1) === name) {
      const writtenMs = (await this.#io.calls.stat(record))?.modifiedMs ?? Number.NaN
      const kept = endsOfPython(ends, writtenMs / 1000)
      if (kept.length < ends.length) await this.#replace(id, [nameOf(0, id), ...kept])
      return kept.length
    }
    await this.#append(id, `${newLine}${name}\n`)
    return endsIn([...names, name], id).length
  }

  /** Makes `name`, in the future, the one that the task begins with: it waits, and no attempt is counted for that. */
  async postponed(id: string, name: string): Promise<void> {
    await this.#replace(id, [name, name, ...endsIn(await this.names(id), id)])
  }

  /** Records the name of a task that is inserted with a delay, before the task itself is there. */
  async begunLater(id: string, name: string): Promise<void> {
    await writeInto(this.#io, inside(this.#layout.movement, id), `${name}\n${name}\n`, 'w')
  }

  /** Removes the record of a task that was not inserted after all. */
  async notBegun(id: string): Promise<void> {
    await this.#io.calls.unlink(inside(this.#layout.movement, id), 'absent')
  }

  /** Records a failure, after which the task waits until `until` (whole Unix seconds by the queue's clock). */
  async failed(id: string, failure: Failure, until: number): Promise<void> {
    const text = await this.#textIfRecord(inside(this.#layout.movement, id))
    if (namesOf(text, id).length === 0) await this.#append(id, `${text === undefined ? '' : '\n'}${nameOf(0, id)}\n`)
    await this.#addLine(id, { ...failure, until })
  }

  /** The recorded failures, oldest first. */
  async failures(id: string): Promise<Failure[]> {
    const { failures } = recordOf(await this.#textIfRecord(inside(this.#layout.failures, id)))
    return failures.map(({ until: _, ...failure }) => failure)
  }

  /**
   * True if a name in the future is a delay, and not a lease: the name of a delayed insert, or of a failure's back-off.
   * A task that was moved by hand (`mv`) to a time in the future looks like a lease.
   */
  async isDelay({ name, id, available }: TaskName): Promise<boolean> {
    const names = await this.names(id)
    const [first, second] = names
    if (first === undefined) return false
    if (first === name) {
      return first === second || (await this.#wasInsertedLate(id, names, inside(this.#layout.queue, name)))
    }
    return recordOf(await this.#textIfRecord(inside(this.#layout.failures, id))).failures.at(-1)?.until === available
  }

  /**
   * Removes the records of a deleted task. The failures first: if we die between the two, the remaining record still
   * says that there may be failures, to a process that deletes a task of this id again (a dead letter that was
   * retried).
   */
  async forget(id: string): Promise<void> {
    const { calls } = this.#io
    const record = inside(this.#layout.movement, id)
    if ((await calls.stat(record)) === undefined) return
    await calls.unlink(inside(this.#layout.failures, id), 'absent')
    await calls.unlink(record, 'there')
  }

  /** True if no task had a history half a minute ago; false also if deletions are too rare to check. */
  async wasEmpty(): Promise<boolean> {
    const nowMs = performance.now()
    if (nowMs < this.#emptyUntilMs) return true
    const isRare = nowMs - this.#askedMs > rareMs
    this.#askedMs = nowMs
    if (isRare || !(await this.isEmpty())) return false
    this.#emptyUntilMs = nowMs + noRecordsMs
    return true
  }

  /**
   * True if no task has a history: one check of the folder saves one for each of many tasks. Uploads have files there
   * too.
   */
  async isEmpty(): Promise<boolean> {
    if (performance.now() < this.#recordsUntilMs) return false
    const folder = await this.#io.calls.openFolder(this.#layout.movement)
    if (folder === undefined) return true
    try {
      let names: readonly string[]
      do {
        names = await folder.read()
        if (names.length === 0) return true
      } while (names.every(isMarker))
    } finally {
      await folder.close()
    }
    this.#recordsUntilMs = performance.now() + recordsStayMs
    return false
  }

  /** True where a history of one line is that of Python's insert with a delay, and not that of Python's lease. */
  async #wasInsertedLate(id: string, names: readonly string[], taskPath: string): Promise<boolean> {
    if (names.length !== 1) return false
    const { calls } = this.#io
    const record = await calls.stat(inside(this.#layout.movement, id))
    const task = await calls.stat(taskPath)
    return record !== undefined && task !== undefined && record.modifiedMs - task.modifiedMs < insertMs
  }

  async #textIfRecord(path: string): Promise<string | undefined> {
    try {
      return await this.#io.calls.read(path, 'short')
    } catch (error) {
      if (codeOfNoFile(error) === undefined) throw error
      return undefined
    }
  }

  async #replace(id: string, names: readonly string[]): Promise<void> {
    await this.#put(inside(this.#layout.movement, id), `${names.join('\n')}\n`)
  }

  /**
   * Writes a whole record. Through staging: a death during the write must not shorten it. Under a new name each time,
   * of which no host can have an outdated cache.
   */
  async #put(path: string, text: string): Promise<void> {
    const staged = inside(this.#layout.staging, `${randomUUID()}.record`)
    let isThere: boolean
    try {
      await writeInto(this.#io, staged, text, 'w')
      isThere = await renameInto(this.#io.calls, staged, path)
    } catch (error) {
      await this.#io.calls.unlink(staged, 'absent')
      throw error
    }
    if (!isThere) throw new Error(`${staged} was removed while it was written`)
  }

  async #append(id: string, lines: string): Promise<void> {
    await this.#appendTo(inside(this.#layout.movement, id), lines)
  }

  /** Begins with a line end: the line before may have been cut off by the death of its writer. */
  async #addLine(id: string, line: FailureLine | AloneLine): Promise<void> {
    await this.#appendTo(inside(this.#layout.failures, id), `\n${JSON.stringify(line)}\n`)
  }

  async #appendTo(path: string, lines: string): Promise<void> {
    try {
      await writeInto(this.#io, path, lines, 'a')
    } catch (error) {
      if (!isMissing(error) && !isStaleHandle(error)) throw error
      // This host takes a name for one that is there, which another host has removed, until its memory of names is over.
      // A rename onto that name goes through.
      await this.#put(path, ((await this.#textIfRecord(path)) ?? '') + lines)
    }
  }
}
