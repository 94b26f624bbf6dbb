/** The tasks of the suite's workers. Threads import this file. */
import { context, type TaskContext } from '../tasks/context.js'
import { queueable } from '../tasks/registry.js'

/** Runs as the task of that name. */
export type Act = (name: string, running: TaskContext) => unknown

/** Lets the case act: in the calling thread, where `executeArgs` may hold a function. */
queueable(
  function perform(name: string, ...[act]: [Act]): unknown {
    return act(name, context())
  },
  { module: 'ptq-testing' },
)

/** Runs in any thread. */
export const double = queueable(
  function double(n: number): number {
    return 2 * n
  },
  { module: 'ptq-testing' },
)
