/** The idle worker of the rows of latency. */
import { TaskQueue } from 'ptq'
import './tasks.js'

/**
 * Between two looks at an empty queue a worker sleeps for a random time below this: all but nothing, since what is measured
 * is what comes on top of that sleep.
 */
const WINDOW_SECONDS = 0.001

/** Works until `signal` aborts. */
export async function poll(url: string, signal: AbortSignal): Promise<void> {
  const queue = new TaskQueue(url, { progress: false })
  await queue.poll({ parallel: 1, minBackoffSeconds: WINDOW_SECONDS, maxBackoffSeconds: WINDOW_SECONDS, signal })
  await queue.close()
}
