/** Warns of changes that a queue refused for one task only. */
import type { Backend } from '../backend/backend.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { payloadName } from '../tasks/payload.js'
import { reasonOf } from './failure-reason.js'

/** Warns that the queue refused a change for one task. @param what the consequence */
export function warnOfRefusal(backend: Backend, task: LeasedTask, what: string, error: Error): void {
  const name = `Task ${payloadName(task.payload())} (${task.id}) of ${backend.label}`
  process.emitWarning(`${name} was refused, ${what}: ${reasonOf(error)}`, { code: 'PTQ_TASK_REFUSED' })
}
