/** Splits a pack whose holder died: after a few deaths each of its tasks has a message of its own. */

import { derivedId } from '../backend/derived-id.js'
import { packId } from '../backend/pack-ids.js'
import { earlierAttempts, type LeasedTask } from '../queue/queued-task.js'
import { type Range, sizeOf } from '../tasks/ranges.js'
import type { HeldPack } from './held-pack.js'
import type { PackWriter } from './pack-writer.js'
import { onlyTask } from './store-task.js'

/** Parts of a pack whose holder died. More would isolate a task that kills workers sooner, and make more messages of healthy ones. */
const partsOfSplit = 16

/** True for a pack whose holder died: one of its tasks may be the cause. */
export function mustSplit(message: LeasedTask): boolean {
  return message.count > 1 && message.deaths > earlierAttempts(message).deaths
}

/** Stores the tasks of a pack as messages of fewer tasks, which have its deaths. Idempotent: the parts have the same ids each time. */
export async function storeParts(pack: HeldPack, writer: PackWriter): Promise<void> {
  const { message } = pack
  const history = {
    of: message,
    earlier: { attempts: message.attempt - 1, deaths: message.deaths },
    failures: message.failures,
  }
  const parts = []
  for (const ranges of pack.parts(partsOfSplit)) {
    // The others must not wait for one that can't be made.
    const only = await onlyTask(pack, ranges)
    const id = only?.id ?? packId(derivedId(partKey(message, ranges)), sizeOf(ranges))
    parts.push({ id, text: only?.payloadText ?? pack.textOf(ranges), ...history })
  }
  await writer.insert(parts, 0)
}

/** Identifies a part of a message in one lease. */
function partKey(message: LeasedTask, ranges: readonly Range[]): string {
  return `${message.id} ${message.deaths} ${JSON.stringify(ranges)}`
}
