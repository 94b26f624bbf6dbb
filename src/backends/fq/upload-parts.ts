/**
 * The parts of an upload: a batch of tasks with neighbouring indices, in a folder whose name contains its state.
 *
 * ```text
 * writing.0-1000/ ──all files written──▶ staged.0-1000/ ──all files renamed into queue/──▶ the file done.0-1000; free.0-1000/
 * ```
 *
 * Each arrow is one rename of the folder; before the second one the file `done.0-1000` is created. In `writing` no task
 * is in the queue; in `staged` a file that is there is not in the queue, and one that is not there was in it, also if
 * workers have taken it since. So each process that finds a part knows what is missing, and nothing is inserted twice.
 *
 * An empty folder is used for the next part. Ext4 spreads new folders over the disk, and the files of each with it: on a disk in
 * use, a new folder for each part took up to twice the kernel's time.
 */
import type { BatchFailure, Message } from '../../backend/messages.js'
import { UploadGoneError } from '../../errors/errors.js'
import { rescue } from './awaitable.js'
import { isMissing } from './file-system.js'
import { allNames, isFolderAfterUnlink, removeFolderIfThere } from './folders.js'
import { inside } from './layout.js'
import { nameOf, parseName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'

/** `[start, end)` of the indices of an upload's tasks. */
export interface PartRange {
  readonly start: number
  readonly end: number
}

type Stage = 'writing' | 'staged' | 'done' | 'free'

interface Part extends PartRange {
  readonly stage: Stage
  readonly path: string
}

const partName = /^(writing|staged|done|free)\.(\d+)-(\d+)$/

function partPath(run: string, stage: Stage, { start, end }: PartRange): string {
  return inside(run, `${stage}.${start}-${end}`)
}

/** The error for a folder that is not there any more. */
export function takenOver(run: string): UploadGoneError {
  return new UploadGoneError(
    `${run} is gone: another process took this upload up, or the queue was purged. What this insert stored before may be gone ` +
      'too. One process at a time continues an upload; with the same `resume`, insert again what is missing.',
  )
}

/**
 * Stores messages as the part of an upload that begins at index `start`.
 *
 * @param free paths of empty folders of the run, which only this caller knows: one is taken, or one is added
 */
export async function storePart(
  queue: FileQueue,
  run: string,
  free: string[],
  start: number,
  messages: readonly Message[],
  delaySeconds: number,
): Promise<BatchFailure[]> {
  const { io, clock } = queue
  const range = { start, end: start + messages.length }
  const writing = partPath(run, 'writing', range)
  const staged = partPath(run, 'staged', range)
  await clock.ready()
  const available = delaySeconds === 0 ? 0 : Math.ceil(clock.nowSeconds + delaySeconds)
  const nameAt = (index: number) => nameOf(available, messages[index]?.id ?? '')
  await writePart(queue, run, free.pop(), writing, messages, available)
  if (!(await io.calls.rename(writing, staged))) throw takenOver(run)
  await io.sync(run)

  const failures: BatchFailure[] = []
  await io.each(messages, ({ id }, index) =>
    rescue(
      () => move(queue, staged, nameAt(index)),
      error => {
        failures.push({ index, error: queueFault(queue, `Inserting task ${id}`, error) })
      },
    ),
  )
  if (failures.length === 0) free.push(await endPart(queue, run, range))
  return failures.sort((a, b) => a.index - b.index)
}

async function writePart(
  queue: FileQueue,
  run: string,
  free: string | undefined,
  folder: string,
  messages: readonly Message[],
  available: number,
): Promise<void> {
  const { io, history, layout } = queue
  try {
    if (free === undefined || !(await io.calls.rename(free, folder))) await io.calls.makeFolder(folder)
    await io.each(messages, ({ id, body }) => io.write(inside(folder, nameOf(available, id)), body, 'w'))
    await io.sync(folder)
    if (available === 0) return
    // Before a task is in the queue: a process that sees its name then knows that it is a delay and no lease.
    await io.each(messages, ({ id }) => history.begunLater(id, nameOf(available, id)))
    await io.sync(layout.movement)
  } catch (error) {
    // A host that caches names and attributes may still show the folder.
    if (isMissing(error) || (await io.calls.stat(run)) === undefined) throw takenOver(run)
    await dropWriting(queue, folder)
    throw queueFault(queue, 'Writing tasks', error)
  }
}

async function move({ io, layout }: FileQueue, staged: string, name: string): Promise<void> {
  try {
    if (await io.calls.rename(inside(staged, name), inside(layout.queue, name))) return
  } catch (error) {
    if (!isMissing(error)) throw error
    throw new Error(`${layout.queue} was removed while tasks were inserted`, { cause: error })
  }
  throw takenOver(staged)
}

/** Resolves with the path of the folder, which is free now. */
async function endPart({ io, layout }: FileQueue, run: string, range: PartRange): Promise<string> {
  await io.sync(layout.queue)
  try {
    await io.write(partPath(run, 'done', range), '', 'w')
  } catch (error) {
    throw isMissing(error) ? takenOver(run) : error
  }
  // Before the folder has another name: without both names a part would be taken for one that was never begun.
  await io.sync(run)
  const free = partPath(run, 'free', range)
  if (!(await io.calls.rename(partPath(run, 'staged', range), free))) throw takenOver(run)
  return free
}

/** Finishes or drops the parts that were cut off; those with indices in `range`. Resolves with what is done of it. */
export async function finishParts(queue: FileQueue, run: string, range: PartRange): Promise<PartRange[]> {
  const done: PartRange[] = []
  for (const part of await partsIn(queue, run)) {
    if (part.stage === 'free' || part.end <= range.start || part.start >= range.end) continue
    if (part.stage === 'writing') {
      await dropWriting(queue, part.path)
      continue
    }
    if (part.stage === 'staged') {
      const names = await allNames(queue, part.path)
      await queue.io.each(names, name => move(queue, part.path, name))
      await endPart(queue, run, part)
    }
    done.push({ start: part.start, end: part.end })
  }
  return done
}

/** Removes the marks of parts that are done: a finished upload needs them no more. */
export async function dropDone(queue: FileQueue, run: string): Promise<void> {
  const parts = (await partsIn(queue, run)).filter(({ stage }) => stage === 'done' || stage === 'free')
  await queue.io.each(parts, async ({ path }) => {
    // Earlier versions left the folder as `done`.
    if (await isFolderAfterUnlink(queue, path)) await removeFolderIfThere(queue, path)
  })
}

async function partsIn(queue: FileQueue, run: string): Promise<Part[]> {
  const parts: Part[] = []
  for (const name of await allNames(queue, run)) {
    const [, stage, start, end] = partName.exec(name) ?? []
    if (stage === undefined) continue
    parts.push({ stage: stage as Stage, start: Number(start), end: Number(end), path: inside(run, name) })
  }
  return parts
}

/** With the records of delays, which then belong to no task. */
async function dropWriting(queue: FileQueue, folder: string): Promise<void> {
  const { io, layout } = queue
  await io.each(await allNames(queue, folder), async name => {
    const task = parseName(name)
    if (task !== undefined && task.available > 0) {
      await io.calls.unlink(inside(layout.movement, task.id), 'absent')
    }
    await io.calls.unlink(inside(folder, name), 'there')
  })
  await removeFolderIfThere(queue, folder)
}
