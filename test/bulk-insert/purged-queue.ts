/** Queues that are purged during an upload. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { partial, TaskQueue, type TaskQueueOptions } from 'ptq'
import { inFolder } from '../fq/folder.js'
import { type Interference, interfered } from '../fq/test-files.js'
import { numbered } from './sequences.js'

/** With `durable` every call goes through the pool, where a test can make it wait. */
export function pooledQueue(root: string, pooled: Interference['pooled'] = async () => undefined): TaskQueue {
  return queueAt(root, { durable: true, fileSystem: interfered({ pooled }) })
}

function queueAt(root: string, options: TaskQueueOptions = {}): TaskQueue {
  return new TaskQueue(root, { progress: false, ...options })
}

/** Runs `work` on an empty queue. */
export function inQueue(work: (tq: TaskQueue, root: string) => Promise<void>): Promise<void> {
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using tq = queueAt(root)
    await tq.insert(partial(numbered, 0))
    await tq.purge()
    await work(tq, root)
  })
}

/** The numbers of the tasks in a queue, sorted. */
export async function numbersIn(tq: TaskQueue): Promise<number[]> {
  const tasks = await tq.list()
  return tasks.map(task => Number((task.payload() as unknown as [unknown, [number]])[1][0])).sort((a, b) => a - b)
}

/** True while a process counts what it inserted. */
export function isCounting(root: string): boolean {
  return readdirSync(join(root, 'insertions.lock')).some(name => name !== 'free.json')
}

/** True once the upload `job` is finished. */
export function isFinished(root: string): boolean {
  const uploads = join(root, 'uploads', 'job')
  return existsSync(uploads) && readdirSync(uploads).some(run => existsSync(join(uploads, run, 'finished')))
}
