/** Heap limits of pool threads. */

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import type { ResourceLimits } from 'node:worker_threads'

/**
 * At its limit V8 gives a thread 16 MB more to end in, and aborts the whole process where one collection moves more than
 * that out of the young generation, whose default is 48 to 192 MB. With this value V8 stopped each of 7 ways to fill
 * a heap on Node 20 to 26 each time, with its default on Node 24 it aborted in 3 of them.
 */
const youngGenerationMb = 24

/** With less V8 aborts the process while the thread starts. Megabytes. */
const leastOldGenerationMb = 4

/** @param maxMemoryMb `undefined`: as much as the main thread may have */
export function heapLimits(maxMemoryMb: number | undefined): ResourceLimits {
  if (maxMemoryMb === undefined) {
    return { maxOldGenerationSizeMb: Math.floor(getHeapStatistics().heap_size_limit / 2 ** 20) }
  }
  // V8 reads these when a heap is created, and there they replace the requested limit. The main thread's own heap keeps
  // its size, and so do threads without a limit, by the line above.
  setFlagsFromString('--max-old-space-size=0')
  setFlagsFromString('--max-heap-size=0')
  return {
    maxOldGenerationSizeMb: Math.max(maxMemoryMb, leastOldGenerationMb),
    maxYoungGenerationSizeMb: youngGenerationMb,
  }
}
