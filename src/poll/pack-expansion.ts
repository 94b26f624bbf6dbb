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
  /**
   * The tasks from `range.start` on that can be made now, up to `max` and to the end of the range. Empty: wait with {@link ready}.
   *
   * @throws what a sequence throws, also where it ends too soon
   */
  take(range: Range, max: number): readonly TaskContent[]
  ready(): Promise<void>
  /** Those of some indices, for another message. */
  at(indices: readonly Range[]): PackTasks
}

/** @throws UnregisteredTaskError where the sequence of a pack is not registered here; what rebuilding it throws */
export function expand({ tasks, indices }: ReadPack): ExpandedTasks {
  return 'sequence' in tasks ? new SequenceTasks(tasks) : new ListedTasks(tasks, indices)
}

/** Tasks whose payloads are in the message. */
class ListedTasks implements ExpandedTasks {
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
    let place = 0
    this.#places = indices.map(({ start, end }) => {
      const range = { start, end, place }
      place += end - start
      return range
    })
  }

  take({ start, end }: Range, max: number): readonly TaskContent[] {
    const contents: TaskContent[] = []
    for (let index = start; index < Math.min(end, start + max); index++) {
      const place = this.#placeOf(index)
      const payloadText = this.#texts[place]
      const payload = this.#payloads[place]
      if (payloadText === undefined || payload === undefined) throw new Error(`Expected task ${index} in its pack`)
      contents.push({ payload, payloadText })
    }
    return contents
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  at(indices: readonly Range[]): PackTasks {
    const texts = indices.flatMap(({ start, end }) => {
      const part: string[] = []
      for (let index = start; index < end; index++) part.push(this.#texts[this.#placeOf(index)] ?? '')
      return part
    })
    return { texts }
  }

  #placeOf(index: number): number {
    const range = this.#places.find(({ start, end }) => index >= start && index < end)
    return range === undefined ? -1 : range.place + index - range.start
  }
}

/** Tasks that a sequence makes. */
class SequenceTasks implements ExpandedTasks {
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

  take({ start, end }: Range, max: number): readonly TaskContent[] {
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
    return tasks.map(task => new MadeTask(task))
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
  readonly isMade = true
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
