/** Ends a thread whose buffers swell past its limit; V8 itself watches the heap, not what lies outside it. */
import { builtins } from '../src/runtime/builtins.js'
import { errorToWire } from '../src/threads/error-wire.js'
import { sayEnding } from './deaths.js'
import { exitThread } from './exit-thread.js'
import type { ThreadLink } from './link.js'

/** Often enough to catch a task before it takes the machine, rare enough to cost nothing. Milliseconds. */
const intervalMs = 50

/** Watches until `stop` is called. A task that never returns to the event loop is caught only if it fills the heap. */
export function watchMemory(maxMemoryMb: number, link: ThreadLink): { stop(): void } {
  const timer = builtins.setInterval(() => {
    const { heapUsed, arrayBuffers } = builtins.memoryUsage()
    const usedMb = (heapUsed + arrayBuffers) / 2 ** 20
    if (usedMb <= maxMemoryMb) return
    const reason = new builtins.Error(
      `The task needed more memory than maxMemoryMb (${maxMemoryMb} MB): ${Math.ceil(usedMb)} MB; its thread was stopped`,
    )
    for (const task of link.running) sayEnding(link, task, reason)
    if (link.running.size === 0) link.post({ type: 'stray', taskId: undefined, error: errorToWire(reason) })
    // In a thread this ends the thread alone, at once: what allocates goes on until then.
    exitThread()
  }, intervalMs)
  return { stop: () => builtins.clearInterval(timer) }
}
