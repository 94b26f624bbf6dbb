/** Writes what threads print to this thread's stdout and stderr. */
import { errorMonitor } from 'node:events'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

type Name = 'stdout' | 'stderr'

/** Callbacks to call when a stream has written all it has. */
const waiting: Record<Name, (() => void)[]> = { stdout: [], stderr: [] }

/**
 * Writes a text. Calls `taken` when it takes no memory here any more: at once or, where the stream is full, when it has
 * written what it has, or can't.
 */
export function writeOutput(name: Name, text: string | Uint8Array, encoding: BufferEncoding, taken: () => void): void {
  const stream: Writable = process[name]
  const isFull = typeof text === 'string' ? !stream.write(text, encoding) : !stream.write(text)
  // A replaced `write` (a test's capture) may return nothing, and never drain.
  if (!isFull || !stream.writableNeedDrain) {
    taken()
    return
  }
  if (waiting[name].push(taken) > 1) return
  const events = ['drain', 'close', errorMonitor] as const
  const wake = () => {
    for (const event of events) stream.off(event, wake)
    for (const one of waiting[name].splice(0)) one()
  }
  for (const event of events) stream.on(event, wake)
}

/** Resolves when what was written has left this thread: it would be lost if the process exited before. */
export async function outputWritten(): Promise<void> {
  // A stream whose reader is gone is no longer writable.
  const isLeft = (stream: NodeJS.WriteStream) => stream.writable && stream.writableLength > 0
  while (isLeft(process.stdout) || isLeft(process.stderr)) await sleep(1)
}
