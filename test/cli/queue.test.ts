import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { messageWriter } from '#ptq/backend/envelope.js'
import { opener } from '#ptq/backends/fq/index.js'
import { type CliResult, ended, inFolder, outputOf, payloadLines, runCli, startCli, until } from './run-cli.js'

const ID = '00000000-0000-4000-8000-00000000000'

function ok({ code, stdout, stderr }: CliResult): string {
  assert.deepEqual([code, stderr], [0, ''], stdout)
  return stdout
}

/** The next status of a live worker, even if the command starts slowly on a busy machine. */
const soonMs = () => Date.now() + 60_000

/** Fills a queue with dead letters, one for each reason, as workers create them. */
async function withDeadLetters(folder: string, reasons: readonly string[]): Promise<void> {
  const root = join(folder, 'queue')
  mkdirSync(join(root, 'queue'), { recursive: true })
  const dead = await opener.open({ protocol: 'fq', path: join(root, 'failed') }, {})
  const write = messageWriter(root)
  const messages = reasons.map((reason, n) => {
    const id = `${ID.slice(0, -1)}${String(n).padStart(2, '0')}`
    const failure = { attempt: 5, reason, host: 'node-1', pid: 7, failedAtMs: 1_700_000_000_000, durationSeconds: 1.25 }
    const stack = `${reason}\n    at mark (tasks.js:7:\u001b[2J${n})`
    return { id, body: write(`[["tasks", "mark"], [${n}], {}, -1]`, id, { failures: [{ ...failure, stack }] }) }
  })
  assert.deepEqual(await dead.insert(messages, { delaySeconds: 0 }), [])
  await dead.close()
}

test('insert, status and ls keep payloads of any language, from a file and from stdin', () =>
  inFolder(async folder => {
    const cwd = folder
    const run = async (...args: string[]) => ok(await runCli(args, { cwd }))
    const payloads = [
      '[["my.lib","segment"],[18446744073709551615,1.5],{"box":[[0,0],[64,64]],"nan":NaN},-1]',
      '{"txt":"é\\u001b[31m\\u202e \\u0085","class":"PrintTask"}',
    ]
    writeFileSync(join(folder, 'tasks.ndjson'), `\ufeff${payloads[0]}\r\n\n${payloads[1]}\n`)
    assert.equal(await run('insert', 'queue', 'tasks.ndjson', '--json'), '{"inserted":2}\n')
    const listed = (await run('ls', 'queue', '--json')).trim().split('\n')
    assert.equal(listed.length, 2)
    for (const line of listed) assert.doesNotMatch(line, /[\p{Cc}\p{Bidi_Control}]/u)
    const fromLs = await runCli(['insert', 'other', '-'], { cwd, input: `${listed.join('\n')}\n` })
    assert.equal(ok(fromLs), `Inserted 2 tasks into fq://${folder}/other\n`)
    await using other = new TaskQueue(`fq://${folder}/other`)
    const texts = (await other.list()).map(task => task.payloadText).sort()
    assert.deepEqual(texts, [payloads[0], '{"txt":"é\\u001b[31m\u202e \u0085","class":"PrintTask"}'].sort())

    const text = await run('ls', 'queue', '--state', 'ready')
    assert.match(text, /^[0-9a-f-]{36}\tready\tmy\.lib\.segment\t\[\["my\.lib"/m)
    assert.match(text, /\tPrintTask\t\{"txt":"é\\u001b\[31m\\u202e \\u0085"/)
    assert.equal((await run('ls', 'queue', '--limit', '1')).trim().split('\n').length, 1)
    assert.equal(await run('ls', 'queue', '--state', 'leased'), '')

    await run('insert', 'queue', 'tasks.ndjson', '--delay-sec', '3600')
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    await queue.delete(await queue.lease(), { tally: true })
    await queue.lease()
    const expected = [
      'Inserted: 4',
      'Enqueued: 3 (75.0% of inserted)',
      'Completed: 1 (25.0% of inserted)',
      'Leased: 1 (33.3% of enqueued)',
      'Delayed: 2 (66.7% of enqueued)',
      'Failed: 0 (0.0% of inserted)',
      'Quarantined: 0',
    ]
    assert.equal(await run('status', 'queue'), `${expected.join('\n')}\n`)
    const status: unknown = JSON.parse(await run('status', 'queue', '--json'))
    const numbers = {
      inserted: 4,
      enqueued: 3,
      completed: 1,
      leased: 1,
      delayed: 2,
      failed: 0,
      quarantined: 0,
      foreign: 0,
    }
    assert.deepEqual(status, { queue: `fq://${folder}/queue`, approximate: false, ...numbers })
    assert.equal(await run('release', 'queue'), `Released 1 task of fq://${folder}/queue\n`)
    assert.match(await run('rezero', 'queue'), /are 0$/m)
    const [inserted, enqueued, completed] = (await run('status', 'queue')).split('\n')
    assert.deepEqual([inserted, enqueued, completed], ['Inserted: 0', 'Enqueued: 3', 'Completed: 0'])
    assert.equal(await run('purge', 'queue', '--yes'), `Deleted 3 tasks of fq://${folder}/queue\n`)
    assert.match(await run('status', 'queue'), /^Leased: 0$/m)
  }))

test('insert checks a whole file first, reports its progress from stdin, and continues with --resume', () =>
  inFolder(async folder => {
    const cwd = folder
    const bad = `${payloadLines(2)}{"no":"class"}\n`
    writeFileSync(join(folder, 'bad.ndjson'), bad)
    const checked = await runCli(['insert', 'queue', 'bad.ndjson'], { cwd })
    assert.equal(checked.code, 2)
    assert.match(checked.stderr, /^ptq: Line 3 of bad.ndjson is no payload: expected \[\[module, name\], .*\n$/)
    const streamed = await runCli(['insert', 'queue', '-'], { cwd, input: bad })
    assert.equal(streamed.code, 1)
    assert.match(streamed.stderr, /^ptq: 2 tasks were inserted into .*: Line 3 of stdin is no payload.*\n$/)
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    assert.equal(await queue.enqueued(), 2)

    writeFileSync(join(folder, 'good.ndjson'), payloadLines(500))
    assert.match(
      ok(await runCli(['insert', 'queue', 'good.ndjson', '--resume', 'one'], { cwd })),
      /^Inserted 500 tasks/,
    )
    assert.match(ok(await runCli(['insert', 'queue', 'good.ndjson', '--resume', 'one'], { cwd })), /^Inserted 0 tasks/)
    assert.equal(await queue.inserted(), 502)
  }))

test('an interrupted insert reports and counts what is in the queue', () =>
  inFolder(async folder => {
    const child = startCli(['insert', 'queue', '-'], { cwd: folder })
    const end = ended(child)
    child.stdin.on('error', () => undefined).write(payloadLines(3))
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    await until(async () => (await queue.exists()) && (await queue.enqueued()) === 3)
    child.kill('SIGINT')
    const { code, stderr } = await end
    assert.equal(code, 130)
    assert.match(stderr, /^ptq: 3 tasks were inserted into .*: interrupted\n$/)
    assert.equal(await queue.inserted(), 3)
  }))

test('failures, show and retry print reasons without control characters, counted by reason; matching tasks are retried', () =>
  inFolder(async folder => {
    const cwd = folder
    await withDeadLetters(folder, ['Error: ENOSPC', 'Error: bad \u001b[2J\nsecond \u009b line', 'Error: ENOSPC'])
    const run = async (...args: string[]) => ok(await runCli(args, { cwd }))
    const lines = (await run('failures', 'queue')).trim().split('\n').sort()
    assert.equal(lines[1], `${ID}1\ttasks.mark\t1\tError: bad  [2J second   line`)
    assert.equal(await run('failures', 'queue', '--group'), '2\tError: ENOSPC\n1\tError: bad  [2J second   line\n')
    const [first] = (await run('failures', 'queue', '--group', '--json')).split('\n')
    assert.deepEqual(JSON.parse(first ?? ''), { count: 2, reason: 'Error: ENOSPC' })
    assert.match(await run('status', 'queue'), /^Failed: 3$/m)
    assert.match(await run('ls', 'queue', '--state', 'failed', '--limit', '1'), /^\S+\tfailed\ttasks.mark\t/)

    const shown = await run('show', 'queue', `${ID}1`)
    assert.match(shown, /^State: failed$/m)
    assert.match(
      shown,
      /^ {2}5\. 2023-11-14T22:13:20\.000Z on node-1 \(process 7\) after 1\.3 s: Error: bad {2}\[2J second {3}line$/m,
    )
    assert.match(shown, /^ {9}at mark \(tasks\.js:7: \[2J1\)$/m)
    const whole = await run('show', 'queue', `${ID}0`)
    assert.match(whole, /after 1\.3 s: Error: ENOSPC\n {9}at mark \(tasks\.js:7: \[2J0\)\n$/)
    assert.equal(await run('retry', 'queue', '--match', 'ENOSPC', '--json'), '{"retried":2}\n')
    assert.match(await run('status', 'queue'), /^Enqueued: 2 ?.*\n.*\n.*\n.*\nFailed: 1\b/m)
    const { failures, ...back } = JSON.parse(await run('show', 'queue', `${ID}0`, '--json'))
    assert.deepEqual(back, { id: `${ID}0`, state: 'ready', payload: [['tasks', 'mark'], [0], {}, -1] })
    assert.deepEqual([failures.length, failures[0].reason], [1, 'Error: ENOSPC'])
    const missing = await runCli(['show', 'queue', `${ID}9`], { cwd })
    assert.equal(missing.code, 1)
    assert.match(missing.stderr, /^ptq: There is no task \S+ in fq:\S+ or its dead letters\n$/)
    assert.equal(
      await run('retry', 'queue', '--dead-letter', 'queue/failed'),
      `Put 1 task back into fq://${folder}/queue\n`,
    )
  }))

test('status --watch repeats the numbers with rate, ETA and workers until Ctrl-C; with --json one line each time', () =>
  inFolder(async folder => {
    const cwd = folder
    ok(await runCli(['insert', 'queue', '-'], { cwd, input: payloadLines(10) }))
    const status = {
      host: 'node-1',
      pid: 7,
      threads: 2,
      startedAtMs: Date.now() - 61_000,
      writtenAtMs: soonMs(),
      executed: 5,
      failed: 1,
      tasksPerSecond: 12.5,
      rssMb: 99.5,
      running: [
        { id: `${ID}1`, name: 'tasks.mark', startedAtMs: Date.now(), fraction: 0.25, note: 'half \u001b[2J way' },
      ],
    }
    const backend = await opener.open({ protocol: 'fq', path: join(folder, 'queue') }, {})
    await backend.reportWorker?.('one', status)
    await backend.close()
    const child = startCli(['status', 'queue', '--watch', '--interval-sec', '0.1'], { cwd })
    const end = ended(child)
    await outputOf(child, 'ETA')
    child.kill('SIGINT')
    const { code, stdout, stderr } = await end
    assert.deepEqual([code, stderr], [130, ''])
    assert.match(stdout, /^Rate: unknown yet\n(?:.*\n)*Rate: 0\.0\/s, ETA unknown$/m)
    assert.match(
      stdout,
      /^Workers: 1\nnode-1 process 7, 2 threads, up 1m\d\ds: 5 executed, 1 failed attempt, 13\/s, 100 MB\n {2}tasks\.mark \S+ for \d+s 25% half \\u001b\[2J way$/m,
    )
    const json = startCli(['status', 'queue', '--watch', '--interval-sec', '0.1', '--json'], { cwd })
    const jsonEnd = ended(json)
    await outputOf(json, '}\n')
    json.stdout.destroy()
    const result = await jsonEnd
    assert.deepEqual([result.code, result.stderr], [0, ''])
    const line = JSON.parse(result.stdout.split('\n')[0] ?? '')
    assert.deepEqual([line.enqueued, line.tasksPerSecond, line.workers[0].pid], [10, null, 7])
  }))

test('purge without confirmation deletes nothing', () =>
  inFolder(async folder => {
    ok(await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(1) }))
    const { code, stderr } = await runCli(['purge', 'queue'], { cwd: folder, input: 'y\n' })
    assert.equal(code, 2)
    assert.match(stderr, /^ptq: Expected --yes, .*\n$/)
    assert.equal(readFileSync(join(folder, 'queue/insertions'), 'utf8'), '1')
  }))

test('failures --group: reasons that differ in numbers are one group, kinds of failures stay apart', () =>
  inFolder(async folder => {
    const tiles = Array.from({ length: 24 }, (_, n) => `HttpError: ${n % 2 === 0 ? 404 : 503} for tile ${n}, 0x${n}f`)
    await withDeadLetters(folder, [...tiles, 'Error: disk 7 is full', 'Error: disk 8 is full', 'Error: disk 8 is full'])
    const text = ok(await runCli(['failures', 'queue', '--group'], { cwd: folder }))
    assert.deepEqual(
      text.trim().split('\n').sort(),
      [
        '12\tHttpError: 404 for tile …, …',
        '12\tHttpError: 503 for tile …, …',
        '1\tError: disk 7 is full',
        '2\tError: disk 8 is full',
      ].sort(),
    )
    const json = ok(await runCli(['failures', 'queue', '--group', '--json'], { cwd: folder }))
    assert.deepEqual(JSON.parse(json.split('\n')[2] ?? ''), { count: 2, reason: 'Error: disk 8 is full' })
  }))

test('failures --group: reasons whose values all differ are one group for each kind of failure; --limit shows the first groups', () =>
  inFolder(async folder => {
    await withDeadLetters(folder, [
      ...Array.from({ length: 9 }, () => 'HttpError: HTTP 404'),
      ...Array.from({ length: 4 }, () => 'HttpError: HTTP 503'),
      ...Array.from({ length: 7 }, (_, n) => `Error: ENOENT: no such file or directory, open '/data/in/frame${n}.tif'`),
      'TypeError: exit code 1',
      'TypeError: exit code 2',
      "Error: ENOSPC: no space left on device, write 'a.png'",
      "Error: ENOSPC: no space left on device, write 'b.png'",
    ])
    const text = ok(await runCli(['failures', 'queue', '--group'], { cwd: folder }))
    const groups = text.trim().split('\n')
    // Groups of one size come in the order of the folder.
    assert.deepEqual(
      [...groups.slice(0, 4), ...groups.slice(4).sort()],
      [
        '9\tHttpError: HTTP 404',
        "7\tError: ENOENT: no such file or directory, open '/data/in/frame….tif'",
        '4\tHttpError: HTTP 503',
        "2\tError: ENOSPC: no space left on device, write '…'",
        '1\tTypeError: exit code 1',
        '1\tTypeError: exit code 2',
      ],
    )
    const group = ['--group', "Error: ENOENT: no such file or directory, open '/data/in/frame….tif'"]
    assert.match(ok(await runCli(['retry', 'queue', ...group], { cwd: folder })), /^Put 7 tasks back into fq:/)
    assert.match(ok(await runCli(['retry', 'queue', ...group], { cwd: folder })), /^Put 0 tasks back into fq:/)
    const first = ok(await runCli(['failures', 'queue', '--group', '--limit', '2'], { cwd: folder }))
    assert.equal(first.trim().split('\n').length, 2)
    assert.equal(
      ok(await runCli(['failures', 'queue', '--limit', '3'], { cwd: folder }))
        .trim()
        .split('\n').length,
      3,
    )
  }))

test('status of a queue whose workers do not tally shows how many tasks have left it', () =>
  inFolder(async folder => {
    ok(await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(4) }))
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    await queue.delete(await queue.lease({ numTasks: 3 }))
    const status = ok(await runCli(['status', 'queue'], { cwd: folder }))
    assert.match(
      status,
      /^Enqueued: 1 \(25\.0% of inserted\)\nCompleted: not tallied; 3 \(75\.0% of inserted\) have left the queue$/m,
    )
  }))

test('purge says that dead letters stay; --failed deletes only these, --all both', () =>
  inFolder(async folder => {
    const cwd = folder
    const run = async (...args: string[]) => ok(await runCli(args, { cwd, input: payloadLines(2) }))
    await withDeadLetters(folder, ['Error: a', 'Error: b'])
    await run('insert', 'queue', '-')
    assert.equal(
      await run('purge', 'queue', '--yes'),
      `Deleted 2 tasks of fq://${folder}/queue\n2 dead letters stayed: --failed deletes them, ptq retry puts them back\n`,
    )
    await run('insert', 'queue', '-')
    assert.equal(await run('purge', 'queue', '--failed', '--yes'), `Deleted 2 dead letters of fq://${folder}/queue\n`)
    assert.match(await run('status', 'queue'), /^Enqueued: 2 (?:.*\n)*Failed: 0 /m)
    await withDeadLetters(folder, ['Error: a'])
    assert.match(await run('purge', 'queue', '--all', '--yes'), /^Deleted \d+ tasks and 1 dead letter of /)
    assert.match(await run('status', 'queue'), /^Enqueued: 0\n(?:.*\n)*Failed: 0\n/m)
  }))

test('insert refuses a line that is not UTF-8, and accepts U+2028 and \\r\\n like JSON', () =>
  inFolder(async folder => {
    const cwd = folder
    const latin1 = Buffer.concat([
      Buffer.from(payloadLines(1)),
      Buffer.from('{"class":"A","name":"M\xfcller"}\n', 'latin1'),
    ])
    writeFileSync(join(folder, 'latin1.ndjson'), latin1)
    const refused = await runCli(['insert', 'queue', 'latin1.ndjson'], { cwd })
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /^ptq: Expected latin1\.ndjson to be UTF-8, line 2 is not: .*\n$/)
    const text = `{"class":"A","txt":"one\u2028line \ufffd"}\r\n{"class":"A","txt":"${'long '.repeat(50_000)}"}`
    writeFileSync(join(folder, 'odd.ndjson'), text)
    assert.match(ok(await runCli(['insert', 'queue', 'odd.ndjson'], { cwd })), /^Inserted 2 tasks /)
    const listed = ok(await runCli(['ls', 'queue', '--json'], { cwd }))
    assert.match(listed, /"txt":"one\\u2028line \ufffd"/)
  }))

test('ls and show print when a task is due, when its lease ends and which worker runs it; show accepts the beginning of an id', () =>
  inFolder(async folder => {
    const cwd = folder
    const run = async (...args: string[]) => ok(await runCli(args, { cwd, input: payloadLines(1) }))
    await run('insert', 'queue', '-')
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    const [task] = await queue.lease({ seconds: 3600 })
    assert.ok(task)
    const backend = await opener.open({ protocol: 'fq', path: join(folder, 'queue') }, {})
    const running = [{ id: task.id, name: 'tasks.mark', startedAtMs: Date.now(), fraction: undefined, note: undefined }]
    const numbers = { threads: 1, startedAtMs: Date.now(), executed: 0, failed: 0, tasksPerSecond: 0, rssMb: 1 }
    await backend.reportWorker?.('one', { host: 'node-1', pid: 7, writtenAtMs: Date.now(), running, ...numbers })
    await backend.close()
    await run('insert', 'queue', '-', '--delay-sec', '7200')
    assert.match(
      await run('ls', 'queue', '--state', 'leased'),
      /\tleased \(ends in (?:59m\d\ds|1h00m), node-1 process 7\)\t/,
    )
    assert.match(await run('ls', 'queue', '--state', 'delayed'), /\tdelayed \(due in (?:1h59m|2h00m)\)\t/)
    assert.match(await run('show', 'queue', task.id.slice(0, 8)), /^State: leased \(ends in .*, node-1 process 7\)$/m)
    const shown = JSON.parse(await run('show', 'queue', task.id.slice(0, 13), '--json'))
    assert.deepEqual(
      [shown.id, shown.holder, shown.availableInSeconds > 3000],
      [task.id, { host: 'node-1', pid: 7 }, true],
    )
    const ambiguous = await runCli(['show', 'queue', ''], { cwd })
    assert.notEqual(ambiguous.code, 0)
  }))

test('show lists the ids that match an ambiguous beginning', () =>
  inFolder(async folder => {
    await withDeadLetters(folder, ['Error: a', 'Error: b'])
    const several = await runCli(['show', 'queue', ID.slice(0, 20)], { cwd: folder })
    assert.equal(several.code, 1)
    assert.match(several.stderr, /^ptq: Several tasks of \S+failed have ids that begin with \S+: \S+, \S+, …\n$/)
    assert.match(ok(await runCli(['show', 'queue', `${ID}0`], { cwd: folder })), /^State: failed$/m)
  }))

test('status --watch shows a killed or silent worker as silent at once, and does not count it', () =>
  inFolder(async folder => {
    const cwd = folder
    ok(await runCli(['insert', 'queue', '-'], { cwd, input: payloadLines(1) }))
    const backend = await opener.open({ protocol: 'fq', path: join(folder, 'queue') }, {})
    const gone = spawnSync(process.execPath, ['-e', '0'])
    const base = {
      threads: 1,
      startedAtMs: Date.now(),
      executed: 0,
      failed: 0,
      tasksPerSecond: 0,
      rssMb: 1,
      running: [],
    }
    const now = { ...base, writtenAtMs: soonMs() }
    await backend.reportWorker?.('alive', { ...now, host: hostname(), pid: process.pid })
    await backend.reportWorker?.('killed', { ...now, host: hostname(), pid: gone.pid })
    await backend.reportWorker?.('silent', { ...base, writtenAtMs: Date.now() - 30_000, host: 'far', pid: 9 })
    await backend.close()
    const child = startCli(['status', 'queue', '--watch', '--interval-sec', '0.1'], { cwd })
    const end = ended(child)
    await outputOf(child, 'far process 9')
    child.kill('SIGINT')
    const { stdout } = await end
    assert.match(stdout, /^Workers: 1 \(and 2 silent\)$/m)
    assert.match(stdout, /process \d+: silent for \d+s, its process has ended; it ran 0 tasks$/m)
    assert.match(stdout, /^far process 9: silent for \d+s; it ran 0 tasks$/m)
  }))
