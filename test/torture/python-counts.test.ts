import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf } from './ledger.js'
import { reconcile } from './reconcile.js'

/**
 * A Python process inserts and counts two tasks, and another one runs them; ptq inserts and runs a third one before.
 */
const together = `intend 3 n-inserted3-0.
inserted 3 n-inserted3-0.
run 4 n-inserted3-0.
done 4 n-inserted3-0.
python 1 inserter
python 2 worker
intend 1 n-carried1-0.,n-carried1-1.
counting 1 carried
counted 1 carried
inserted 1 n-carried1-0.,n-carried1-1.
run 2 n-carried1-0.
done 2 n-carried1-0.
run 2 n-carried1-1.
done 2 n-carried1-1.
`
const counts = { main: 3, intake: 0, transit: 2, depot: 2 }

function violationsOf(ledger: string, inserted = {}, completed = 3): readonly string[] {
  return reconcile(linesOf(ledger), { left: [], dead: [], inserted: { ...counts, ...inserted }, completed }).violations
}

const behind = ['inserted of transit is 1, behind the 2 that were acknowledged']

for (const [what, ledger, inserted, expected] of [
  ['a run with Python in which all was counted breaks no promise', together, {}, []],
  ['Python may lose no count when it counts alone', together, { transit: 1 }, behind],
  [
    'of ours and Python’s counts at one time one may be lost',
    together.replace(
      'counted 1',
      'intend 3 n-carried3-1.\ninserted 3 n-carried3-1.\nrun 4 n-carried3-1.\ndone 4 n-carried3-1.\ncounted 1',
    ),
    { main: 4, transit: 0, depot: 3 },
    [],
  ],
  [
    'the end of Python while it counts may take earlier counts away',
    `${together}counting 1 carried\nSIGKILL 1 python-inserter\n`,
    { transit: 0 },
    [],
  ],
  ['the end of Python at another time may not', `${together}SIGKILL 1 python-inserter\n`, { transit: 1 }, behind],
  [
    'what is counted after that end is there',
    `${together}counting 1 carried\nSIGTERM 1 python-inserter\nintend 3 n-carried3-1.\ninserted 3 n-carried3-1.\nrun 4 n-carried3-1.\ndone 4 n-carried3-1.\n`,
    { main: 4, transit: 0, depot: 3 },
    ['inserted of transit is 0, behind the 1 that were acknowledged'],
  ],
  [
    'counts ahead of what was inserted are seen beside Python too',
    together,
    { transit: 3, depot: 3 },
    [
      'inserted of transit is 3, ahead of the 2 tasks there were',
      'inserted of depot is 3, ahead of the 2 tasks there were',
    ],
  ],
] as const) {
  test(what, () =>
    assert.deepEqual(
      violationsOf(ledger, inserted, ledger.split('\ndone ').length - 1).toSorted(),
      [...expected].toSorted(),
    ),
  )
}

test('a second run is explained by a run in Python, but not by two runs in ptq', () => {
  const again = 'run 4 n-carried1-0.\ndone 4 n-carried1-0.\n'
  assert.deepEqual(violationsOf(together + again, {}, 4), [])
  assert.match(violationsOf(together + again + again.replaceAll(' 4 ', ' 5 '), {}, 5).join(), /1 task ran twice/)
})
