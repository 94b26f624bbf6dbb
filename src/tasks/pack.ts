/**
 * Packs: the payload of a message that holds several tasks.
 *
 * ```text
 * {"class":"ptq.Pack","indices":[[0,3]],"tasks":[      payloads, one a line, so that each keeps its own text
 * [["tasks","hash"],["a.txt"],{},-1],
 * …
 * ]}
 * {"class":"ptq.Pack","indices":[[0,10000]],"sequence":"ptq.TaskRange","fields":{…}}      a slice of a sequence
 * ```
 *
 * For a worker without support for packs this is a task of an unknown class: it fails on it, and the message stays.
 *
 * Each task has an index in the pack that it was inserted with, and its id is made of that pack's id and of the index: the same
 * wherever the pack is expanded, and in any part of it. `indices` are those of the tasks that are left, `ids` is the id of the first
 * pack where that is another message's, and `completed` the number of tasks that ended and that the queue has not counted yet.
 */
import { maxTasksOfMessage } from '../backend/pack-ids.js'
import { parseJson, stringifyJson } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'
import { type ClassPayload, isClassPayload, isFunctionPayload, isRecord, type Payload } from './payload.js'
import { type Range, sizeOf, union } from './ranges.js'
import type { Task } from './task.js'

/** The class name of packs in payloads. */
const packClass = 'ptq.Pack'

const tasksStart = '"tasks":[\n'
const separator = ',\n'
const tasksEnd = '\n]}'

/** A part of a pack, of any kind of tasks. */
export interface PackPart {
  /** The indices of its tasks. */
  readonly indices: readonly Range[]
  /** The id from which those of the tasks are made; `undefined`: the message's own. */
  readonly ids?: string | undefined
  /** The tasks that ended and that the queue has not counted. */
  readonly completed?: number
}

/** The tasks of a pack: payloads in the order of its indices, or a sequence that makes the task of an index. */
export type PackTasks = { readonly texts: readonly string[] } | PackSequence

/** A sequence by its registered name. */
export interface PackSequence {
  readonly sequence: string
  /** The public fields of the whole sequence, as JSON. */
  readonly fields: Readonly<Record<string, JsonValue>>
}

/** A pack that was read. */
export interface ReadPack extends Required<Omit<PackPart, 'ids'>> {
  readonly ids: string | undefined
  /** The number of its tasks. */
  readonly count: number
  readonly tasks: { readonly texts: readonly string[]; readonly payloads: readonly Payload[] } | PackSequence
}

/** Tasks that are inserted as one message. */
export class Pack implements Task {
  /** The payload as JSON. */
  readonly text: string
  readonly count: number

  constructor(text: string, count: number) {
    this.text = text
    this.count = count
  }

  payload(): ClassPayload {
    return parseJson(this.text) as ClassPayload
  }

  /** @throws Error always: a worker runs its tasks */
  execute(): never {
    throw packIsNoTask(this.count)
  }
}

/** The payload of a pack, as JSON. */
export function packText(tasks: PackTasks, { indices, ids, completed = 0 }: PackPart): string {
  const head =
    `{"class":"${packClass}",${ids === undefined ? '' : `"ids":"${ids}",`}` +
    `"indices":${JSON.stringify(indices.map(({ start, end }) => [start, end]))},` +
    (completed === 0 ? '' : `"completed":${completed},`)
  if ('texts' in tasks) return `${head}${tasksStart}${tasks.texts.join(separator)}${tasksEnd}`
  return `${head}"sequence":${JSON.stringify(tasks.sequence)},"fields":${stringifyJson(tasks.fields, { name: 'fields' })}}`
}

/**
 * A payload's JSON text as a pack contains it: on one line. Texts of others may have line ends between their tokens.
 */
export function packableText(text: string): string {
  return text.includes('\n') ? stringifyJson(parseJson(text)) : text
}

/** True for the payload of a pack. */
export function isPackPayload(payload: Payload): payload is ClassPayload {
  return !Array.isArray(payload) && payload.class === packClass
}

/**
 * Reads the payload of a pack.
 *
 * @throws Error where it has not the form of one
 */
export function readPack(payload: ClassPayload, payloadText: string): ReadPack {
  const { ids, indices, completed = 0, tasks, sequence, fields } = payload
  const ranges = readIndices(indices)
  const count = sizeOf(ranges)
  if (ids !== undefined && typeof ids !== 'string') throw wrongPack('`ids` to be an id')
  if (!Number.isSafeInteger(completed) || Number(completed) < 0) throw wrongPack('`completed` to be a number')
  const part = { ids, indices: ranges, completed: Number(completed), count }
  if (typeof sequence === 'string' && isRecord(fields)) {
    return { ...part, tasks: { sequence, fields: fields as Readonly<Record<string, JsonValue>> } }
  }
  if (!Array.isArray(tasks) || tasks.length !== count) throw wrongPack('as many `tasks` as `indices`, or a `sequence`')
  if (!tasks.every(isPayload)) throw wrongPack('`tasks` to be payloads')
  return { ...part, tasks: { payloads: tasks, texts: textsOf(payloadText, tasks) } }
}

/** The error of what would run a pack as one task. */
export function packIsNoTask(count: number): Error {
  return new Error(`Expected one task, got a pack of ${count}: poll() runs them, and knows each by its own id`)
}

function readIndices(value: JsonValue | undefined): readonly Range[] {
  const ranges = Array.isArray(value) ? value.map(rangeOf) : []
  // Sorted, neither overlapping nor touching: each index stands for one task.
  const isSorted = ranges.every(({ start }, at) => at === 0 || start > (ranges[at - 1]?.end ?? 0))
  const count = sizeOf(ranges)
  if (ranges.length === 0 || !isSorted || count > maxTasksOfMessage) throw wrongPack('`indices` to be sorted ranges')
  return union(ranges)
}

function rangeOf(value: JsonValue): Range {
  const [start, end] = Array.isArray(value) ? value : []
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || Number(start) < 0 || Number(end) <= Number(start)) {
    throw wrongPack('`indices` to be ranges [start, end]')
  }
  return { start: Number(start), end: Number(end) }
}

function isPayload(value: JsonValue): value is Payload {
  return isFunctionPayload(value) || isClassPayload(value)
}

function textsOf(payloadText: string, tasks: readonly JsonValue[]): readonly string[] {
  const start = payloadText.indexOf(tasksStart)
  const texts = start < 0 ? [] : payloadText.slice(start + tasksStart.length, -tasksEnd.length).split(separator)
  // Another program wrote it in another form.
  return texts.length === tasks.length ? texts : tasks.map(task => stringifyJson(task))
}

function wrongPack(expected: string): Error {
  return new Error(`Expected ${expected} in the payload of a pack (class ${packClass})`)
}
