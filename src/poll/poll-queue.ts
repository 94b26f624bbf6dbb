/** `TaskQueue.poll`: checks the options, opens the dead letters, runs a worker. */

import type { Backend } from '../backend/backend.js'
import { CommandWorker } from '../commands/command-worker.js'
import type { CallSite } from '../errors/call-site.js'
import { deadLettersOf } from '../queue/dead-letters.js'
import type { QueueConnection } from '../queue/queue-connection.js'
import { ResultPlace } from '../queue/result-place.js'
import { TaskResults } from '../results/task-results.js'
import { refuseInThread } from '../threads/pool.js'
import { systemClock } from '../time/clock.js'
import { warnOfNoDeadLetters } from './no-dead-letters.js'
import { type PollOptions, type PollSettings, pollSettings } from './poll-options.js'
import { printSteps } from './step-printer.js'
import { TaskSpans } from './task-spans.js'
import { Worker } from './worker.js'
import type { WorkerEvents } from './worker-events.js'

/** Runs a worker until it ends; resolves with the number of executed tasks. */
export async function pollQueue(
  queue: QueueConnection,
  events: WorkerEvents,
  options: PollOptions,
  caller: CallSite,
): Promise<number> {
  const settings = pollSettings(options)
  refuseInThread()
  warnOfPastEnd(settings)
  const named = settings.deadLetter === undefined ? undefined : queue.deadLetterUrl(settings.deadLetter)
  return queue.backend.use(async backend => {
    const dead = deadLettersOf(queue, backend, named)
    const place = new ResultPlace(queue, backend, settings.results)
    const printer = settings.verbose ? printSteps(events) : undefined
    const spans = TaskSpans.of(queue.queueUrl.protocol, backend.queueName, events)
    try {
      // A bad `deadLetter` is refused now, not at the first dead letter.
      if (named !== undefined) await dead?.open()
      if (dead === undefined && options.maxAttempts !== undefined) {
        void warnOfNoDeadLetters(backend, settings.maxAttempts)
      }
      const commands = commandWorker(settings, queue, backend)
      const sink = await place.find()
      const worker = new Worker({
        backend,
        leasing: spans?.tracedLeasing(queue.leasing) ?? queue.leasing,
        events,
        settings,
        openDeadLetters: async () => dead && { url: dead.url, backend: await dead.open() },
        clock: systemClock,
        random: Math.random,
        caller,
        commands,
        results: sink && new TaskResults(sink),
        closing: queue.backend.signal,
        spans,
      })
      try {
        return await worker.work()
      } finally {
        await commands?.close()
      }
    } finally {
      printer?.dispose()
      spans?.dispose()
      await dead?.close()
      await place.close()
    }
  })
}

function commandWorker(
  { commands, parallel, timeoutSeconds }: PollSettings,
  queue: QueueConnection,
  backend: Backend,
): CommandWorker | undefined {
  if (commands === undefined) return undefined
  const { allow, slots, maxLogBytes, logFolder = backend.logFolder } = commands
  if (logFolder === undefined) {
    throw new TypeError(
      `Expected \`commands.logFolder\`, a folder for what commands write: ${backend.label} has none of its own`,
    )
  }
  return new CommandWorker({ parallel, allow, slots, timeoutSeconds, logFolder, maxLogBytes, queue: queue.url })
}

/** Warns if the end is in the past, as in a shell that outlived its Slurm job: the worker ends at once. */
function warnOfPastEnd({ untilMs, isUntilSlurms }: PollSettings): void {
  if (untilMs === undefined || untilMs > systemClock.dateMs()) return
  const end = new Date(untilMs).toISOString()
  const reason = isUntilSlurms
    ? `SLURM_JOB_END_TIME says that its job was over at ${end}. Unset the variable to work outside of that job.`
    : `the time that it had was over at ${end}, see \`until\`.`
  process.emitWarning(`The worker begins no task and ends: ${reason}`, { type: 'PtqWarning', code: 'PTQ_TIME_IS_OVER' })
}
