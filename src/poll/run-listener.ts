/** Forwards task callbacks to worker events and status. */

import type { LeasedTask } from '../queue/queued-task.js'
import type { Call, Outcome } from '../threads/call.js'
import type { RunListener } from '../threads/run-options.js'
import { reasonOf } from './failure-policy.js'
import type { StatusReporter } from './status-reporter.js'
import type { WorkerParts } from './worker-parts.js'

/** Forwards each callback to events and status; outcomes and renewals go to the worker. */
export function runListener(
  { events }: WorkerParts,
  status: StatusReporter,
  worker: {
    onOutcome(call: Call, outcome: Outcome): void
    onRenew(task: LeasedTask, seconds: number): Promise<void>
  },
): RunListener {
  return {
    onStart: call => events.emit('started', { task: taskOf(call) }),
    onOutcome: worker.onOutcome,
    onProgress: (call, fraction, note) => {
      status.progress(call, fraction, note)
      events.emit('progress', { task: taskOf(call), fraction, note })
    },
    onLog: (call, line) => {
      if (events.hasListeners('log')) events.emit('log', { task: taskOf(call), line })
      else console.error(line)
    },
    onRenew: (call, seconds) => worker.onRenew(taskOf(call), seconds),
    onUnhandledError: (taskId, error) =>
      process.emitWarning(`Task ${taskId ?? '(unknown)'} threw after its end: ${reasonOf(error)}`),
  }
}

/** A worker's calls carry the leased task they were made from. */
export function taskOf(call: Call): LeasedTask {
  return call.task as LeasedTask
}
