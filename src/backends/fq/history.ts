/**
 * What is known of a task beside its name.
 *
 * `movement/<id>` holds names that the task's file has had, one a line. The first line is the name that it began with (or
 * was postponed to) and counts nothing; each further line is the end of an attempt: a lease that ran out, a failure's
 * back-off, a release by `releaseAll`. Renewals rename without a line, so they don't count. A task that is leased for the
 * first time and finished has no such file, unless Python inserted it.
 *
 * Python writes a line at each lease, each renewal and each release. Such a history is counted by the same rule, so it can
 * say more attempts than there were.
 *
 * `failures/<id>` holds one line of JSON a failure. It exists only beside a `movement/<id>`.
 *
 * Only the holder of a lease writes here (and a Python inserter, which writes its one line late). A process that dies
 * between the rename that takes a task over and the line that records it leaves one attempt uncounted; one that dies while
 * it postpones a task leaves one counted that never ran.
 */
import type { Failure } from '../../backend.js'
import { inside, type Layout, writeInto } from './layout.js'
import { nameOf, type TaskName } from './names.js'
import type { Pace } from './pace.js'

/** A line of `failures/<id>`: the failure, and until when the task waits. */
interface FailureLine extends Failure {
  /** Whole Unix seconds by the queue's clock: the task may be leased from then on. */
  readonly until: number
}

function parseFailure(line: string): FailureLine | undefined {
  try {
    return JSON.parse(line) as FailureLine
  } catch {
    // The line of a process that died while it wrote. The failure is counted by the task's name all the same.
    return undefined
  }
}

function linesOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split('\n').filter(line => line !== '')
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
    return linesOf(await this.#text(id))
  }

  /**
   * Records that the task was found under `origin`, a name with a time, and taken over. Only after the rename: who lost the
   * race must not write.
   *
   * @returns how many attempts went before
   */
  async takenOver(origin: TaskName): Promise<number> {
    const text = (await this.#text(origin.id)) ?? ''
    const names = linesOf(text)
    const [first] = names
    if (first === undefined) {
      await this.#append(origin.id, `${nameOf(0, origin.id)}\n${origin.name}\n`)
      return 1
    }
    if (first === origin.name || names.at(-1) === origin.name) return names.length - 1
    // A record whose writer died in the middle of a line has no end of line.
    await this.#append(origin.id, `${text.endsWith('\n') ? '' : '\n'}${origin.name}\n`)
    return names.length
  }

  /** Makes `name`, in the future, the one that the task begins with: it waits, and no attempt is counted for that. */
  async postponed(id: string, name: string): Promise<void> {
    const [, ...later] = await this.names(id)
    const path = inside(this.#layout.movement, id)
    const staged = inside(this.#layout.staging, `${id}.movement`)
    // Through staging: a death in the middle of the write must not shorten the record.
    await writeInto(this.#pace, staged, `${[name, ...later].join('\n')}\n`, 'w')
    await this.#pace.calls.rename(staged, path)
  }

  /** Records the name of a task that is inserted with a delay, before the task itself is there. */
  async begunLater(id: string, name: string): Promise<void> {
    await writeInto(this.#pace, inside(this.#layout.movement, id), `${name}\n`, 'w')
  }

  /** Records a failure, after which the task waits until `until` (whole Unix seconds by the queue's clock). */
  async failed(id: string, failure: Failure, until: number): Promise<void> {
    if ((await this.names(id)).length === 0) await this.#append(id, `${nameOf(0, id)}\n`)
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
    const [first] = await this.names(id)
    if (first === undefined) return false
    return first === name || (await this.#failureLines(id)).at(-1)?.until === available
  }

  /** Removes what is known of a finished task. */
  async forget(id: string): Promise<void> {
    const { calls } = this.#pace
    if (!(await calls.unlink(inside(this.#layout.movement, id), 'absent'))) return
    await calls.unlink(inside(this.#layout.failures, id), 'absent')
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
    const text = await this.#pace.calls.read(inside(this.#layout.failures, id), 'absent')
    return linesOf(text).flatMap(line => parseFailure(line) ?? [])
  }

  async #text(id: string): Promise<string | undefined> {
    return await this.#pace.calls.read(inside(this.#layout.movement, id), 'absent')
  }

  async #append(id: string, lines: string): Promise<void> {
    await writeInto(this.#pace, inside(this.#layout.movement, id), lines, 'a')
  }
}
