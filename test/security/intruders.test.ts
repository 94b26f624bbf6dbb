/** What somebody else who can write there may put into a queue's folder: it is an error for itself alone. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import { open } from '#ptq/backends/fq/index.js'
import { inFolder } from '../fq/folder.js'
import { insert, leaseOne } from '../fq/messages.js'

let runs = 0
const countRun = queueable(function countRun() {
  runs++
})

const POLL = {
  parallel: 0,
  untilEmpty: true,
  minBackoffWindow: 0.01,
  maxBackoffWindow: 0.01,
  maxAttempts: 1,
} as const

const HOUR_AGO = Date.now() / 1000 - 3600

/** Gives a queue one good task and whatever `intrude` puts beside it; expects that only the good one is run. */
async function besideAGoodTask(
  t: TestContext,
  options: { intrude: (path: string, name: string) => void; others: number },
): Promise<string[]> {
  const warnings: string[] = []
  t.mock.method(process, 'emitWarning', (warning: unknown) => warnings.push(String(warning)))
  await inFolder(async folder => {
    await using tq = new TaskQueue(`fq://${folder}/queue`, { progress: false })
    await tq.insert(partial(countRun))
    options.intrude(join(folder, 'queue', 'queue'), `0--${randomUUID()}.json`)
    const before = runs
    assert.deepEqual((await tq.list()).length, 1)
    assert.equal(await tq.poll(POLL), 1)
    assert.equal(runs, before + 1)
    assert.equal((await tq.status()).quarantined, options.others)
  })
  return warnings
}

const intruders: [string, (path: string, name: string) => void, RegExp][] = [
  ['a link to a file', (path, name) => symlinkSync('/etc/passwd', join(path, name)), /no file: ELOOP/],
  ['a link to an endless device', (path, name) => symlinkSync('/dev/zero', join(path, name)), /no file: ELOOP/],
  ['a link to nothing', (path, name) => symlinkSync('/no/where', join(path, name)), /no file: ELOOP/],
  [
    'a folder',
    (path, name) => {
      mkdirSync(join(path, name))
      utimesSync(join(path, name), HOUR_AGO, HOUR_AGO)
    },
    /no file: EISDIR/,
  ],
  [
    'a pipe without a writer',
    (path, name) => {
      execFileSync('mkfifo', [join(path, name)])
      utimesSync(join(path, name), HOUR_AGO, HOUR_AGO)
    },
    /is no task/,
  ],
  [
    'a file of three gigabytes',
    (path, name) => {
      writeFileSync(join(path, name), '')
      truncateSync(join(path, name), 3 * 2 ** 30)
      utimesSync(join(path, name), HOUR_AGO, HOUR_AGO)
    },
    /no file: EFBIG/,
  ],
  [
    'a number of twenty million digits',
    (path, name) => {
      writeFileSync(
        join(path, name),
        `{"payload": {"class": "X", "n": ${'7'.repeat(2e7)}}, "queueName": "q", "id": "x"}`,
      )
      utimesSync(join(path, name), HOUR_AGO, HOUR_AGO)
    },
    /at most 4300 digits/,
  ],
]

for (const [what, intrude, reason] of intruders) {
  test(`${what} in the place of a task is set aside, and the next task is run`, async t => {
    const warnings = await besideAGoodTask(t, { intrude, others: 1 })
    assert.match(warnings.join('\n'), reason)
    assert.doesNotMatch(warnings.join('\n'), /root:/, 'what a link leads to is not read')
  })
}

test('a payload of a million levels fails alone', t =>
  inFolder(async folder => {
    t.mock.method(process, 'emitWarning', () => undefined)
    await using tq = new TaskQueue(`fq://${folder}/queue`, { progress: false })
    await tq.insert(partial(countRun))
    const queue = await open({ protocol: 'fq', path: join(folder, 'queue') })
    const deep = `${'['.repeat(1e6)}12345678901234567890${']'.repeat(1e6)}`
    for (const payload of [`[["tasks","nothing"],[${deep}],{},-1]`, `{"class": "X", "a": ${deep}}`]) {
      const id = randomUUID()
      const body = `{"payload": ${payload}, "queueName": "q", "id": "${id}"}`
      assert.deepEqual(await queue.insert([{ id, body }], { delaySeconds: 0 }), [])
    }
    await queue.close()
    const before = runs
    assert.equal(await tq.poll(POLL), 1)
    assert.equal(runs, before + 1)
    assert.equal(await tq.failed(), 2)
  }))

test('nothing is written through a link that lies where a record of a task would be', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const outside = join(folder, 'outside')
    writeFileSync(outside, 'untouched\n')
    const queue = await open({ protocol: 'fq', path })
    await insert(queue, 1)
    const lease = await leaseOne(queue)
    const failure = { attempt: 1, reason: 'r', host: 'h', pid: 1, failedAtMs: 0, durationSeconds: 0 }
    mkdirSync(join(path, 'failures'), { recursive: true })
    for (const record of ['movement', 'failures']) symlinkSync(outside, join(path, record, lease.id))
    symlinkSync(outside, join(path, 'completions'))
    const [failed] = await queue.release([lease], { delaySeconds: 1, failure })
    assert.match(failed?.error.message ?? '', /ELOOP/)
    await queue.close()
    assert.equal(readFileSync(outside, 'utf8'), 'untouched\n')
  }))

test('an upload that is a link is removed, and not what it leads to', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const outside = join(folder, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'mine.json'), 'untouched')
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    await tq.insert(partial(countRun), { resume: 'first' })
    symlinkSync(outside, join(path, 'uploads', 'second'))
    symlinkSync(outside, join(path, 'uploads', 'first', 'inner'))
    await tq.purge()
    assert.deepEqual(readdirSync(outside), ['mine.json'])
  }))

test('what is no status among the files of workers is passed over', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    await tq.insert(partial(countRun))
    const now = Date.now()
    const running = { id: 'i', name: 'n', startedAtMs: now }
    const good = {
      host: 'h',
      pid: 1,
      threads: 1,
      startedAtMs: now,
      writtenAtMs: now,
      executed: 1,
      failed: 0,
      tasksPerSecond: 1,
      rssMb: 1,
      running: [running],
    }
    const workers = join(path, 'workers')
    mkdirSync(workers, { recursive: true })
    const bad = [
      { id: 'i', startedAtMs: now },
      { ...running, note: {} },
      { ...running, fraction: 'x' },
      { ...running, startedAtMs: 'x' },
    ]
    for (const [index, task] of bad.entries()) {
      writeFileSync(join(workers, `${index}.json`), JSON.stringify({ ...good, running: [task] }))
    }
    writeFileSync(join(workers, 'good.json'), JSON.stringify(good))
    writeFileSync(join(workers, 'long.json'), '')
    truncateSync(join(workers, 'long.json'), 3 * 2 ** 30)
    symlinkSync('/dev/zero', join(workers, 'link.json'))
    execFileSync('mkfifo', [join(workers, 'pipe.json')])
    assert.equal((await tq.workers()).length, 1)
  }))

test('what is no failure in the record of failures is passed over, and control characters are not shown', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const queue = await open({ protocol: 'fq', path })
    await insert(queue, 1)
    const lease = await leaseOne(queue)
    const failure = {
      attempt: 1,
      reason: '\u001b[2J\u202er',
      host: 'h\u0007',
      pid: 1,
      failedAtMs: 0,
      durationSeconds: 0,
    }
    assert.deepEqual(await queue.release([lease], { delaySeconds: 1, failure }), [])
    appendFileSync(join(path, 'failures', lease.id), 'null\n[1]\n{"attempt": 1}\n{"reason": 5}\n"x"\n')
    const failures = await queue.failures?.({ id: lease.id })
    assert.deepEqual(
      failures?.map(({ reason, host }) => [reason, host]),
      [[' [2J r', 'h ']],
    )
    await queue.close()
  }))
