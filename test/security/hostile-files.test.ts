/** Files that another user with write access may put into a queue's folder: each may fail only for itself. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
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
import { LookAtFields, lookAt } from './tasks.js'

let runs = 0
const countRun = queueable(function countRun() {
  runs++
})

const POLL = {
  parallel: 0,
  untilEmpty: true,
  minBackoffSeconds: 0.01,
  maxBackoffSeconds: 0.01,
  maxAttempts: 1,
} as const

function writeAndLengthen(path: string, bytes: number): void {
  writeFileSync(path, '')
  truncateSync(path, bytes)
}

function taskText(id: string): string {
  return `{"payload": [["badFiles","countRun"],[],{},-1], "queueName": "q", "id": "${id}"}`
}

const HOUR_AGO = Date.now() / 1000 - 3600

/** Gives a queue one good task beside what `addFiles` creates; asserts that only the good one runs. */
async function withGoodTask(
  t: TestContext,
  options: { addFiles: (path: string, name: string) => void; others: number; listed?: number },
): Promise<string[]> {
  const warnings: string[] = []
  t.mock.method(process, 'emitWarning', (warning: unknown) => warnings.push(String(warning)))
  await inFolder(async folder => {
    await using tq = new TaskQueue(`fq://${folder}/queue`, { progress: false })
    await tq.insert(partial(countRun))
    options.addFiles(join(folder, 'queue', 'queue'), `0--${randomUUID()}.json`)
    const before = runs
    assert.equal((await tq.list()).length, options.listed ?? 1)
    assert.equal(await tq.poll(POLL), 1)
    assert.equal(runs, before + 1)
    assert.equal((await tq.status()).quarantined, options.others)
  })
  return warnings
}

const badFiles: [string, (path: string, name: string) => void, RegExp][] = [
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
    'a file of three gigabytes, of which a worker died before,',
    (path, name) => {
      const leased = name.replace(/^0/, '1000')
      writeFileSync(join(path, leased), '')
      truncateSync(join(path, leased), 3 * 2 ** 30)
      utimesSync(join(path, leased), HOUR_AGO, HOUR_AGO)
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

for (const [what, addFiles, reason] of badFiles) {
  test(`${what} in place of a task is quarantined, and the next task runs`, async t => {
    const warnings = await withGoodTask(t, { addFiles, others: 1 })
    assert.match(warnings.join('\n'), reason)
    assert.doesNotMatch(warnings.join('\n'), /root:/, 'what a link leads to is not read')
  })
}

const records: [string, (record: string) => void, RegExp][] = [
  ['of three gigabytes', record => writeAndLengthen(record, 3 * 2 ** 30), /no record: EFBIG/],
  ['of 17 megabytes', record => writeAndLengthen(record, 17 * 2 ** 20), /no record: EFBIG/],
  ['that is a link', record => symlinkSync('/etc/passwd', record), /no record: ELOOP/],
]

for (const [what, addFiles, reason] of records) {
  test(`a task with a record of attempts ${what} is quarantined, and the next task runs`, async t => {
    const warnings = await withGoodTask(t, {
      others: 1,
      addFiles: (path, name) => {
        const [leased, id] = [name.replace(/^0/, '1000'), name.slice(3, -5)]
        writeFileSync(join(path, leased), taskText(id))
        utimesSync(join(path, leased), HOUR_AGO, HOUR_AGO)
        addFiles(join(path, '..', 'movement', id))
      },
      listed: 2,
    })
    assert.match(warnings.join('\n'), reason)
    assert.doesNotMatch(warnings.join('\n'), /root:/, 'what a link leads to is not read')
  })
}

test('records of gigabytes of a delayed task do not block readers of the queue, and the next task runs', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    await tq.insert(partial(countRun))
    const id = randomUUID()
    const future = Math.floor(Date.now() / 1000) + 3_600
    writeFileSync(join(path, 'queue', `${future}--${id}.json`), taskText(id))
    mkdirSync(join(path, 'failures'), { recursive: true })
    for (const record of ['movement', 'failures']) writeAndLengthen(join(path, record, id), 3 * 2 ** 30)
    assert.deepEqual([await tq.enqueued(), (await tq.status()).leased, (await tq.list()).length], [2, 1, 2])
    const before = runs
    assert.equal(await tq.poll({ ...POLL, untilEmpty: false, stopFn: ({ executed }) => executed === 1 }), 1)
    assert.equal(runs, before + 1)
    assert.equal(await tq.releaseAll(), 1)
    assert.deepEqual([await tq.enqueued(), (await tq.status()).leased], [1, 0])
  }))

test('a failure is recorded without reading a failure record of gigabytes', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const queue = await open({ protocol: 'fq', path })
    await insert(queue, 1)
    const lease = await leaseOne(queue)
    const failure = { attempt: 1, reason: 'r', host: 'h', pid: 1, failedAtMs: 0, durationSeconds: 0 }
    mkdirSync(join(path, 'failures'), { recursive: true })
    writeAndLengthen(join(path, 'failures', lease.id), 3 * 2 ** 30)
    assert.deepEqual(await queue.release([lease], { delaySeconds: 0, failure }), [])
    assert.deepEqual(await queue.failures?.({ id: lease.id }), [])
    assert.equal((await leaseOne(queue)).attempt, 2)
    await queue.close()
  }))

test('a payload with a million levels fails alone', t =>
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

test('arguments with a million levels on their way to a thread end neither the worker nor the next task', t =>
  inFolder(async folder => {
    t.mock.method(process, 'emitWarning', () => undefined)
    const log = join(folder, 'log')
    await using tq = new TaskQueue(`fq://${folder}/queue`, { progress: false })
    await tq.insert([partial(lookAt, log, 'deep', {}), new LookAtFields({ log, deep: 'deep' })])
    const whole = await tq.list()
    await tq.purge()
    await tq.insert(partial(lookAt, log, {}, {}))
    const queue = await open({ protocol: 'fq', path: join(folder, 'queue') })
    const deep = `${'['.repeat(1e6)}${']'.repeat(1e6)}`
    for (const { id, payloadText } of whole) {
      assert.match(payloadText, /"deep"[\],}]/)
      const body = `{"payload": ${payloadText.replace(/"deep"(?=[\],}])/, deep)}, "queueName": "q", "id": "${id}"}`
      assert.deepEqual(await queue.insert([{ id, body }], { delaySeconds: 0 }), [])
    }
    await queue.close()
    const executed = await tq.poll({ ...POLL, parallel: 1 })
    assert.equal(await tq.enqueued(), 0)
    assert.equal(executed + (await tq.failed()), 3)
    assert.ok(readFileSync(log, 'utf8').includes('[{"keys":[],"plain":true},{"keys":[],"plain":true}]'))
  }))

test('nothing is written through a link in place of a record of a task', () =>
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

test('an upload that is a link is removed, and its target is kept', () =>
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

test("a purge removes links in place of the queue's folders, and keeps everything in their targets", () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const outside = join(folder, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'mine.json'), 'untouched')
    utimesSync(join(outside, 'mine.json'), HOUR_AGO, HOUR_AGO)
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    await tq.insert(partial(countRun))
    const linked = [
      'movement',
      'failures',
      'quarantine',
      'staging',
      'workers',
      'uploads',
      'insertions.lock',
      'results',
      'logs',
    ]
    for (const name of linked) {
      rmSync(join(path, name), { recursive: true, force: true })
      symlinkSync(outside, join(path, name))
    }
    await tq.purge()
    assert.deepEqual(readdirSync(outside), ['mine.json'])
    const links = readdirSync(path, { withFileTypes: true }).filter(entry => entry.isSymbolicLink())
    assert.deepEqual(links, [])
    await tq.insert(partial(countRun), { delaySeconds: 100 })
    assert.equal((await tq.status()).delayed, 1)
  }))

test('invalid files among the status files of workers are skipped', () =>
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

test('invalid entries in the failure record are skipped, and control characters are not shown', () =>
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
