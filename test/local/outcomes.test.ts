// Each task that is taken has exactly one outcome, and runs at most once, for any kind of task and run.
import assert from 'node:assert/strict'
import { afterEach, it } from 'node:test'
import fc from 'fast-check'
import { LocalTaskQueue, partial, type Result, type TaskInput } from 'ptq'
import { fail } from './bad-tasks.js'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { count, countLater, type Shared, shared } from './tasks.js'

type Kind = 'sync' | 'async' | 'throws' | 'rejects' | 'throwsInTimer' | 'exitsLater'
type Plan = { readonly kind: Kind; readonly turns: number }

const calm = fc.constantFrom<Kind>('sync', 'sync', 'sync', 'async', 'async', 'throws', 'rejects')
const planOf = (kind: fc.Arbitrary<Kind>) => fc.record<Plan>({ kind, turns: fc.nat(8) })
const modes = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  ordered: fc.boolean(),
  source: fc.constantFrom('array', 'generator', 'async generator'),
})

// Queues of the cases are left open, so that each finds the threads of the one before; a close() stops them all.
afterEach(() => new LocalTaskQueue().close())
checkThatNothingIsLeft()

function toTask({ kind, turns }: Plan, index: number, counts: Shared): TaskInput {
  if (kind === 'sync') return [partial(count, index), [counts]]
  if (kind === 'async') return [partial(countLater, index, turns), [counts]]
  return [partial(fail, kind, index), [counts]]
}

function iterable(tasks: readonly TaskInput[], source: string): Iterable<TaskInput> | AsyncIterable<TaskInput> {
  if (source === 'array') return tasks
  if (source === 'generator') return new Set(tasks).values()
  return (async function* () {
    for (const [index, task] of tasks.entries()) {
      if (index % 3 === 0) await new Promise(resolve => setImmediate(resolve))
      yield task
    }
  })()
}

async function check(plans: readonly Plan[], parallel: number, { concurrency, ordered, source }: Mode): Promise<void> {
  const counts = shared(Math.max(1, plans.length))
  const tasks = plans.map((plan, index) => toTask(plan, index, counts))
  const lq = new LocalTaskQueue({ parallel, concurrency, progress: false, stopOnError: false })
  const results: Result<TaskInput>[] = []
  for await (const result of lq.results(iterable(tasks, source), { ordered })) results.push(result)
  const ended = results.map(({ task }) => tasks.indexOf(task))
  const inOrder = ended.toSorted((a, b) => a - b)
  assert.deepEqual(
    inOrder,
    plans.map((_, index) => index),
  )
  if (ordered) assert.deepEqual(ended, inOrder)
  for (const [place, result] of results.entries()) {
    const index = ended[place] ?? -1
    const well = plans[index]?.kind === 'sync' || plans[index]?.kind === 'async'
    // A task that awaits when its neighbour ends the thread is reported as such, although it had started.
    const victim = !result.ok && /ended by another task/.test(result.error.message)
    if (!victim) assert.equal(result.ok, well, `task ${index}: ${JSON.stringify(plans[index])}`)
    assert.ok((counts[index] ?? 0) <= 1)
    if (result.ok || !victim) assert.equal(counts[index], 1)
  }
  // The same, read in another way.
  const again = shared(Math.max(1, plans.length))
  const wrong = results.filter(({ ok }) => !ok).length
  const run = lq.insertAll(
    iterable(
      plans.map((plan, index) => toTask(plan, index, again)),
      source,
    ),
  )
  if (plans.some(({ kind }) => kind === 'exitsLater')) {
    await run.catch((error: unknown) => assert.ok(error instanceof AggregateError))
  } else if (wrong === 0) {
    assert.equal(await run, plans.length)
  } else {
    await assert.rejects(run, {
      message: `${wrong} of ${plans.length} ${plans.length === 1 ? 'task' : 'tasks'} failed`,
    })
  }
  assert.ok(again.every(times => times <= 1))
}

type Mode = { concurrency: number; ordered: boolean; source: string }

it('tasks that leave their thread alive have exactly one outcome each', async () => {
  await fc.assert(fc.asyncProperty(fc.array(planOf(calm), { maxLength: 80 }), fc.nat(2), modes, check), {
    numRuns: 80,
    endOnFailure: true,
  })
})

it('tasks that break out of their call or end their thread have exactly one outcome each', async () => {
  const wild = fc.constantFrom<Kind>('sync', 'sync', 'async', 'async', 'throws', 'throwsInTimer', 'exitsLater')
  await fc.assert(
    fc.asyncProperty(
      fc.array(planOf(wild), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 2 }),
      modes,
      check,
    ),
    { numRuns: 12, endOnFailure: true },
  )
})
