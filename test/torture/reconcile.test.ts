import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LedgerReader, linesOf, note } from './ledger.js'
import { type QueueAtEnd, reconcile } from './reconcile.js'

/** Counts of tasks that were inserted into the main queue. */
function intoMain(main: number): QueueAtEnd['inserted'] {
  return { main, intake: 0, transit: 0, depot: 0 }
}

const EMPTY: QueueAtEnd = { left: [], dead: [], inserted: intoMain(2), completed: 2 }

const ON_SQS: QueueAtEnd = {
  ...EMPTY,
  inserted: { main: Number.NaN, intake: Number.NaN, transit: Number.NaN, depot: Number.NaN },
  completed: Number.NaN,
}

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

test('a run without faults breaks no promise', () => assert.deepEqual(violationsOf(GOOD), []))

/** The same, but worker 2 ended between running the first task and deleting it, and worker 3 ran it. */
const CUT = `${GOOD.replace('done 2 n-a.', 'run 3 n-a.')}done 3 n-a.\n`

/** The same, but the first task was stored twice. */
const TWICE = `${GOOD}run 3 n-a.\ndone 3 n-a.\n`
const COMPLETED = { completed: 3 }

const faults: [string, string, RegExp, Partial<QueueAtEnd>?][] = [
  ['a task that never ran', GOOD.replace(/(run|done) 2 n-b.\n/g, ''), /^1 task was lost: n-b\.$/, { completed: 1 }],
  ['a task that is still queued', GOOD, /^1 task was left in the queue: n-b\.$/, { left: ['n-b.'] }],
  [
    'a run of a task without an insert',
    `${GOOD}run 2 n-c.\ndone 2 n-c.\n`,
    /^1 task ran that nobody inserted: n-c\.$/,
    COMPLETED,
  ],
  ['a good task among the dead letters', GOOD, /^1 dead letter should have succeeded/, { dead: ['n-a.'] }],
  ['two runs without a reason', TWICE, /^1 task ran twice without a kill or a lost lease: n-a\.$/, COMPLETED],
  ['a run without an outcome', GOOD.replace('done 2 n-b.\n', ''), /^1 task ran, and then no word of it: n-b\.$/],
  [
    'a kill that explains one of three runs',
    `${TWICE}run 4 n-a.\nSIGKILL 4 worker\n`,
    /^1 task ran twice without a kill/,
    COMPLETED,
  ],
  ['a stop that explains nothing', `${TWICE}SIGSTOP 2 worker\n`, /^1 task ran twice without a kill/, COMPLETED],
  [
    'more counted as inserted than there were tasks',
    GOOD,
    /^inserted of main is 3, ahead of the 2/,
    { inserted: intoMain(3) },
  ],
  [
    'fewer counted as inserted than acknowledged',
    GOOD,
    /^inserted of main is 1, behind the 2/,
    { inserted: intoMain(1) },
  ],
  ['more counted as completed than ran', GOOD, /^completed is 3, ahead of 2 runs/, { completed: 3 }],
  ['fewer counted as completed than acknowledged', GOOD, /^completed is 1, behind the 2/, { completed: 1 }],
]

for (const [what, ledger, expected, atEnd] of faults) {
  test(`the reconciliation reports ${what}`, () => {
    const [violation, ...others] = violationsOf(ledger, atEnd)
    assert.match(violation ?? '', expected)
    assert.deepEqual(others, [])
  })
}

for (const [what, ledger] of [
  ['the worker of the first run was killed', `${CUT}SIGKILL 2 worker\n`],
  ['a worker got a lost lease', `${CUT}delayed 2 900\nlost 2 n-a.\n`],
  ['a mover was killed between its two steps', `${TWICE}moving 4 n-a.\n`],
  ['a retry was killed between its two steps', `${TWICE}retrying 4 n-a.\n`.replaceAll('n-a.', 'd-a.')],
  [
    'a worker was killed while it stored a dead letter',
    `${TWICE}held 4 n-a.\ndead 2 n-a.\nSIGKILL 4 worker\n`.replaceAll('n-a.', 'd-a.'),
  ],
] as const) {
  test(`a second run is explained if ${what}`, () => {
    const findings = reconcile(linesOf(ledger), { ...EMPTY, ...COMPLETED })
    assert.deepEqual(findings.violations, [])
    assert.equal(findings.duplicates, 1)
  })
}

for (const [what, more, isExplained] of [
  [
    'the worker of the first run was killed after it, before the pack was written without the task',
    'SIGKILL 2 worker\n',
    true,
  ],
  [
    'a worker was killed that had stored the task elsewhere, before it wrote the pack without it',
    'held 4 n-a.\nSIGKILL 4 worker\n',
    true,
  ],
  ['another worker was killed', 'held 4 n-b.\nSIGKILL 4 worker\n', false],
] as const) {
  test(`with packs, a second run is ${isExplained ? '' : 'not '}explained if ${what}`, () => {
    const { violations } = reconcile(linesOf(TWICE + more), { ...EMPTY, ...COMPLETED }, { hasPacks: true })
    assert.equal(violations.length, isExplained ? 0 : 1)
  })
}

const onSqs: [string, string, boolean][] = [
  ['its insert was sent twice because its reply was lost', 'resent 0 n-a.\n', true],
  ['its lease ended while its delete was in transit', 'late 0 n-a.\n', true],
  ['the reply of another insert was lost', 'resent 0 n-b.\n', false],
  ['there was a fault', 'fault 0 lost-reply\n', false],
]

for (const [what, more, isReason] of onSqs) {
  test(`on SQS a second run is ${isReason ? '' : 'not '}explained if ${what}; on fq it never is`, () => {
    const { violations } = reconcile(linesOf(TWICE + more), ON_SQS, { isExact: false })
    assert.equal(violations.length, isReason ? 0 : 1)
    assert.equal(violationsOf(TWICE + more, COMPLETED).length, 1)
  })
}

for (const [what, intended, more] of [
  ['an upload was interrupted', 'upload0', 'intend 5 n-upload0-0.\n'],
  [
    'a `ptq mv` sent it and did not delete it',
    'carried1',
    'fromFiles 5 ptq-mv\nsent 5 n-carried1-0.\nstayed 5 n-carried1-0.\n',
  ],
  ['a worker released it and did not delete it', 'inserted1', 'removed 2 n-inserted1-0.\nsent 2 n-inserted1-0.\n'],
  ['a `ptq mv` sent it out of the main queue and did not remove it', 'inserted1', 'sent 5 n-inserted1-0.\n'],
] as const) {
  test(`on SQS a second run is explained if ${what}, on fq it is not`, () => {
    const twice = TWICE.replaceAll('n-a.', `n-${intended}-0.`)
    assert.equal(reconcile(linesOf(twice), ON_SQS, { isExact: false }).violations.length, 1)
    assert.equal(reconcile(linesOf(twice + more), ON_SQS, { isExact: false }).duplicatesBySending, 1)
    assert.match(violationsOf(twice + more, COMPLETED).join(), /1 task ran twice/)
  })
}

test('on SQS a third run is explained if a worker released both copies of a task, and deleted neither', () => {
  const thrice = `${TWICE}run 4 n-a.\ndone 4 n-a.\n`
  const sent = (keys: string) => reconcile(linesOf(`${thrice}sent 3 ${keys}\n`), ON_SQS, { isExact: false })
  assert.equal(sent('n-a.,n-a.').duplicatesBySending, 2)
  assert.deepEqual(sent('n-a.').violations, ['1 task ran twice without a kill or a lost lease: n-a.'])
})

for (const [what, more] of [
  ['a worker released it, and ended after that', 'sent 2 n-a.\nremoved 2 n-a.\nSIGKILL 2 worker\nsent 3 n-b.\n'],
  ['any `ptq mv` was killed', 'SIGKILL 5 ptq-mv\nsent 5 n-b.\n'],
  ['a killed `ptq mv` had removed it', 'SIGKILL 5 ptq-mv\nsent 5 n-a.\nremoved 5 n-a.\n'],
  [
    'a `ptq mv` from a file queue left another one',
    'fromFiles 5 ptq-mv\nSIGKILL 5 ptq-mv\nsent 5 n-a.\nstayed 5 n-b.\n',
  ],
] as const) {
  test(`on SQS a second run is not explained if ${what}`, () => {
    const { violations } = reconcile(linesOf(TWICE + more), ON_SQS, { isExact: false })
    assert.deepEqual(violations, ['1 task ran twice without a kill or a lost lease: n-a.'])
  })
}

/** Tasks that `ptq mv` moves are counted in three queues. */
const CARRIED = `intend 1 n-carried1-0.,n-carried1-1.
inserted 1 n-carried1-0.,n-carried1-1.
run 2 n-carried1-0.
run 2 n-carried1-1.
done 2 n-carried1-0.
done 2 n-carried1-1.
`

for (const [inserted, more, expected] of [
  [{ main: 2, intake: 0, transit: 2, depot: 2 }, '', []],
  [{ main: 1, intake: 0, transit: 2, depot: 2 }, '', ['inserted of main is 1, behind the 2 that were acknowledged']],
  [{ main: 1, intake: 0, transit: 2, depot: 2 }, 'SIGKILL 3 ptq-mv\n', []],
  [
    { main: 2, intake: 0, transit: 1, depot: 2 },
    'SIGKILL 3 ptq-mv\n',
    ['inserted of transit is 1, behind the 2 that were acknowledged'],
  ],
  [
    { main: 3, intake: 0, transit: 2, depot: 2 },
    'SIGKILL 3 ptq-mv\n',
    ['inserted of main is 3, ahead of the 2 tasks there were'],
  ],
  [{ main: 2, intake: 0, transit: 2, depot: 1 }, '', ['inserted of depot is 1, behind the 2 that were acknowledged']],
  [{ main: 2, intake: 0, transit: 2, depot: 1 }, 'SIGKILL 3 ptq-mv\n', []],
  [
    { main: 2, intake: 0, transit: 2, depot: 3 },
    'SIGKILL 3 ptq-mv\n',
    ['inserted of depot is 3, ahead of the 2 tasks there were'],
  ],
] as const) {
  const counts = `${inserted.transit}, ${inserted.depot} and ${inserted.main}`
  test(`two moved tasks counted as ${counts}, ${more === '' ? 'without a kill' : 'with a killed move'}`, () =>
    assert.deepEqual(violationsOf(CARRIED + more, { inserted }), expected))
}

/** Poison, inserted by process 1, that ended workers 2 and 3 while they held `n-a.` too. */
const POISON = `${GOOD}intend 1 k-a.
inserted 1 k-a.
held 2 k-a.
SIGKILL 2 poison
held 3 k-a.
held 3 n-a.
SIGKILL 3 poison
`
const WITH_POISON = { inserted: intoMain(3) }

test('poison that ends as a dead letter breaks no promise', () =>
  assert.deepEqual(violationsOf(POISON, { ...WITH_POISON, dead: ['k-a.'] }), []))

for (const [what, ledger, expected, atEnd] of [
  ['poison that is not a dead letter in the end', POISON, /^1 task was lost: k-a\.$/, WITH_POISON],
  [
    'a healthy task that was a dead letter, and was retried',
    `${POISON}dead 4 n-a.\n`,
    /^1 healthy task was among the dead letters: n-a\.$/,
    { ...WITH_POISON, dead: ['k-a.'] },
  ],
  [
    'a healthy task that a retry found among the dead letters',
    `${GOOD}retrying 4 n-a.\nretried 4 n-a.\n`,
    /^1 healthy task was among the dead letters: n-a\.$/,
  ],
  [
    'a rate-limited task that was a dead letter',
    `${GOOD.replaceAll('n-a.', 'r-a.')}dead 4 r-a.\n`,
    /^1 healthy task was among the dead letters: r-a\.$/,
  ],
] as [string, string, RegExp, Partial<QueueAtEnd>?][]) {
  test(`the reconciliation reports ${what}`, () => {
    const [violation, ...others] = violationsOf(ledger, atEnd)
    assert.match(violation ?? '', expected)
    assert.deepEqual(others, [])
  })
}

/** Three tasks are in the queue when it is copied; the second one runs while that is done. */
const COPIED = [
  'intend 1 n-inserted1-1.,n-inserted1-2.,n-upload1-3.',
  'inserted 1 n-inserted1-1.,n-inserted1-2.,n-upload1-3.',
  'copyBegun 4 4-0',
  'run 2 n-inserted1-2.',
  'done 2 n-inserted1-2.',
  'copyMade 4 4-0',
  'copyHas 4 4-0,n-inserted1-1.',
  'copyHas 4 4-0,n-upload1-3.',
  'copyListed 4 4-0',
  'run 2 n-inserted1-1.,n-upload1-3.',
  'done 2 n-inserted1-1.,n-upload1-3.',
]

for (const [what, lines, expected] of [
  ['has all tasks that were there the whole time', COPIED, []],
  [
    'lacks a task that was there the whole time',
    COPIED.filter(line => !line.includes('4-0,n-upload')),
    ['1 task was there the whole time and is not in a live copy: n-upload1-3.'],
  ],
  [
    'has a task twice',
    COPIED.map(line => (line.startsWith('copyHas') ? `${line},n-inserted1-2.` : line)),
    ['1 task is in a live copy twice: n-inserted1-2.'],
  ],
  [
    'lacks a task that failed while it was made',
    COPIED.filter(line => !line.includes('4-0,n-upload')).map(line =>
      line === 'copyMade 4 4-0' ? `failed 2 n-upload1-3.\n${line}` : line,
    ),
    [],
  ],
  [
    'began after a task ran whose interrupted upload was acknowledged later',
    [
      'intend 1 n-inserted1-1.,n-inserted1-2.,n-upload1-3.',
      'run 2 n-upload1-3.',
      'done 2 n-upload1-3.',
      ...COPIED.slice(1).filter(
        line => !line.includes('4-0,n-upload') && !line.endsWith('n-inserted1-1.,n-upload1-3.'),
      ),
      'run 2 n-inserted1-1.',
      'done 2 n-inserted1-1.',
    ],
    [],
  ],
  ['was cut off', COPIED.filter(line => !/^copy(Has|Listed|Made)/.test(line)), []],
] as const) {
  test(`a live copy that ${what} has ${expected.length} faults`, () => {
    const findings = reconcile(linesOf(lines.join('\n')), { ...EMPTY, inserted: intoMain(3), completed: 3 })
    assert.deepEqual(findings.violations, expected)
  })
}

test('the count of an interrupted upload may be lower than its tasks, that of a complete one not', () => {
  const whole = 'intend 1 n-upload0-0.\ninserted 1 n-upload0-0.\nrun 2 n-upload0-0.\ndone 2 n-upload0-0.\n'
  const atEnd = { inserted: intoMain(0), completed: 1 }
  assert.deepEqual(violationsOf(whole, atEnd), ['inserted of main is 0, behind the 1 that were acknowledged'])
  assert.deepEqual(violationsOf(`intend 3 n-upload0-0.\n${whole}`, atEnd), [])
})

test('half a line in the ledger is an error', () =>
  assert.throws(() => [...linesOf('run 2\nrun 2 n-a.\n')], /got run 2/))

test('a ledger is read line by line while it grows', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ptq-ledger-'))
  const path = join(folder, 'ledger')
  const reader = new LedgerReader(path)
  assert.deepEqual([...reader.newLines()], [])
  note(path, 'run', ['n-a.'], 7)
  appendFileSync(path, 'done 7')
  const [run, ...more] = reader.newLines()
  assert.ok(run?.timeMs !== undefined)
  assert.deepEqual(run, { verb: 'run', processNumber: 7, what: ['n-a.'], timeMs: run.timeMs })
  assert.deepEqual(more, [])
  appendFileSync(path, ' n-a.\n')
  // More than one piece.
  appendFileSync(path, 'held 8 n-b.\n'.repeat(100_000))
  assert.equal([...reader.newLines()].length, 100_001)
  await rm(folder, { recursive: true })
})
