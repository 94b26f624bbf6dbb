/** Finds tasks in packs by their ids, which are derived from that of the pack and their index. */
import type { Backend } from '../backend/backend.js'
import type { ListedMessage } from '../backend/messages.js'
import { tasksOfMessage } from '../backend/pack-ids.js'
import { indexOfTaskId } from '../backend/task-ids.js'
import { parseJson, stringifyJson } from '../json/json.js'
import type { PackSequence, ReadPack } from '../tasks/pack.js'
import type { Range } from '../tasks/ranges.js'
import { findSliceable, rebuildSequence } from '../tasks/sliceable.js'
import { taskText, toPayload } from '../tasks/task-payload.js'
import { warnOfNoTask } from './no-task.js'
import { ListedTask, packOf, type QueuedTask, type TaskContent } from './queued-task.js'

/** A whole id of version 8, as tasks of packs have. */
const packedId = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The task with this id in a pack of the queue; `undefined`: no pack has, or had, it. Reads all packs. */
export async function findPackedTask(
  backend: Backend & Required<Pick<Backend, 'list'>>,
  id: string,
): Promise<ListedTask | undefined> {
  if (!packedId.test(id)) return undefined
  let ended: ListedTask | undefined
  for await (const message of backend.list({ wanted: other => tasksOfMessage(other) > 1 })) {
    const found = tasksOfMessage(message.id) > 1 ? await packedTask(backend, message, id) : undefined
    if (found?.inPack?.isDone === false) return found
    // Another part of the pack may have it.
    ended ??= found
  }
  return ended
}

/** True if `message` is a pack, and the task with this id is left in it. */
export function hasPackedTask(message: QueuedTask, id: string): boolean {
  const pack = packedId.test(id) ? packOf(message) : undefined
  const index = pack && indexIn(pack, message.id, id)
  return pack !== undefined && index !== undefined && placeIn(pack.indices, index) !== undefined
}

async function packedTask(backend: Backend, message: ListedMessage, id: string): Promise<ListedTask | undefined> {
  const listed = packIn(backend, message)
  const pack = listed && packOf(listed)
  if (listed === undefined || pack === undefined) return undefined
  const index = indexIn(pack, message.id, id)
  if (index === undefined) return undefined
  const at = placeIn(pack.indices, index)
  const content = at === undefined ? undefined : await contentOf(pack, index, at)
  const place = { id: message.id, index, count: pack.count, isDone: at === undefined }
  return new ListedTask(message, listed.failures, { id, content: content ?? whole(listed), place })
}

function packIn(backend: Backend, message: ListedMessage): ListedTask | undefined {
  try {
    return new ListedTask(message)
  } catch (error) {
    warnOfNoTask(backend, message.id, 'left out of the search', error)
    return undefined
  }
}

/** The index in the pack of the task with this id, left or not; `undefined`: it was never in it. */
function indexIn({ ids }: ReadPack, messageId: string, id: string): number | undefined {
  return indexOfTaskId((ids ?? messageId).replaceAll('-', ''), id)
}

/** The place of an index among those that are left. */
function placeIn(indices: readonly Range[], index: number): number | undefined {
  let place = 0
  for (const { start, end } of indices) {
    if (index < start) return undefined
    if (index < end) return place + index - start
    place += end - start
  }
  return undefined
}

function whole(task: ListedTask): TaskContent {
  return { payload: task.payload(), payloadText: task.payloadText }
}

async function contentOf({ tasks }: ReadPack, index: number, place: number): Promise<TaskContent | undefined> {
  if ('sequence' in tasks) return madeTask(tasks, index)
  const payload = tasks.payloads[place]
  const payloadText = tasks.texts[place]
  return payload === undefined || payloadText === undefined ? undefined : { payload, payloadText }
}

/** The task that a sequence makes of an index; `undefined` where it isn't registered here, or makes none. */
async function madeTask({ sequence, fields }: PackSequence, index: number): Promise<TaskContent | undefined> {
  const registered = findSliceable(sequence)
  if (registered === undefined) return undefined
  try {
    const own = parseJson(stringifyJson(fields)) as Record<string, unknown>
    for await (const task of rebuildSequence(registered, own).slice(index, index + 1)) {
      return { payload: toPayload(task), payloadText: taskText(task) }
    }
  } catch {
    // The sequence's own code can't make it here. The worker that runs it reports that.
  }
  return undefined
}
