import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { type FunctionTask, partial, queueable, TaskQueue } from 'ptq'

/** The number of sequences; PTQ_MODEL_RUNS=2000 searches longer. */
const RUNS = Number(process.env.PTQ_MODEL_RUNS ?? 20)

const POLL = { parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.001, maxBackoffSeconds: 0.002 } as const

/** More deaths could count as attempts of a task that is alone by then. */
const maxDeaths = 3

let runs = new Map<number, number>()

const noteRun = (n: number) => runs.set(n, (runs.get(n) ?? 0) + 1)

export const good = queueable(function goodInModel(n: number) {
  noteRun(n)
})

export const flaky = queueable(function flakyInModel(n: number) {
  noteRun(n)
  if (runs.get(n) === 1) throw new RangeError(`task ${n} fails once`)
})

export const bad = queueable(function badInModel(n: number) {
  throw new RangeError(`task ${n} always fails`)
})

const kinds = { good, flaky, bad }
type Kind = keyof typeof kinds

type Step =
  | { readonly verb: 'insert'; readonly pack: number; readonly kinds: readonly Kind[] }
  | { readonly verb: 'work'; readonly ends: number; readonly how: 'stopFn' | 'signal' }
  | { readonly verb: 'die' | 'release' | 'retry' | 'move' }

const kind: fc.Arbitrary<Kind> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Kind>('good') },
  { weight: 1, arbitrary: fc.constant<Kind>('flaky') },
  { weight: 1, arbitrary: fc.constant<Kind>('bad') },
)

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      verb: fc.constant('insert' as const),
      pack: fc.integer({ min: 1, max: 40 }),
      kinds: fc.array(kind, { minLength: 1, maxLength: 60 }),
    }),
    fc.record({
      verb: fc.constant('work' as const),
      ends: fc.integer({ min: 1, max: 30 }),
      how: fc.constantFrom('stopFn' as const, 'signal' as const),
    }),
    fc.record({ verb: fc.constantFrom('die' as const, 'release' as const, 'retry' as const, 'move' as const) }),
  ),
  { maxLength: 12 },
)

/** A queue of tasks that knows no packs: how many there are, and what becomes of each. */
class Model {
  readonly kinds: Kind[] = []
  completed = 0
  dead = 0
  deaths = 0

  get enqueued(): number {
    return this.kinds.length - this.completed - this.dead
  }
}

/** Stops before the next task begins. */
function workUntilAsked(tq: TaskQueue, ends: number): Promise<number> {
  return tq.poll({ ...POLL, maxAttempts: 2, stopFn: ({ executed, failed }) => executed + failed >= ends })
}

/** Stops while many tasks are handed out. */
async function workUntilAborted(tq: TaskQueue, ends: number): Promise<number> {
  const stop = new AbortController()
  let ended = 0
  const onEnd = () => {
    if (++ended >= ends) stop.abort()
  }
  tq.events.on('succeeded', onEnd).on('failed', onEnd)
  const executed = await tq.poll({ ...POLL, maxAttempts: 2, signal: stop.signal })
  tq.events.off('succeeded', onEnd).off('failed', onEnd)
  return executed
}

async function play(tq: TaskQueue, other: TaskQueue, model: Model, step: Step): Promise<void> {
  switch (step.verb) {
    case 'insert': {
      const tasks = step.kinds.map((name, at): FunctionTask => partial(kinds[name], model.kinds.length + at))
      assert.equal(await tq.insert(tasks, { pack: step.pack }), tasks.length)
      model.kinds.push(...step.kinds)
      return
    }
    case 'work': {
      // A dead letter is the second failure of a task.
      const before = await tq.failed()
      model.completed +=
        step.how === 'stopFn' ? await workUntilAsked(tq, step.ends) : await workUntilAborted(tq, step.ends)
      model.dead += (await tq.failed()) - before
      return
    }
    case 'die':
      if (model.deaths++ >= maxDeaths) return
      await tq.lease({ seconds: 0.001, numTasks: 1_000 })
      // The lease, of a millisecond, ends.
      await sleep(3)
      return
    case 'release':
      await tq.release(await tq.lease({ numTasks: 1_000 }))
      return
    case 'retry':
      assert.equal(await tq.retry(), model.dead)
      model.dead = 0
      return
    case 'move':
      await tq.moveTo(other)
      await other.moveTo(tq)
  }
}

test('tasks in packs behave like tasks, for any order of inserts, stops, deaths, releases, retries and moves', () =>
  fc.assert(
    fc.asyncProperty(steps, async sequence => {
      runs = new Map()
      await using tq = new TaskQueue(`mem://packs-${randomUUID()}`, { progress: false })
      await using other = new TaskQueue(`mem://packs-${randomUUID()}`, { progress: false })
      await other.insert([])
      const model = new Model()
      const all: Step[] = [{ verb: 'insert', pack: 7, kinds: ['good', 'bad', 'flaky'] }, ...sequence]
      for (const step of all) {
        await play(tq, other, model, step)
        const { enqueued, leased } = await tq.status()
        assert.deepEqual({ enqueued, leased }, { enqueued: model.enqueued, leased: 0 }, JSON.stringify(step))
        assert.equal(await tq.failed(), model.dead)
      }
      await play(tq, other, model, { verb: 'work', ends: Number.POSITIVE_INFINITY, how: 'stopFn' })
      assert.equal(await tq.enqueued(), 0)
      assert.equal(model.completed, model.kinds.filter(name => name !== 'bad').length)
      assert.equal(model.dead, model.kinds.length - model.completed)
      for (const [n, name] of model.kinds.entries()) {
        // Nobody died while a task ran, so nothing is repeated.
        const expected = { good: 1, flaky: 2, bad: undefined }[name]
        assert.equal(runs.get(n), expected, `runs of the ${name} task ${n}`)
      }
    }),
    { numRuns: RUNS },
  ))
