/** `TaskQueue.poll`: a worker with its surroundings. */

import { deadLettersOf } from '../queue/dead-letters.js'
import type { QueueConnection } from '../queue/queue-connection.js'
import { refuseInThread } from '../threads/pool.js'
import { systemClock } from '../time/clock.js'
import { type PollOptions, pollSettings } from './poll-options.js'
import { printSteps } from './step-printer.js'
import { Worker } from './worker.js'
import type { WorkerEvents } from './worker-events.js'

/** Works on a queue until something ends it; resolves with how many tasks were executed. */
export async function pollQueue(queue: QueueConnection, events: WorkerEvents, options: PollOptions): Promise<number> {
  const settings = pollSettings(options)
  refuseInThread()
  const named = settings.deadLetter === undefined ? undefined : queue.deadLetterUrl(settings.deadLetter)
  return queue.backend.use(async backend => {
    const dead = deadLettersOf(queue, backend, named)
    const printer = settings.verbose ? printSteps(events) : undefined
    try {
      // One that was named is refused now, not when the first task has failed too often.
      if (named !== undefined) await dead?.open()
      const worker = new Worker({
        backend,
        leasing: queue.leasing,
        events,
        settings,
        openDeadLetters: async () => dead && { url: dead.url, backend: await dead.open() },
        clock: systemClock,
        random: Math.random,
        closing: queue.backend.signal,
      })
      return await worker.work()
    } finally {
      printer?.dispose()
      await dead?.close()
    }
  })
}
