/** `verbose`: a line for each step, in the words that Python's `poll` prints. */
import { payloadName } from '../tasks/payload.js'
import { reasonOf } from './failure-reason.js'
import type { WorkerEventMap, WorkerEvents } from './worker-events.js'

/** Prints until `dispose` is called. @param print default: to the console */
export function printSteps(
  events: WorkerEvents,
  print: (line: string) => void = line => console.log(line),
): { dispose(): void } {
  const started = ({ task }: WorkerEventMap['started']) =>
    print(`INFO Running ${payloadName(task.payload())} (id: ${task.id})`)
  const deleting = ({ task }: WorkerEventMap['deleting']) => print(`INFO Deleting ${task.id}`)
  const deleted = ({ task, durationSeconds }: WorkerEventMap['deleted']) =>
    print(`INFO ${payloadName(task.payload())} ${task.id} successfully executed in ${durationSeconds.toFixed(2)} sec.`)
  const failed = ({ task, error }: WorkerEventMap['failed']) =>
    print(`ERROR ${payloadName(task.payload())} ${task.id} raised ${reasonOf(error)}`)
  events.on('started', started).on('deleting', deleting).on('deleted', deleted).on('failed', failed)
  return {
    dispose: () => {
      events.off('started', started).off('deleting', deleting).off('deleted', deleted).off('failed', failed)
      print('Task execution loop exited.')
    },
  }
}
