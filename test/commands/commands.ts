/** Commands in queues of tests. */
import { type BareTask, FunctionTask, type PollOptions, type TaskQueue } from 'ptq'

/** A command for a shell. */
export const sh = (script: string, cwd?: string): BareTask =>
  new FunctionTask(['ptq.commands', 'run'], [['/bin/sh', '-c', script]], cwd === undefined ? {} : { cwd })

/** Runs all tasks of a queue, and resolves with the reasons of those that failed for good. */
export async function drain(queue: TaskQueue, options: PollOptions = {}): Promise<string[]> {
  await queue.poll({ commands: true, parallel: 2, untilEmpty: true, maxAttempts: 1, ...options })
  const reasons: string[] = []
  for await (const task of queue.failures()) reasons.push(task.failures.at(-1)?.reason ?? '')
  return reasons.sort()
}
