/** Makes the tasks of a pack from their indices, only as they are needed. */
import { UnregisteredTaskError } from '../errors/errors.js'
import { parseJson, stringifyJson } from '../json/json.js'
import type { TaskContent } from '../queue/queued-task.js'
import type { PackSequence, PackTasks, ReadPack } from '../tasks/pack.js'
import type { Payload } from '../tasks/payload.js'
import type { Range } from '../tasks/ranges.js'
import { findSliceable, rebuildSequence, type Sliceable } from '../tasks/sliceable.js'
import type { BareTask } from '../tasks/task.js'
import { taskText, toPayload } from '../tasks/task-payload.js'
import { TaskSource } from '../tasks/task-source.js'

/** The tasks of a pack. */
export interface ExpandedTasks {
  /** They are made here, not read. */
  readonly isMade: boolean
  /** Length of the longest payload that was read, as JSON. */
  readonly maxTextLength: number
  /**
   * The tasks from `range.start` on that can be made now, up to `max` and to the end of the range. Empty: wait with {@link ready}.
   *
   * @throws what a sequence throws, also where it ends too soon
   */
  take(range: Range, max: number): readonly BareTask[]
  ready(): Promise<void>
  /** The payload of a task that was taken. */
  contentOf(index: number, task: BareTask): TaskContent
  /** Those of some indices, for another message. */
  at(indices: readonly Range[]): PackTasks
}

/** @throws UnregisteredTaskError where the sequence of a pack is not registered here; what rebuilding it throws */
export function expand({ tasks, indices }: ReadPack): ExpandedTasks {
  return 'sequence' in tasks ? new SequenceTasks(tasks) : new ListedTasks(tasks, indices)
}

/** Tasks whose payloads are in the message. */
class ListedTasks implements ExpandedTasks {
  readonly isMade = false
  readonly maxTextLength: number
  readonly #texts: readonly string[]
  readonly #payloads: readonly Payload[]
  /** The ranges of indices, with the place of the first in the lists. */
  readonly #places: readonly (Range & { readonly place: number })[]

  constructor(
    { texts, payloads }: { texts: readonly string[]; payloads: readonly Payload[] },
    indices: readonly Range[],
  ) {
    this.#texts = texts
    this.#payloads = payloads
    this.maxTextLength = texts.reduce((max, { length }) => Math.max(max, length), 0)
    let place = 0
    this.#places = indices.map(({ start, end }) => {
      const range = { start, end, place }
      place += end - start
      return range
    })
  }

  take({ start, end }: Range, max: number): readonly BareTask[] {
    const place = this.#placeOf(start)
    const payloads = this.#payloads.slice(place, place + Math.min(max, end - start))
    if (place < 0 || payloads.length === 0) throw new Error(`Expected task ${start} in its pack`)
    return payloads
  }

  contentOf(index: number): TaskContent {
    const place = this.#placeOf(index)
    const payloadText = this.#texts[place]
    const payload = this.#payloads[place]
    if (payloadText === undefined || payload === undefined) throw new Error(`Expected task ${index} in its pack`)
    return { payload, payloadText }
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  at(indices: readonly Range[]): PackTasks {
    // No range of a part goes beyond one of the pack's own: those don't touch.
    const texts = indices.flatMap(({ start, end }) => {
      const place = this.#placeOf(start)
      return this.#texts.slice(place, place + end - start)
    })
    return { texts }
  }

  /** The place of a task in the lists; -1 for one that is not in the pack. */
  #placeOf(index: number): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#places[middle]?.end ?? 0) <= index) low = middle + 1
      else high = middle
    }
    const range = this.#places[low]
    return range === undefined || index < range.start ? -1 : range.place + index - range.start
  }
}

/** Tasks that a sequence makes. */
class SequenceTasks implements ExpandedTasks {
  readonly isMade = true
  readonly maxTextLength = 0
  readonly #reference: PackSequence
  readonly #sequence: Sliceable
  /** The part that is being iterated, and the index of its next task. */
  #part: { readonly source: TaskSource<BareTask>; readonly end: number; next: number } | undefined

  constructor(reference: PackSequence) {
    const { sequence: name, fields } = reference
    const registered = findSliceable(name)
    if (registered === undefined) {
      throw new UnregisteredTaskError(
        `Expected the sequence ${name} to be registered here by sliceable(), to make the tasks of a pack; import the module that does ` +
          'so (ptq poll --load FILE)',
      )
    }
    // A copy: the sequence may change its fields.
    this.#reference = reference
    this.#sequence = rebuildSequence(registered, parseJson(stringifyJson(fields)) as Record<string, unknown>)
  }

  take({ start, end }: Range, max: number): readonly BareTask[] {
    if (this.#part?.next !== start || this.#part.end !== end) {
      void this.#part?.source.stop()
      this.#part = { source: new TaskSource(this.#sequence.slice(start, end)), end, next: start }
    }
    const part = this.#part
    const tasks = part.source.take(Math.min(max, end - start))
    part.next += tasks.length
    const { error } = part.source
    if (tasks.length === 0 && error !== undefined) throw error.thrown
    if (tasks.length === 0 && part.source.ended) {
      throw new Error(
        `Expected ${this.#reference.sequence} to make the tasks ${start} to ${end - 1} of its ${this.#sequence.length}, but it ended ` +
          `before task ${part.next}: \`length\`, \`slice\` and the iterator have to agree`,
      )
    }
    return tasks
  }

  contentOf(_index: number, task: BareTask): TaskContent {
    return new MadeTask(task)
  }

  ready(): Promise<void> {
    return this.#part?.source.ready() ?? Promise.resolve()
  }

  at(): PackTasks {
    return this.#reference
  }
}

/** A task that a sequence made: its payload is made when it is needed. */
class MadeTask implements TaskContent {
  readonly #task: BareTask
  #payload: Payload | undefined

  constructor(task: BareTask) {
    this.#task = task
  }

  get payload(): Payload {
    this.#payload ??= toPayload(this.#task)
    return this.#payload
  }

  get payloadText(): string {
    return taskText(this.#task)
  }
}
