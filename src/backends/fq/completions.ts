/** The count of completions is the size of one file, to which one zero byte a completion is appended. */
import { warnUncounted } from '../../backend/uncounted.js'
import { errorCode } from './file-system.js'
import type { FileQueue } from './queue.js'

/**
 * Counts `count` tasks that are removed already. One append, whole or not at all, of all processes in any order. A failure is a
 * warning, see `warnUncounted`.
 */
export async function addCompletions(queue: FileQueue, count: number): Promise<void> {
  try {
    await queue.io.write(queue.layout.completions, '\0'.repeat(count), 'a')
  } catch (error) {
    // The queue was removed (`rm -r`) since: there is nothing left to count in. ESTALE is no such answer.
    if (errorCode(error) === 'ENOENT') return
    warnUncounted(queue, { label: queue.label, counter: 'completed', count }, error)
  }
}

export async function readCompletions(queue: FileQueue): Promise<number> {
  return (await queue.io.calls.stat(queue.layout.completions))?.sizeBytes ?? 0
}

export async function zeroCompletions(queue: FileQueue): Promise<void> {
  await queue.io.write(queue.layout.completions, '', 'w')
}
