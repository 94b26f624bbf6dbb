/** Options, tasks and queues that the cases of workers share. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { PollOptions } from '../poll/poll-options.js'
import type { WorkerEventMap } from '../poll/worker-events.js'
import type { ListedTask } from '../queue/queued-task.js'
import { TaskQueue } from '../task-queue.js'
import { FunctionTask } from '../tasks/task.js'
import type { QueueUnderTest } from './queue-under-test.js'
import type { Act } from './worker-tasks.js'

/** Polls the queue all the time. */
export const eager = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

/** Options of a worker whose tasks call `act`. */
export function acting(act: Act): PollOptions {
  return { ...eager, parallel: 0, executeArgs: [act] }
}

export function tasksNamed(...names: string[]): FunctionTask[] {
  return names.map(name => new FunctionTask(['ptq-testing', 'perform'], [name]))
}

export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `task ${n}`)
}

/**
 * The lease of a worker, in seconds. It is renewed by the machine's clock, also if the queue has a clock of its own.
 */
export function workerLease({ capabilities, realTime, shortSeconds }: QueueUnderTest): number {
  return realTime ? Math.max(shortSeconds, 1) : Math.max(capabilities.secondsStep, 0.2)
}

/** Advances the queue's clock, if it has one, whenever the worker finds nothing: delayed messages become available. */
export function passWhenIdle(queue: QueueUnderTest, tq: TaskQueue): void {
  tq.events.on('idle', async () => queue.pass(Math.max(1, queue.capabilities.secondsStep)))
}

export function once<Name extends keyof WorkerEventMap>(tq: TaskQueue, name: Name): Promise<WorkerEventMap[Name]> {
  return new Promise(resolve => {
    const listener = (event: WorkerEventMap[Name]) => {
      tq.events.off(name, listener)
      resolve(event)
    }
    tq.events.on(name, listener)
  })
}

/** A dead-letter queue of the case's own, also if the backend has one. */
export class DeadLetterQueue {
  readonly url = `mem://ptq-test-${randomUUID()}`
  readonly #tq = new TaskQueue(this.url, { progress: false })

  list(): Promise<ListedTask[]> {
    return this.#tq.list()
  }

  async remove(): Promise<void> {
    await this.#tq.purge()
    await this.#tq.close()
  }
}

/** Nothing is in the queue; `completed` tasks were counted, where it can count. */
export async function isDrained(queue: QueueUnderTest, tq: TaskQueue, completed: number): Promise<void> {
  assert.equal(await tq.isEmpty(), true)
  if (queue.capabilities.counters) assert.equal(await tq.completed(), completed)
}

export const untilEmptyCounted = { tally: true, untilEmpty: true } as const
