import assert from 'node:assert/strict'
import { it } from 'node:test'
import { deathsAlone, endedAttempts, mustRunAlone, PoisonGuard } from '#ptq/poll/poison-guard.js'
import { LeasedTask } from '#ptq/queue/queued-task.js'
import { randomFrom } from '../torture/random.js'

interface Past {
  readonly failures?: number
  readonly deaths?: number
  readonly deathsAlone?: number
  readonly alone?: boolean
}

let made = 0

function leased({ failures = 0, deaths = 0, ...past }: Past = {}): LeasedTask {
  const id = `00000000-0000-4000-8000-${String(made++).padStart(12, '0')}`
  const body = `{"payload": [["tasks", "noop"], [1], {}, -1], "queueName": "q", "id": "${id}"}`
  return new LeasedTask({ id, body, attempt: 1 + failures + deaths, deaths, handle: undefined, ...past }, {})
}

/** The limit of tasks held together with one that has had this number of deaths, as the page on workers says. */
const together = ({ deaths }: LeasedTask): number =>
  deaths === 0 ? Number.POSITIVE_INFINITY : ([64, 8][deaths - 1] ?? 1)

it('only failures and deaths alone count as attempts', () => {
  const counts = (past: Past) => endedAttempts(leased(past))
  assert.equal(counts({}), 0)
  assert.equal(counts({ failures: 2, deaths: 7, deathsAlone: 0 }), 2)
  assert.equal(counts({ failures: 2, deaths: 7, deathsAlone: 3 }), 5)
  // If the queue can't distinguish them, those after the third count, since workers then run the task alone.
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map(deaths => deathsAlone(leased({ deaths }))),
    [0, 0, 0, 0, 1, 2],
  )
})

for (const marksByRelease of [false, true]) {
  it(`random tasks are leased together within the limits of their deaths, and none waits without end; marks by release: ${marksByRelease}`, () => {
    for (let seed = 1; seed <= 300; seed++) simulate(randomFrom(seed), marksByRelease, `seed ${seed}`)
  })
}

/** A worker with random lease requests and outcomes of tasks; all tasks return in the end. */
function simulate(random: () => number, marksByRelease: boolean, seed: string): void {
  const upTo = (most: number) => Math.floor(random() * (most + 1))
  const running = new Set<LeasedTask>()
  let waits = 0
  const guard = new PoisonGuard({ marksByRelease, held: () => running.size + waits })
  const queue = Array.from({ length: 10 + upTo(300) }, () => leased({ deaths: random() < 0.3 ? upTo(5) : 0 }))
  const begin = (tasks: readonly LeasedTask[]) => {
    for (const task of tasks) running.add(task)
    const room = Math.min(...[...running].map(together))
    assert.ok(running.size <= room, `${seed}: ${running.size} are held with a task that leaves room for ${room}`)
    for (const task of tasks) {
      if (mustRunAlone(task)) assert.ok(running.size === 1 && (!marksByRelease || task.alone), seed)
    }
  }
  let left = queue.length
  for (let steps = 0; left > 0; steps++) {
    assert.ok(steps < 50_000, `${seed}: ${left} tasks never run`)
    if (running.size > 0 && (guard.mustWait || random() < 0.3)) {
      const task = [...running][upTo(running.size - 1)]
      assert.ok(task)
      running.delete(task)
      guard.settled(task)
      left--
      continue
    }
    assert.equal(guard.mustWait, false, `${seed}: a worker that holds nothing waits`)
    const waited = guard.takeWaiting()
    if (waited !== undefined) {
      waits = 0
      begin([waited])
      continue
    }
    const limit = guard.limit(1 + upTo(100))
    assert.ok(limit >= 1, seed)
    const look = queue.splice(0, limit)
    waits = look.length
    const { run, release: back, mark } = guard.choose(look)
    const kept = look.filter(task => !run.includes(task) && !back.includes(task) && !mark.includes(task))
    assert.equal(run.length + back.length + mark.length + kept.length, look.length, `${seed}: each once`)
    assert.ok(kept.length <= 1, seed)
    waits = kept.length
    begin(run)
    queue.push(...back)
    for (const { deaths } of mark) queue.push(leased({ deaths, alone: true, deathsAlone: 0 }))
    if (guard.isDraining) {
      // Tasks that have not started are withdrawn, at most all that are held.
      for (const task of [...running].slice(0, upTo(running.size))) {
        running.delete(task)
        guard.settled(task)
        queue.push(task)
      }
    }
  }
}
