// Progress, logs and output of tasks: in order, bounded, and not lost when tasks are stopped.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { LocalTaskQueue, type LocalTaskQueueOptions, partial } from 'ptq'
import { ProgressThrottle } from '#ptq/progress/progress-throttle.js'
import { TaskSource } from '#ptq/tasks/task-source.js'
import { toCall } from '#ptq/threads/call.js'
import { InlineRun } from '#ptq/threads/inline-run.js'
import { ThreadPool } from '#ptq/threads/pool.js'
import { ThreadRun } from '#ptq/threads/run-on-threads.js'
import type { RunListener } from '#ptq/threads/run-options.js'
import { Semaphore } from '#ptq/threads/semaphore.js'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { logMany, report, reportLater, reportOddly } from './output-tasks.js'
import { countLater, type Shared, shared } from './tasks.js'

checkThatNothingIsLeft()

const queue = (options: LocalTaskQueueOptions = {}) => new LocalTaskQueue({ progress: false, ...options })

/** Runs tasks and lists in order what their run reports for each. */
async function stepsOf(parallel: number, tasks: Iterable<Parameters<typeof toCall>[0]>): Promise<string[]> {
  const steps: string[] = []
  const listener: RunListener = {
    onProgress: ({ idSuffix }, fraction) => steps.push(`${idSuffix} progress ${fraction}`),
    onLog: ({ idSuffix }, line) => steps.push(`${idSuffix} log ${line}`),
    onOutcome: ({ idSuffix }, { ok }) => steps.push(`${idSuffix} ${ok ? 'succeeded' : 'failed'}`),
    onRenew: () => Promise.resolve(),
    onUnhandledError: (_, error) => assert.fail(error as Error),
  }
  let ordinal = 0
  const options = {
    source: new TaskSource(tasks),
    toCall: (task: Parameters<typeof toCall>[0]) => toCall(task, ordinal++, 1),
    listener,
    idPrefix: '',
    concurrency: 1,
    postAll: true,
  }
  const run =
    parallel === 0
      ? new InlineRun(options)
      : new ThreadRun({
          ...options,
          parallel,
          semaphore: new Semaphore(parallel),
          timeoutSeconds: undefined,
          maxMemoryMb: undefined,
        })
  await run.done
  await ThreadPool.stopUnused()
  return steps
}

for (const parallel of [0, 2]) {
  describe(`parallel: ${parallel}`, () => {
    it('progress and log lines of a task arrive before its outcome, in order', async () => {
      const count = 500
      const steps = await stepsOf(
        parallel,
        Array.from({ length: count }, (_, index) => partial(report, index)),
      )
      for (let index = 0; index < count; index++) {
        assert.deepEqual(
          steps.filter(step => step.startsWith(`${index} `)),
          [`${index} progress 0.5`, `${index} log line ${index}`, `${index} progress 1`, `${index} succeeded`],
        )
      }
    })

    it('progress that a task reports after its end is dropped', async () => {
      const later = [partial(countLater, 0, 20), [shared(1)]] as [ReturnType<typeof partial>, unknown[]]
      assert.deepEqual(await stepsOf(Math.min(parallel, 1), [reportLater, later, reportLater, later]), [
        '0 succeeded',
        '1 succeeded',
        '2 succeeded',
        '3 succeeded',
      ])
    })

    it('progress and log never fail a task, for any argument', async () => {
      const lines: string[] = []
      await using lq = queue({ parallel, onLog: line => lines.push(line), onProgress: () => undefined })
      assert.equal(await lq.insertAll([reportOddly]), 1)
      assert.equal(lines.length, 3)
    })
  })
}

describe('progress', () => {
  it('below 0, above 1 or not a number is passed on as the nearest fraction, other values as text', () => {
    const of = (fraction: unknown, note?: unknown) => new ProgressThrottle().admit(fraction, note)
    for (const [given, fraction] of [
      [0.25, 0.25],
      [1.0000000000000007, 1],
      [Number.POSITIVE_INFINITY, 1],
      [-1, 0],
      [Number.NEGATIVE_INFINITY, 0],
      [Number.NaN, 0],
      ['0.5', 0.5],
      ['half', 0],
      [2n, 1],
      [null, 0],
      [undefined, 0],
      [Symbol('half'), 0],
      [{ valueOf: () => 1 }, 0],
    ] as const) {
      assert.deepEqual(of(given), { fraction, note: undefined })
    }
    assert.equal(of(0, 7)?.note, '7')
    assert.equal(of(0, null)?.note, undefined)
    assert.equal(of(0, { at: 7 })?.note, '{ at: 7 }')
  })
})

describe('a thread that logs in a synchronous loop', () => {
  it('waits for a main thread that is busy, then all lines arrive in order', async () => {
    const counts: Shared = shared(1)
    const lines: string[] = []
    await using lq = queue({ parallel: 1, onLog: line => lines.push(line) })
    const startMs = performance.now()
    const running = lq.insertAll([[partial(logMany, 20_000, 1_000), [counts]]])
    while (Atomics.load(counts, 0) === 0) await new Promise(resolve => setImmediate(resolve))
    const blockedUntilMs = performance.now() + 500
    // Takes nothing: busy with its own work.
    while (performance.now() < blockedUntilMs) Atomics.wait(counts, 0, Atomics.load(counts, 0), 10)
    const logged = Atomics.load(counts, 0) - lines.length
    // A megabyte, with two bytes a character, and another one for each second.
    const most = (2 + (performance.now() - startMs) / 1000) * 600
    assert.ok(logged < most, `${logged} lines under way, at most ${most}`)
    await running
    assert.equal(lines.length, 20_000)
    assert.ok(lines.every((line, index) => line.length === 1_000 && Number(line) === index))
  })

  it('continues when the main thread waits for it without taking lines', async () => {
    const counts: Shared = shared(1)
    let heard = 0
    await using lq = queue({ parallel: 1, onLog: () => heard++ })
    const running = lq.insertAll([[partial(logMany, 1_000, 1_000), [counts]]])
    while (Atomics.load(counts, 0) === 0) await new Promise(resolve => setImmediate(resolve))
    for (let now = Atomics.load(counts, 0); now < 1_000; now = Atomics.load(counts, 0)) Atomics.wait(counts, 0, now)
    assert.ok(heard < 1_000)
    await running
    assert.equal(heard, 1_000)
  })
})

it('what a task printed and logged before it was stopped is shown, also if its output was corked', () => {
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'scripts/stopped.js')],
    { encoding: 'utf8', timeout: 60_000 },
  )
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, `it said: ${stdout}${stderr}`)
  for (const what of ['spin', 'exit', 'abort', 'memory']) {
    const lines = (text: string, verb: string) => text.match(new RegExp(`^${what} ${verb} \\d+$`, 'gm')) ?? []
    const all = (verb: string) => Array.from({ length: 100 }, (_, line) => `${what} ${verb} ${line}`)
    assert.deepEqual(lines(stdout, 'printed'), all('printed'))
    assert.deepEqual(lines(stderr, 'logged'), all('logged'))
    assert.match(stderr, new RegExp(`^${what} said$`, 'm'))
  }
  assert.match(stdout, /^corked\nbytes, hex array übrig\nend\n$/m)
  assert.match(stderr, /^corked too$/m)
})
