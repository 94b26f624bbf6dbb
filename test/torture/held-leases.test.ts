import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf } from './ledger.js'
import { reconcile } from './reconcile.js'

const atEnd = { left: [], dead: [], inserted: { main: 1, intake: 0, transit: 0, depot: 0 }, completed: 1 }

/** Worker 2 loses its lease of a task, which worker 3 then runs. `heldAtMs` is when it recorded the lease. */
function violationsOf(whileHeld: string, before = '', heldAtMs = ''): readonly string[] {
  const ledger = `intend 1 s-a.\ninserted 1 s-a.\n${before}held 2 s-a.${heldAtMs}\n${whileHeld}lost 2 s-a.\nrun 3 s-a.\ndone 3 s-a.\n`
  return reconcile(linesOf(ledger), atEnd).violations
}

const fault = ['1 lease was lost by workers that were neither stopped nor held up: s-a.']

test('a lease lost by a worker that nothing delayed is a violation', () => assert.deepEqual(violationsOf(''), fault))

test('a worker that leases a task again before it learns of the loss lost the first lease', () => {
  assert.deepEqual(violationsOf('released 4 ptq-release\nheld 2 s-a.\n'), [])
  assert.deepEqual(violationsOf('held 2 s-a.\nreleased 4 ptq-release\n'), [])
})

test('a lease may be lost while all leases are released, however long that takes', () =>
  assert.deepEqual(violationsOf('', 'releasing 4 ptq-release\n'), []))

test('a lease may be lost while the server is away', () =>
  assert.deepEqual(violationsOf('', 'serverEnded 0 redis\n'), []))

for (const [what, line] of [
  ['was stopped', 'SIGSTOP 2 worker\n'],
  ['was held up', 'delayed 2 900\n'],
  ['held it while the server was away', 'serverBack 0 redis\n'],
  ['held it while all leases were released', 'released 4 ptq-release\n'],
] as const) {
  test(`a lease may be lost by a worker that ${what}, but not before it had the lease`, () => {
    assert.deepEqual(violationsOf(line), [])
    assert.deepEqual(violationsOf('', line), fault)
  })
}

test('a lease that was on its way to a worker that stood still may be lost, but not one that it got later', () => {
  assert.deepEqual(violationsOf('', 'delayed 2 2900 10000\n', ' 10003'), [])
  assert.deepEqual(violationsOf('', 'delayed 2 2900 10000\n', ' 11000'), fault)
  assert.deepEqual(violationsOf('', 'delayed 5 2900 10000\n', ' 10003'), fault)
})
