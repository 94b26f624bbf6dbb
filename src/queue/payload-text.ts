/** The payload of what is inserted, and the number of tasks that it stands for. */
import { Pack } from '../tasks/pack.js'
import type { BareTask, TaskInput } from '../tasks/task.js'
import { taskText } from '../tasks/task-payload.js'
import { QueuedTask } from './queued-task.js'

/** The payload of a task, as JSON. @throws TypeError where it is no task, or JSON can't carry an argument */
export function payloadText(task: TaskInput): string {
  if (task instanceof Pack) return task.text
  // TaskSource takes pairs too; a pair is refused as no task.
  return task instanceof QueuedTask ? task.payloadText : taskText(task as BareTask)
}

/** The number of tasks: more than 1 of a pack. */
export function taskCount(task: TaskInput): number {
  return task instanceof Pack || task instanceof QueuedTask ? task.count : 1
}

/** True for a pack, also for one with a single task. */
export function isPack(task: TaskInput): boolean {
  return task instanceof Pack || (task instanceof QueuedTask && task.isPack)
}
