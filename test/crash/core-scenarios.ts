/** Steps of the core on a queue during which a process may die; each step has its own promise. */
import assert from 'node:assert/strict'
import { partial, queueable, TaskQueue, type TaskQueueOptions } from 'ptq'

/** `other` is a second queue open in the same process, on the same filesystem unless `separate`. */
export interface CoreScenario {
  readonly name: string
  /** Nothing can be renamed between the two queues. */
  readonly separate?: boolean
  /** A death may leave the history of a message that is gone: only a purge removes it. */
  readonly leavesRecords?: boolean
  /** @param pass lets time pass, in seconds */
  prepare(tq: TaskQueue, pass: (seconds: number) => void): Promise<void>
  /** The step during which the process may die. */
  act(tq: TaskQueue, other: TaskQueue): Promise<unknown>
  /** The same step in a process started afterwards, followed by its assertions. */
  again(tq: TaskQueue, other: TaskQueue): Promise<void>
}

const POLL = { parallel: 0, untilEmpty: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 } as const

const UPLOAD_TASKS = 12

const SIX = 6

const ran: number[] = []

export const run = queueable(function runInScenario(n: number) {
  ran.push(n)
})

export const failing = queueable(function failInScenario(n: number) {
  throw new RangeError(`task ${n} always fails`)
})

const few = (count: number) => Array.from({ length: count }, (_, n) => partial(failing, n))

async function drained(tq: TaskQueue): Promise<number[]> {
  ran.length = 0
  await tq.poll(POLL)
  return ran.splice(0)
}

function requireEach(runs: readonly number[], count: number): void {
  const each = Array.from({ length: count }, (_, n) => n)
  assert.deepEqual(
    runs.toSorted((a, b) => a - b),
    each,
    'each task once',
  )
}

/** Six tasks, two of which have a past. */
async function sixTasks(tq: TaskQueue): Promise<void> {
  await tq.insert(Array.from({ length: SIX }, (_, n) => partial(run, n)))
  const tasks = await tq.lease({ seconds: 60, numTasks: 2 })
  await tq.releaseAll()
  assert.equal(tasks.length, 2)
}

/** All of the six are in `other`, once, and nothing of them is left here; the count is never ahead. */
async function requireMoved(tq: TaskQueue, other: TaskQueue): Promise<void> {
  await tq.moveTo(other)
  assert.equal(await tq.enqueued(), 0)
  const inserted = await other.inserted()
  assert.ok(inserted <= SIX, `${inserted} are said to be inserted`)
  requireEach(await drained(other), SIX)
}

async function deadLetters(tq: TaskQueue): Promise<number> {
  let count = 0
  for await (const { failures } of tq.failures()) {
    assert.equal(failures.length, 1)
    count++
  }
  return count
}

function upload(tq: TaskQueue): Promise<number> {
  const tasks = Array.from({ length: UPLOAD_TASKS }, (_, n) => partial(run, n))
  return tq.insert(tasks, { resume: 'the-upload' })
}

/** Asserts that no task is missing or duplicated, and that the count is not ahead of the tasks. */
async function requireUpload(tq: TaskQueue, runs: number[]): Promise<void> {
  await upload(tq)
  requireEach([...runs, ...(await drained(tq))], UPLOAD_TASKS)
  assert.ok((await tq.inserted()) <= UPLOAD_TASKS, `${await tq.inserted()} are said to be inserted`)
  assert.equal(await upload(tq), 0, 'it is finished')
}

export const coreScenarios: readonly CoreScenario[] = [
  {
    name: 'an upload that is resumed',
    prepare: async () => undefined,
    act: upload,
    again: tq => requireUpload(tq, []),
  },
  {
    name: 'an upload that is resumed when workers have run what was there',
    prepare: async tq => {
      await tq.insert(partial(run, 0), { skipInsertCounter: true })
      await drained(tq)
    },
    act: upload,
    again: async tq => requireUpload(tq, await drained(tq)),
  },
  {
    name: 'moving tasks to the dead letters',
    prepare: async tq => {
      await tq.insert(few(2))
    },
    act: tq => tq.poll({ ...POLL, maxAttempts: 1 }),
    again: async tq => {
      await tq.poll({ ...POLL, maxAttempts: 1 })
      assert.equal(await tq.enqueued(), 0)
      assert.equal(await deadLetters(tq), 2)
    },
  },
  {
    name: 'retrying dead letters',
    prepare: async tq => {
      await tq.insert(few(2))
      await tq.poll({ ...POLL, maxAttempts: 1 })
    },
    act: tq => tq.retry(),
    again: async tq => {
      await tq.retry()
      assert.equal(await deadLetters(tq), 0)
      assert.equal(await tq.enqueued(), 2)
    },
  },
  {
    name: 'copying a queue',
    prepare: sixTasks,
    act: (tq, other) => tq.copyTo(other),
    again: async (tq, other) => {
      await tq.copyTo(other)
      const inserted = await other.inserted()
      assert.ok(inserted <= SIX, `${inserted} are said to be inserted`)
      requireEach(await drained(other), SIX)
      requireEach(await drained(tq), SIX)
    },
  },
  {
    name: 'moving a queue on one filesystem',
    prepare: sixTasks,
    act: (tq, other) => tq.moveTo(other),
    again: requireMoved,
  },
  {
    name: 'moving a queue to another filesystem',
    separate: true,
    prepare: sixTasks,
    act: (tq, other) => tq.moveTo(other),
    again: requireMoved,
  },
]

/** Runs `work` on the queues as one process opens them. Errors of closing are ignored if the process is dead. */
export async function withQueues(
  path: string,
  options: TaskQueueOptions,
  work: (tq: TaskQueue, other: TaskQueue) => Promise<unknown>,
): Promise<void> {
  const tq = new TaskQueue(`fq://${path}`, { ...options, progress: false })
  const other = new TaskQueue(`fq://${otherPath(path)}`, { ...options, progress: false })
  try {
    await work(tq, other)
  } finally {
    await tq.close()
    await other.close()
  }
}

export function otherPath(path: string): string {
  return `${path}-other`
}
