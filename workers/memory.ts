/** Ends a thread whose buffers grow past its limit; V8 itself limits the heap only. */
import { builtins } from '../src/runtime/builtins.js'
import { errorToWire } from '../src/threads/error-wire.js'
import { exitThread } from './exit-thread.js'
import type { ThreadLink } from './link.js'
import { postEnding } from './report-crashes.js'

/** Short enough to stop a task before it uses up the machine's memory, long enough to cost nothing. Milliseconds. */
const intervalMs = 50

/** Watches until `stop` is called. A task that never returns to the event loop is stopped only by V8, if it fills the heap. */
export function watchMemory(maxMemoryMb: number, link: ThreadLink): { stop(): void } {
  const timer = builtins.setInterval(() => {
    const { heapUsed, arrayBuffers } = builtins.memoryUsage()
    const usedMb = (heapUsed + arrayBuffers) / 2 ** 20
    if (usedMb <= maxMemoryMb) return
    const reason = new builtins.Error(
      `The task needed more memory than maxMemoryMb (${maxMemoryMb} MB): ${Math.ceil(usedMb)} MB; its thread was stopped`,
    )
    for (const task of link.running) postEnding(link, task, reason)
    if (link.running.size === 0) link.post({ type: 'unhandled-error', taskId: undefined, error: errorToWire(reason) })
    // In a thread this ends the thread alone, at once: what allocates continues until then.
    exitThread()
  }, intervalMs)
  return { stop: () => builtins.clearInterval(timer) }
}
