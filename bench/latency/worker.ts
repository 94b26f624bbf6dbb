/** The idle worker of the rows of latency. */
import { TaskQueue } from 'ptq'
import './tasks.js'

/**
 * An idle worker sleeps for a random time below this between two lease requests: nearly zero, since only the time in
 * addition to that sleep is measured.
 */
const WINDOW_SECONDS = 0.001

/** Works until `signal` aborts. */
export async function poll(url: string, signal: AbortSignal): Promise<void> {
  const queue = new TaskQueue(url, { progress: false })
  await queue.poll({ parallel: 1, minBackoffSeconds: WINDOW_SECONDS, maxBackoffSeconds: WINDOW_SECONDS, signal })
  await queue.close()
}
