/**
 * Detects that Python purged the queue since an upload was begun.
 *
 * Python's purge empties `queue/` and `movement/` and ignores `uploads/`. So each upload with a name has an empty file
 * `movement/upload.<uuid>`, named in the upload's head: if it is gone, the tasks of that upload may be gone too.
 */
import { randomUUID } from 'node:crypto'
import type { IoScheduler } from './io-scheduler.js'
import { inside, type Layout, writeInto } from './layout.js'

const prefix = 'upload.'

/** True for a name in `movement/` that is a marker's, not that of a task's record. */
export function isMarker(name: string): boolean {
  return name.startsWith(prefix)
}

/** Makes a marker; resolves with its name, which is never used again. With `durable`, it is on the disk. */
export async function makeMarker(io: IoScheduler, layout: Layout): Promise<string> {
  const marker = `${prefix}${randomUUID()}`
  await writeInto(io, inside(layout.movement, marker), '', 'w')
  await io.sync(layout.movement)
  return marker
}

/**
 * True if the marker is there. Reads it: over NFS a host asks the server when it opens a file, not when it checks for
 * one.
 */
export async function isMarkerThere(io: IoScheduler, layout: Layout, marker: string): Promise<boolean> {
  return (await io.calls.read(inside(layout.movement, marker), 'size first')) !== undefined
}
