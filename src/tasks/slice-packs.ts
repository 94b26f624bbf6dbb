/** Slice messages: packs that carry a part of a sliceable sequence by its name and fields, not its tasks. */
import { argumentError } from '../errors/errors.js'
import { messageOf, nameAndMessageOf } from '../errors/thrown.js'
import { parseJson, stringifyJson, toJsonValue } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'
import { Pack, packText } from './pack.js'
import type { Range } from './ranges.js'
import {
  type RegisteredSliceable,
  rebuildSequence,
  registeredSliceable,
  type Sliceable,
  sliceable,
} from './sliceable.js'
import type { BareTask } from './task.js'
import { taskText } from './task-payload.js'

/** A sequence of slice messages; made by {@link slicePacks}. It is sliceable itself, so threads can insert its parts. */
export class SlicePacks implements Sliceable<Pack> {
  // All fields are public, since structured clone takes only those.
  readonly sequence: string
  readonly fields: Readonly<Record<string, JsonValue>>
  /** The number of tasks of the whole sequence. */
  readonly total: number
  /** Tasks of a message. */
  readonly size: number
  readonly start: number
  readonly end: number

  /** @param start, end the messages of this part */
  constructor(of: Pick<SlicePacks, 'sequence' | 'fields' | 'total' | 'size'>, start: number, end: number) {
    this.sequence = of.sequence
    this.fields = of.fields
    this.total = of.total
    this.size = of.size
    this.start = start
    this.end = end
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): SlicePacks {
    return new SlicePacks(this, this.start + start, this.start + end)
  }

  /** The indices of the tasks of some messages of the whole. */
  tasksOf({ start, end }: Range): Range {
    return { start: Math.min(start * this.size, this.total), end: Math.min(end * this.size, this.total) }
  }

  /** Makes the messages of this part. */
  *[Symbol.iterator](): Generator<Pack, void, undefined> {
    for (let at = this.start; at < this.end; at++) {
      const range = this.tasksOf({ start: at, end: at + 1 })
      yield new Pack(packText(this, { indices: [range] }), range.end - range.start)
    }
  }
}

sliceable(SlicePacks, { name: 'ptq.SlicePacks', url: import.meta.url })

/**
 * The slice messages of a sequence; `undefined` if its class was not registered by `sliceable`.
 *
 * @param size tasks of a message
 * @throws TypeError where JSON can't carry its fields, or it makes other tasks when it is rebuilt from them
 */
export function slicePacks(given: object, size: number): SlicePacks | undefined {
  const registered = registeredSliceable(given)
  if (registered === undefined) return undefined
  // Registered by `sliceable`, which takes no other classes.
  const sequence = given as Sliceable
  const { name } = registered
  const { length } = sequence
  if (!Number.isSafeInteger(length) || length < 0) {
    throw argumentError(`${name}.length`, 'an integer of 0 or more', length)
  }
  const fields = jsonFields(name, given)
  requireSameTasks(registered, sequence, fields)
  return new SlicePacks({ sequence: name, fields, total: length, size }, 0, Math.ceil(length / size))
}

function jsonFields(name: string, given: object): Record<string, JsonValue> {
  const fields: Record<string, JsonValue> = {}
  for (const [field, value] of Object.entries(given)) {
    if (value === undefined) continue
    try {
      fields[field] = toJsonValue(value, field)
    } catch (cause) {
      const reason = messageOf(cause)
      throw new TypeError(
        `Expected the fields of ${name} to be JSON, since with \`pack\` workers rebuild it from that: ${reason}`,
        { cause },
      )
    }
  }
  return fields
}

/** JSON changes some values without an error (a Date to a text): the first and the last task show it. */
function requireSameTasks(
  registered: RegisteredSliceable,
  sequence: Sliceable,
  fields: Readonly<Record<string, JsonValue>>,
): void {
  const { name } = registered
  try {
    const rebuilt = rebuildSequence(registered, parseJson(stringifyJson(fields)) as Record<string, JsonValue>)
    const { length } = sequence
    if (rebuilt.length !== length) throw new Error(`its length is ${rebuilt.length} then, not ${length}`)
    for (const at of length === 0 ? [] : [0, length - 1]) {
      if (textAt(rebuilt, at) !== textAt(sequence, at)) throw new Error(`its task ${at} is another one then`)
    }
  } catch (cause) {
    throw new TypeError(
      `Expected a ${name} to be the same when it is rebuilt from its public fields as JSON, as workers do with \`pack\`: ` +
        nameAndMessageOf(cause),
      { cause },
    )
  }
}

/** `undefined` where the tasks come asynchronously. */
function textAt(sequence: Sliceable, at: number): string | undefined {
  const slice = sequence.slice(at, at + 1)
  if (Symbol.asyncIterator in slice) return undefined
  const [task] = slice as Iterable<BareTask>
  return task === undefined ? undefined : taskText(task)
}
