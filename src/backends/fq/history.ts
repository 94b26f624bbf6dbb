/**
 * What is known of a task beside its name.
 *
 * `movement/<id>` holds names that the task's file has had, one a line. It begins with the name that the task began with,
 * which is twice there where that was a delay of ours; each further line is the end of an attempt: a lease that ran out, a
 * failure's back-off, a release by `releaseAll`. Renewals rename without a line, so they don't count; a release without a
 * failure replaces the last line. A task that is leased for the first time and finished has no such file, unless Python
 * inserted it.
 *
 * Python writes a line at each lease, each renewal and each release. Such a history is counted by the same rule, so it can
 * say more attempts than there were. And a history of one line with a time is either Python's delayed insert or Python's
 * lease of a task of ours; the times of the two files tell them apart, see `#wasInsertedLate`.
 *
 * `failures/<id>` holds one line of JSON a failure. It exists only beside a `movement/<id>`.
 *
 * Where one of them can't be a record (a link, a folder, more than 16 MiB), somebody else has put it there. It says nothing
 * then, except to who takes the task over: of a task whose attempts can't be counted nobody knows when to give it up.
 *
 * Only the holder of a lease writes here (and a Python inserter, which writes its one line late). A process that dies
 * between the rename that takes a task over and the line that records it leaves one attempt uncounted; one that dies while
 * it postpones a task leaves one counted that never ran.
 */
import type { Failure } from '../../backend.js'
import { failuresFrom } from '../../recorded-failures.js'
import { codeOfNoFile } from './file-system.js'
import { inside, type Layout, renameInto, writeInto } from './layout.js'
import { nameOf, parseName, type TaskName } from './names.js'
import type { Pace } from './pace.js'

/** A line of `failures/<id>`: the failure, and until when the task waits. */
interface FailureLine extends Failure {
  /** Whole Unix seconds by the queue's clock: the task may be leased from then on. */
  readonly until: number
}

/** `undefined`: the line of a process that died while it wrote, or somebody else's. The task's name counts it all the same. */
function parseFailure(line: string): FailureLine | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const [failure] = failuresFrom([value])
    const until = failure === undefined || !('until' in failure) ? undefined : failure.until
    return failure !== undefined && typeof until === 'number' ? { ...failure, until } : undefined
  } catch {
    return undefined
  }
}

function linesOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split('\n').filter(line => line !== '')
}

/**
 * The names in a record. A line that is none was cut off by the death of its writer: it stands for the end of an attempt, as
 * it was meant to, unless it is the first, which is what the task began with.
 */
function namesOf(text: string | undefined, id: string): string[] {
  return linesOf(text).filter((line, index) => index > 0 || parseName(line)?.id === id)
}

// Python's insert writes the history right after the task, its lease at any time later. Local disks take less than a
// millisecond between the two, networks some tens.
const INSERT_MS = 100

/** The lines that stand for the end of an attempt. */
function endsIn(names: readonly string[], id: string): readonly string[] {
  const [first, second] = names
  if (first === nameOf(0, id)) return names.slice(1)
  return first !== undefined && first === second ? names.slice(2) : names
}

// How long a folder that was found with records in it is taken to have some. Looking costs a read of up to a thousand names.
const RECORDS_STAY_MS = 10_000

export class History {
  readonly #pace: Pace
  readonly #layout: Layout
  #recordsUntilMs = Number.NEGATIVE_INFINITY

  constructor(pace: Pace, layout: Layout) {
    this.#pace = pace
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
   * @returns how many attempts went before
   * @throws the error of what can't be a record
   */
  async takenOver(origin: TaskName, heldPath: string): Promise<number> {
    const { id, name } = origin
    const text = (await this.#pace.calls.read(inside(this.#layout.movement, id), 'short')) ?? ''
    const names = namesOf(text, id)
    const [first, second] = names
    // A record whose writer died in the middle of a line has no end of line.
    const newLine = text === '' || text.endsWith('\n') ? '' : '\n'
    if (first === undefined) {
      await this.#append(id, `${newLine}${nameOf(0, id)}\n${name}\n`)
      return 1
    }
    const isBeginning = first === name && (first === second || (await this.#wasInsertedLate(id, names, heldPath)))
    if (isBeginning && first === second) return endsIn(names, id).length
    if (!isBeginning && names.at(-1) === name) return endsIn(names, id).length
    await this.#append(id, `${newLine}${name}\n`)
    return endsIn([...names, name], id).length
  }

  /** Makes `name`, in the future, the one that the task begins with: it waits, and no attempt is counted for that. */
  async postponed(id: string, name: string): Promise<void> {
    await this.#replace(id, [name, name, ...endsIn(await this.names(id), id)])
  }

  /**
   * Makes `name` the end of the last attempt, or what the task begins with where there was none: who takes the task over
   * under it has nothing to add.
   */
  async givenBack(id: string, name: string): Promise<void> {
    const names = await this.names(id)
    const ends = endsIn(names, id)
    const beginning = names.slice(0, names.length - ends.length)
    if (ends.length === 0) await this.#replace(id, [name, name])
    // Python's lease of a task of ours wrote no beginning.
    else await this.#replace(id, [...(beginning.length > 0 ? beginning : [nameOf(0, id)]), ...ends.slice(0, -1), name])
  }

  /** Records the name of a task that is inserted with a delay, before the task itself is there. */
  async begunLater(id: string, name: string): Promise<void> {
    await writeInto(this.#pace, inside(this.#layout.movement, id), `${name}\n${name}\n`, 'w')
  }

  /** Records a failure, after which the task waits until `until` (whole Unix seconds by the queue's clock). */
  async failed(id: string, failure: Failure, until: number): Promise<void> {
    const text = await this.#textIfRecord(inside(this.#layout.movement, id))
    if (namesOf(text, id).length === 0) await this.#append(id, `${text === undefined ? '' : '\n'}${nameOf(0, id)}\n`)
    const line: FailureLine = { ...failure, until }
    await writeInto(this.#pace, inside(this.#layout.failures, id), `${JSON.stringify(line)}\n`, 'a')
  }

  /** The recorded failures, oldest first. */
  async failures(id: string): Promise<Failure[]> {
    return (await this.#failureLines(id)).map(({ until: _, ...failure }) => failure)
  }

  /**
   * Whether a name in the future is a delay, and not a lease: the name of a delayed insert, or of a failure's back-off. A
   * task that was moved by hand (`mv`) to a time in the future looks like a lease.
   */
  async isDelay({ name, id, available }: TaskName): Promise<boolean> {
    const names = await this.names(id)
    const [first, second] = names
    if (first === undefined) return false
    if (first === name) {
      return first === second || (await this.#wasInsertedLate(id, names, inside(this.#layout.queue, name)))
    }
    return (await this.#failureLines(id)).at(-1)?.until === available
  }

  /**
   * Removes what is known of a finished task. The failures first: should we die between the two, then the record that is
   * left still says that there may be failures, to whoever finishes a task of this id again (a dead letter that was retried).
   */
  async forget(id: string): Promise<void> {
    const { calls } = this.#pace
    const record = inside(this.#layout.movement, id)
    if ((await calls.stat(record)) === undefined) return
    await calls.unlink(inside(this.#layout.failures, id), 'absent')
    await calls.unlink(record, 'there')
  }

  /** Whether no task has a history: one look at the folder spares a look for each of many tasks. */
  async isEmpty(): Promise<boolean> {
    if (performance.now() < this.#recordsUntilMs) return false
    const folder = await this.#pace.calls.openFolder(this.#layout.movement)
    if (folder === undefined) return true
    try {
      if ((await folder.read()).length === 0) return true
    } finally {
      await folder.close()
    }
    this.#recordsUntilMs = performance.now() + RECORDS_STAY_MS
    return false
  }

  async #failureLines(id: string): Promise<FailureLine[]> {
    const text = await this.#textIfRecord(inside(this.#layout.failures, id))
    return linesOf(text).flatMap(line => parseFailure(line) ?? [])
  }

  /** Whether a history of one line is that of Python's insert with a delay, and not that of Python's lease. */
  async #wasInsertedLate(id: string, names: readonly string[], taskPath: string): Promise<boolean> {
    if (names.length !== 1) return false
    const { calls } = this.#pace
    const record = await calls.stat(inside(this.#layout.movement, id))
    const task = await calls.stat(taskPath)
    return record !== undefined && task !== undefined && record.modifiedMs - task.modifiedMs < INSERT_MS
  }

  async #textIfRecord(path: string): Promise<string | undefined> {
    try {
      return await this.#pace.calls.read(path, 'short')
    } catch (error) {
      if (codeOfNoFile(error) === undefined) throw error
      return undefined
    }
  }

  async #replace(id: string, names: readonly string[]): Promise<void> {
    const staged = inside(this.#layout.staging, `${id}.movement`)
    // Through staging: a death in the middle of the write must not shorten the record.
    await writeInto(this.#pace, staged, `${names.join('\n')}\n`, 'w')
    if (!(await renameInto(this.#pace.calls, staged, inside(this.#layout.movement, id)))) {
      throw new Error(`${staged} was removed while it was written`)
    }
  }

  async #append(id: string, lines: string): Promise<void> {
    await writeInto(this.#pace, inside(this.#layout.movement, id), lines, 'a')
  }
}
