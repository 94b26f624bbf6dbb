/** Ways in which a task fails, each with the cause of its error, and a test of all of them. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { LocalTaskQueue, type LocalTaskQueueOptions, partial, type Result, type TaskError, type TaskInput } from 'ptq'
import { fail, type Way } from './bad-tasks.js'
import { count, shared, where } from './tasks.js'

/** A queue that shows no progress. */
export const queue = (options: LocalTaskQueueOptions = {}) => new LocalTaskQueue({ progress: false, ...options })

/** All values, in an array. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

/** The error of a task that was to fail. */
export function errorOf(result: Result<unknown> | undefined): TaskError {
  assert.ok(result !== undefined && !result.ok, 'the task was to fail')
  return result.error
}

/** The expected cause of each failure; `limit`: options without which the task would never end. */
const expected: Record<Way, { cause: (cause: unknown) => void; limit?: LocalTaskQueueOptions }> = {
  throws: {
    cause: cause => {
      assert.ok(cause instanceof TypeError && cause.message === 'thrown at once')
      assert.match(cause.stack ?? '', /^TypeError: thrown at once\n +at .*bad-tasks\.js/)
    },
  },
  rejects: {
    cause: cause => assert.ok(cause instanceof RangeError && cause.message === 'rejected later'),
  },
  custom: {
    cause: cause => {
      assert.ok(cause instanceof Error && cause.cause instanceof SyntaxError)
      assert.equal(cause.name, 'QuotaError')
      assert.equal(cause.message, 'over quota')
      assert.equal((cause as { code?: unknown }).code, 'E_QUOTA')
      assert.equal((cause as { limit?: unknown }).limit, 5)
      assert.match(cause.stack ?? '', /over quota\n +at .*bad-tasks\.js/)
      assert.equal(cause.cause.cause, 'its cause')
    },
  },
  aggregate: {
    cause: cause => {
      assert.ok(cause instanceof AggregateError && cause.message === 'several')
      const [one, two, three] = cause.errors
      assert.ok(one instanceof TypeError && two === 'two' && three.name === 'QuotaError')
    },
  },
  string: { cause: cause => assert.equal(cause, 'just text') },
  undefined: { cause: cause => assert.equal(cause, undefined) },
  object: { cause: cause => assert.deepEqual(cause, { status: 404, callback: '[Function: callback]' }) },
  // As Node shows a proxy: by its target, which Node 26 puts in `Proxy(…)`.
  unreadable: { cause: cause => assert.match(String(cause), /^(Proxy\()?Error: x\n +at .*bad-tasks\.js/) },
  never: {
    limit: { timeoutSeconds: 0.5 },
    cause: cause => {
      assert.ok(cause instanceof Error && cause.name === 'TimeoutError')
      assert.match(cause.message, /^Expected the task to end within timeoutSeconds \(0\.5 s\)/)
    },
  },
  spins: {
    limit: { timeoutSeconds: 0.5 },
    cause: cause => assert.ok(cause instanceof Error && cause.name === 'TimeoutError'),
  },
  fillsHeap: {
    limit: { maxMemoryMb: 40 },
    cause: cause => {
      assert.ok(cause instanceof Error)
      assert.match(cause.message, /^The task needed more memory than maxMemoryMb \(40 MB\); its thread was stopped/)
    },
  },
  fillsBuffers: {
    limit: { maxMemoryMb: 40 },
    cause: cause => {
      assert.ok(cause instanceof Error)
      assert.match(
        cause.message,
        /^The task needed more memory than maxMemoryMb \(40 MB\): \d+ MB; its thread was stopped/,
      )
    },
  },
  exits: {
    cause: cause =>
      assert.ok(cause instanceof Error && cause.message.startsWith('The task called process.exit(3), which ended its')),
  },
  exitsLater: {
    cause: cause => assert.ok(cause instanceof Error && cause.message.startsWith('The task called process.exit(4)')),
  },
  throwsInTimer: {
    cause: cause => assert.ok(cause instanceof TypeError && cause.message === 'thrown by a timer'),
  },
  rejectsUnheard: {
    cause: cause => assert.ok(cause instanceof TypeError && cause.message === 'nobody listens'),
  },
}

/** Adds a test for each way to fail. */
export function testEachWay(parallel: number, concurrency: number): void {
  for (const [way, { cause, limit = {} }] of Object.entries(expected) as [Way, (typeof expected)[Way]][]) {
    it(`a task that fails (${way}) fails alone, parallel: ${parallel}, concurrency: ${concurrency}`, async () => {
      await using lq = queue({ parallel, concurrency, ...limit })
      const howMany = 40
      const counts = shared(howMany)
      const tasks = function* (): Generator<TaskInput> {
        for (let index = 0; index < howMany; index++) {
          if (index === 17) yield [partial(fail, way, index), [counts]]
          else yield [partial(count, index), [counts]]
        }
      }
      const results = await collect(lq.results(tasks(), { ordered: true }))
      assert.equal(results.length, howMany)
      const failed = results.filter(result => !result.ok)
      assert.equal(failed.length, 1)
      assert.equal(failed[0], results[17])
      const error = errorOf(results[17])
      assert.equal(error.name, 'TaskError')
      assert.equal(error.attempt, 1)
      assert.match(error.message, /^Task bad-tasks\.fail \(.+-17\) failed: /)
      cause(error.cause)
      assert.deepEqual([...counts], new Array(howMany).fill(1), 'each began exactly once')
      assert.equal(await lq.insertAll([where]), 1, 'the pool goes on')
    })
  }
}
