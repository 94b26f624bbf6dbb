/** Turns a leased command into a call that runs in this thread. */
import type { CommandWorker } from '../commands/command-worker.js'
import type { JsonValue } from '../json/json-value.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Call } from '../threads/call.js'

/** @throws UnregisteredTaskError, TypeError as {@link CommandWorker.callOf} */
export function commandCall(task: LeasedTask, commands: CommandWorker): Call {
  const { code, command } = commands.callOf(task.payload())
  const input = [{ argv: [...command.argv], cwd: command.cwd } satisfies JsonValue]
  return { task, code, input, kwargs: undefined, extra: [], idSuffix: task.id, attempt: task.attempt }
}
