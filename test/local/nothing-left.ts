// The leak check of the local tests: after each one, no thread, timer, handle or signal listener is left.
import assert from 'node:assert/strict'
import { afterEach, before } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'

const threads = new Set<Worker>()
process.on('worker', worker => {
  threads.add(worker)
  worker.once('exit', () => threads.delete(worker))
})

/** Handles that a run opens and must close. Other handles belong to the test runner and vary. */
function held(): Record<string, number> {
  const active = process.getActiveResourcesInfo()
  const counts: Record<string, number> = { threads: threads.size }
  for (const name of ['Timeout', 'MessagePort', 'Worker', 'SignalWrap']) {
    counts[name] = active.filter(resource => resource === name).length
  }
  for (const signal of ['SIGINT', 'SIGTERM']) counts[signal] = process.listenerCount(signal)
  return counts
}

/** To be called once in a test file, at its top. A closed port or thread needs some turns of the event loop to be gone. */
export function checkThatNothingIsLeft(): void {
  let atFirst: Record<string, number> = {}
  before(() => {
    atFirst = held()
  })
  afterEach(async () => {
    const deadline = performance.now() + 60_000
    while (JSON.stringify(held()) !== JSON.stringify(atFirst) && performance.now() < deadline) await nextTurn()
    assert.deepEqual(held(), atFirst, 'left behind by the test')
  })
}
