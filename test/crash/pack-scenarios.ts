/** Steps of a worker on packs during which its process may die. */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { partial, queueable, type TaskQueue } from 'ptq'
import type { CoreScenario } from './core-scenarios.js'

const POLL = { parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 } as const

const SIZE = 20

/** The task that fails, or stops its worker. */
const SPECIAL = 3

const ran = new Set<number>()
let stop = new AbortController()

export const note = queueable(function noteInPack(n: number) {
  ran.add(n)
})

export const fail = queueable(function failInPack(n: number) {
  throw new RangeError(`task ${n} always fails`)
})

/** Stops its worker, and goes on until the rest of its pack is released. */
export const stopWorker = queueable(async function stopInPack(n: number) {
  stop.abort()
  for (let turn = 0; turn < 50; turn++) await nextTurn()
  ran.add(n)
})

function pack(special: (n: number) => ReturnType<typeof partial<typeof note>>): (tq: TaskQueue) => Promise<void> {
  return async tq => {
    ran.clear()
    const tasks = Array.from({ length: SIZE }, (_, n) => (n === SPECIAL ? special(n) : partial(note, n)))
    assert.equal(await tq.insert(tasks, { pack: SIZE }), SIZE)
  }
}

/** Each task ran, in one process or the other, and nothing is left. */
async function requireRan(tq: TaskQueue, except: number[] = []): Promise<void> {
  await tq.poll({ ...POLL, maxAttempts: 1 })
  const all = Array.from({ length: SIZE }, (_, n) => n).filter(n => !except.includes(n))
  assert.deepEqual(
    [...ran].sort((a, b) => a - b),
    all,
  )
  assert.equal(await tq.enqueued(), 0)
  const dead: unknown[] = []
  for await (const { payloadText } of tq.failures()) dead.push(JSON.parse(payloadText)[1][0])
  assert.deepEqual(dead, except, 'only the task that fails is a dead letter')
}

export const packScenarios: readonly CoreScenario[] = [
  {
    name: 'running a pack, one task of which is dead-lettered',
    prepare: pack(n => partial(fail, n)),
    act: tq => tq.poll({ ...POLL, maxAttempts: 1 }),
    again: tq => requireRan(tq, [SPECIAL]),
  },
  {
    name: 'running a pack that a task leaves to be tried again',
    leavesRecords: true,
    prepare: pack(n => partial(fail, n)),
    // The queue's clock stands still, so it isn't tried again here.
    act: tq =>
      tq.poll({
        ...POLL,
        maxAttempts: 2,
        stopFn: ({ failed }) => failed > 0,
        minBackoffSeconds: 60,
        maxBackoffSeconds: 60,
      }),
    again: tq => requireRan(tq, [SPECIAL]),
  },
  {
    name: 'stopping in a pack: the rest is stored, the pack written again',
    prepare: pack(n => partial(stopWorker, n) as ReturnType<typeof partial<typeof note>>),
    act: tq => {
      stop = new AbortController()
      return tq.poll({ ...POLL, signal: stop.signal })
    },
    again: async tq => {
      stop = new AbortController()
      await requireRan(tq)
    },
  },
  {
    name: 'splitting a pack whose worker died',
    leavesRecords: true,
    prepare: async (tq, pass) => {
      await pack(n => partial(note, n))(tq)
      await tq.lease({ seconds: 1 })
      pass(10)
      // The end of that lease counts as a death; this one is released as the queue is closed.
      const [again] = await tq.lease({ seconds: 60 })
      assert.equal(again?.deaths, 1)
    },
    act: tq => tq.poll(POLL),
    again: tq => requireRan(tq),
  },
]
