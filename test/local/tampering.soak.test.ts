// Tasks that change or break what they share with the code that runs them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { LocalTaskQueue, type LocalTaskQueueOptions, partial } from 'ptq'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { awaitAbort, breakMaps, grow, insides, tamper, tamperInside, useAll } from './tampering-tasks.js'
import { add, where } from './tasks.js'

checkThatNothingIsLeft()

const warnings: Error[] = []
const onWarning = (warning: Error) => warnings.push(warning)
beforeEach(() => {
  warnings.length = 0
  process.on('warning', onWarning)
})
afterEach(async () => {
  // A warning is emitted in a later tick.
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', onWarning)
  assert.deepEqual(warnings, [])
})

const queue = (options: LocalTaskQueueOptions = {}) =>
  new LocalTaskQueue({ progress: false, parallel: 1, onLog: () => undefined, ...options })

/** Runs all that a thread can run after a task has changed something there. */
async function tryAll(change: ReturnType<typeof partial>): Promise<void> {
  const heard: string[] = []
  await using lq = queue({
    onLog: line => heard.push(line),
    onProgress: ({ fraction }) => heard.push(String(fraction)),
  })
  const thread = await lq.run(partial(where))
  await lq.run(change)
  for (const way of ['run', 'results', 'insertAll'] as const) {
    heard.length = 0
    const tasks = [0, 1, 2].map(index => partial(useAll, index))
    const ends: unknown[] = []
    if (way === 'run') ends.push(...(await Promise.allSettled(tasks.map(task => lq.run(task)))))
    else if (way === 'results') for await (const result of lq.results(tasks)) ends.push(result)
    else await assert.rejects(lq.insertAll(tasks), /failed: thrown$/)
    assert.deepEqual(heard.slice(0, 4), ['0.5', 'line 0', '0.5', 'line 1'])
    if (way === 'run') {
      const [first, second, third] = ends as PromiseSettledResult<unknown>[]
      const value = (index: number) => ({ index, date: new Date(0), nested: [new Map([[1, 2]])] })
      assert.deepEqual(first, { status: 'fulfilled', value: value(0) })
      assert.deepEqual(third, { status: 'fulfilled', value: value(2) })
      assert.ok(second?.status === 'rejected' && second.reason.cause instanceof RangeError)
      assert.deepEqual([second.reason.cause.message, second.reason.cause.at], ['thrown', new Date(0)])
    } else if (way === 'results')
      assert.deepEqual(
        ends.map(end => (end as { ok: boolean }).ok),
        [true, false, true],
      )
  }
  await assert.rejects(lq.run(partial(awaitAbort), { timeoutSeconds: 0.05 }), /Expected the task to end within/)
  assert.equal(await lq.run(partial(where)), thread, 'the thread lives on')
}

describe('running tasks in a thread does not depend on what tasks change:', () => {
  const timers = ['clearInterval', 'clearTimeout', 'queueMicrotask', 'setImmediate', 'setInterval', 'setTimeout']
  for (const names of [
    ['AbortController'],
    ['Atomics'],
    ['DOMException', 'Error'],
    ['performance'],
    ['process'],
    ['structuredClone'],
    timers,
  ]) {
    for (const how of ['delete', 'replace'] as const) {
      it(`globalThis.${names.join()}: ${how}`, () => tryAll(partial(tamper, names, how)))
    }
  }
  for (const name of insides) it(`${name}: replaced`, () => tryAll(partial(tamperInside, name)))

  it('the globals that the memory watch uses', async () => {
    for (const change of [
      partial(tamperInside, 'process.exit'),
      partial(tamperInside, 'process.memoryUsage'),
      partial(tamper, ['setInterval'], 'delete'),
    ]) {
      await using lq = queue({ maxMemoryMb: 60 })
      await lq.run(change)
      await assert.rejects(lq.run(partial(grow)), /needed more memory than maxMemoryMb \(60 MB\)/)
    }
  })
})

describe('when the code that runs tasks fails in a thread', () => {
  for (const keepsThread of [false, true]) {
    it(`the thread is stopped and its unstarted tasks run in another, with process.exit ${keepsThread ? 'blocked' : 'working'}`, async () => {
      await using lq = queue()
      const thread = await lq.run(partial(where))
      await lq.run(partial(breakMaps, keepsThread))
      const sums = await Promise.all(Array.from({ length: 10 }, (_, index) => lq.run(partial(add, index, 1))))
      assert.deepEqual(
        sums,
        Array.from({ length: 10 }, (_, index) => index + 1),
      )
      assert.notEqual(await lq.run(partial(where)), thread)
    })
  }

  it('the run continues as long as each new thread runs a task', async () => {
    await using lq = queue()
    const tasks = function* () {
      for (;;) yield partial(breakMaps, false)
    }
    // Each thread runs one, and fails with the next.
    let ran = 0
    for await (const result of lq.results(tasks())) {
      assert.ok(result.ok)
      if (++ran === 5) break
    }
    assert.equal(ran, 5)
  })
})

it('threads run tasks if code generation from strings is disabled', () => {
  const code = `import { LocalTaskQueue, partial } from 'ptq'
    import { add } from ${JSON.stringify(new URL('tasks.js', import.meta.url).href)}
    const lq = new LocalTaskQueue({ parallel: 2, progress: false })
    console.log(await lq.run(partial(add, 1, 2)))
    await lq.close()`
  const options = ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', code]
  const { stdout, stderr, signal } = spawnSync(process.execPath, options, { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual({ stdout, stderr, signal }, { stdout: '3\n', stderr: '', signal: null })
})
