import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf } from './ledger.js'
import { type QueueAtEnd, reconcile } from './reconcile.js'

const EMPTY: QueueAtEnd = { left: [], dead: [], inserted: 2, completed: 2 }

/** Two tasks, `n-a.` and `n-b.`, that were inserted by process 1 and run by process 2. */
const GOOD = `intend 1 n-a.,n-b.
inserted 1 n-a.,n-b.
held 2 n-a.
held 2 n-b.
run 2 n-a.
run 2 n-b.
done 2 n-a.
done 2 n-b.
`

function violationsOf(ledger: string, atEnd: Partial<QueueAtEnd> = {}): readonly string[] {
  return reconcile(linesOf(ledger), { ...EMPTY, ...atEnd }).violations
}

test('a run in which all went well breaks no promise', () => assert.deepEqual(violationsOf(GOOD), []))

const faults: [string, string, RegExp, Partial<QueueAtEnd>?][] = [
  ['a task that never ran', GOOD.replace(/(run|done) 2 n-b.\n/g, ''), /^1 tasks were lost: n-b\.$/, { completed: 1 }],
  ['a task that is still queued', GOOD, /^1 tasks were left in the queue: n-b\.$/, { left: ['n-b.'] }],
  ['a run of a task that nobody inserted', `${GOOD}run 2 n-c.\n`, /^1 tasks ran that nobody inserted: n-c\.$/],
  ['a good task among the dead letters', GOOD, /^1 dead letters should have succeeded/, { dead: ['n-a.'] }],
  ['two runs without a reason', `${GOOD}run 3 n-a.\n`, /^1 tasks ran twice without a kill or a lost lease: n-a\.$/],
  [
    'a kill that explains one of three runs',
    `${GOOD}run 3 n-a.\nrun 4 n-a.\nSIGKILL 3 worker\n`,
    /^1 tasks ran twice without a kill/,
  ],
  ['a stop that explains nothing', `${GOOD}run 3 n-a.\nSIGSTOP 3 worker\n`, /^1 tasks ran twice without a kill/],
  ['more inserted than there were tasks', GOOD, /^inserted is 3, ahead of the 2/, { inserted: 3 }],
  ['fewer inserted than were acknowledged', GOOD, /^inserted is 1, behind the 2/, { inserted: 1 }],
  ['more completed than ran', GOOD, /^completed is 3, ahead of 2 runs/, { completed: 3 }],
  ['fewer completed than were acknowledged', GOOD, /^completed is 1, behind the 2/, { completed: 1 }],
]

for (const [what, ledger, expected, atEnd] of faults) {
  test(`the reconciliation sees ${what}`, () => {
    const [violation, ...others] = violationsOf(ledger, atEnd)
    assert.match(violation ?? '', expected)
    assert.deepEqual(others, [])
  })
}

for (const [what, more] of [
  ['the worker of the first run was killed', 'run 3 n-a.\nSIGKILL 2 worker\n'],
  ['a worker was told that its lease was lost', 'run 3 n-a.\nlost 3 n-a.\n'],
  ['a mover was killed between its two steps', 'run 3 n-a.\nmoving 4 n-a.\n'],
  ['a retry was killed between its two steps', 'run 3 n-a.\nretrying 4 n-a.\n'],
] as const) {
  test(`a second run is explained where ${what}`, () => {
    const findings = reconcile(linesOf(GOOD + more), EMPTY)
    assert.deepEqual(findings.violations, [])
    assert.equal(findings.duplicates, 1)
  })
}

test('half a line in the ledger is an error', () =>
  assert.throws(() => [...linesOf('run 2\nrun 2 n-a.\n')], /got run 2/))
