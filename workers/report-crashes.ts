/** Attributes the end of a thread, and errors thrown outside a task's own call, to the task that caused them. */
import process from 'node:process'
import { builtins } from '../src/runtime/builtins.js'
import { currentContext } from '../src/tasks/context.js'
import { errorToWire } from '../src/threads/error-wire.js'
import type { PendingTask, ThreadLink } from './link.js'
import { RunningTask } from './running-task.js'

/** Installs the reports; called once a thread. */
export function reportCrashes(link: ThreadLink): void {
  // In a thread process.exit() ends the thread; the task that called it is known only before.
  process.exit = ((code?: number | string | null) => {
    const task = runningTask()
    if (task !== undefined) {
      postEnding(link, task, new builtins.Error(`The task called process.exit(${code ?? ''}), which ended its thread`))
    }
    return builtins.exit(code)
  }) as typeof process.exit
  // A throw in a callback of a timer or a socket, or an unawaited rejection: the async context identifies the task.
  process.on('uncaughtException', error => blame(link, error))
  process.on('unhandledRejection', reason => blame(link, reason))
}

/** Posts that this task is about to end the thread, and why. */
export function postEnding(link: ThreadLink, task: PendingTask, reason: Error): void {
  link.post({ type: 'ending', chunk: task.chunk, index: task.index, error: errorToWire(reason) })
}

function blame(link: ThreadLink, thrown: unknown): void {
  const task = runningTask()
  if (task?.fail !== undefined && !task.ended) task.fail(thrown)
  else link.post({ type: 'unhandled-error', taskId: task?.id, error: errorToWire(thrown) })
}

function runningTask(): RunningTask | undefined {
  const context = currentContext()
  return context instanceof RunningTask ? context : undefined
}
