/** Starts to run the calls of a worker, on threads or inline. */

import type { Call } from '../threads/call.js'
import { InlineRun } from '../threads/inline-run.js'
import { ThreadRun } from '../threads/run-on-threads.js'
import type { Run, RunListener } from '../threads/run-options.js'
import { Semaphore } from '../threads/semaphore.js'
import { reasonOf } from './failure-reason.js'
import type { LeaseBuffer } from './lease-buffer.js'
import { taskOf } from './packed-call.js'
import type { StatusReporter } from './status-reporter.js'
import type { TaskEnds } from './task-ends.js'

/** Most tasks in a chunk for a thread: leasing takes far longer than handing over, so more would only take memory. */
const maxChunk = 512

/** No more tasks are started while this many ended ones are not yet written to the queue. */
const maxUnsettled = 1_000

/** Runs what `source` hands out; outcomes and renewals go to `ends`. */
export function startRun(source: LeaseBuffer, ends: TaskEnds, status: StatusReporter): Run {
  const { commands, events, results, settings, spans } = ends.dependencies
  const { parallel, timeoutSeconds, maxMemoryMb, minBackoffSeconds, maxBackoffSeconds, stopFn } = settings
  const isInline = parallel === 0 || commands !== undefined
  const listener = listenerOf(ends, status)
  const options = {
    source,
    toCall: (call: Call) => call,
    listener: spans?.traced(listener) ?? listener,
    tracing: spans?.tracing,
    idPrefix: '',
    concurrency: commands === undefined ? 1 : parallel,
    postAll: true,
    wantsValues: () => results?.wantsValues === true || events.hasListeners('succeeded'),
    loadBackoff: { minSeconds: minBackoffSeconds, maxSeconds: maxBackoffSeconds },
    // `stopFn` may stop after an exact count: the next task must not start before the last is counted. A span begins when its
    // task is handed to a thread: there it must not wait behind others.
    maxChunk: stopFn === undefined && (isInline || spans === undefined) ? maxChunk : 1,
    mayPull: () => (stopFn === undefined ? ends.unsettled < maxUnsettled : ends.unsettled === 0),
  }
  if (isInline) return new InlineRun(options)
  return new ThreadRun({ ...options, parallel, semaphore: new Semaphore(parallel), timeoutSeconds, maxMemoryMb })
}

function listenerOf(ends: TaskEnds, status: StatusReporter): RunListener {
  const { events } = ends.dependencies
  return {
    onStart: call => {
      if (events.hasListeners('started')) events.emit('started', { task: taskOf(call) })
    },
    onOutcome: (call, outcome) => ends.onOutcome(call, outcome),
    onProgress: (call, fraction, note) => {
      status.progress(call, fraction, note)
      events.emit('progress', { task: taskOf(call), fraction, note })
    },
    onLog: (call, line) => {
      if (events.hasListeners('log')) events.emit('log', { task: taskOf(call), line })
      else console.error(line)
    },
    onRenew: (call, seconds) => ends.renew(taskOf(call), seconds),
    onUnhandledError: (taskId, error) =>
      process.emitWarning(`Task ${taskId ?? '(unknown)'} threw after its end: ${reasonOf(error)}`),
  }
}
