import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { opener as fq } from '#ptq/backends/fq/index.js'
import { opener } from '#ptq/backends/sqs/index.js'
import { insert, messages } from '../fq/messages.js'
import { ACCESS } from '../sqs/queue.js'
import { SERVER_KINDS, type SqsServer, startServer } from '../sqs/server.js'
import { type CliResult, ended, inFolder, runCli, runSqs, startCli, until } from './run-cli.js'

async function openSqs(server: SqsServer, name: string): Promise<Backend> {
  const options = { ...ACCESS, endpoint: server.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
  return opener.open({ protocol: 'sqs', path: name }, options)
}

function idsIn(root: string): string[] {
  return names(root).map(name => name.slice(name.indexOf('--') + 2, -'.json'.length))
}

function names(root: string): string[] {
  return readdirSync(join(root, 'queue'))
}

/** Puts tasks into a file queue; resolves with their ids, sorted. */
async function fill(root: string, count: number): Promise<string[]> {
  const backend = await fq.open({ protocol: 'fq', path: root }, {})
  const sent = await insert(backend, count)
  await backend.addInserted?.(count)
  await backend.close()
  return sent.map(({ id }) => id).sort()
}

/** Fills by plain files, which is what an insert comes to, faster. */
function fillFast(root: string, count: number): string[] {
  mkdirSync(join(root, 'queue'), { recursive: true })
  const sent = messages(root, count)
  for (const { id, body } of sent) writeFileSync(join(root, 'queue', `0--${id}.json`), body)
  return sent.map(({ id }) => id).sort()
}

/** Moves the queue `here` to `there`; the process gets the signal halfway, on a machine of any speed. */
function moveUntil(folder: string, signal: NodeJS.Signals): Promise<CliResult> {
  const atRename = import.meta.resolve('./at-rename.js')
  const env = { NODE_OPTIONS: `--import=${atRename}`, PTQ_TEST_AT_RENAME: `1000 ${signal}` }
  return ended(startCli(['mv', 'here', 'there'], { cwd: folder, env }))
}

test('cp of an empty queue succeeds and creates no queue; mv succeeds too', () =>
  inFolder(async folder => {
    const cwd = folder
    await fill(join(folder, 'here'), 1)
    await using queue = new TaskQueue(`fq://${folder}/here`)
    assert.equal(await queue.delete(await queue.lease({})), 1)
    assert.deepEqual(await runCli(['cp', 'here', 'there'], { cwd }), {
      code: 0,
      stderr: '',
      stdout:
        `Copied 0 tasks from fq://${folder}/here to fq://${folder}/there\n` +
        'The source holds 0 tasks, the destination none: it does not exist yet\n',
    })
    const json = await runCli(['cp', 'here', 'there', '--json'], { cwd })
    assert.deepEqual([json.code, JSON.parse(json.stdout).destination], [0, null])
    assert.deepEqual(readdirSync(folder), ['here'])
    const moved = await runCli(['mv', 'here', 'there'], { cwd })
    assert.deepEqual([moved.code, moved.stderr], [0, ''])
    assert.match(moved.stdout, /^Moved 0 tasks from /)
  }))

test('cp and mv between file queues print a reconciled count; tasks that others hold stay and are reported', () =>
  inFolder(async folder => {
    const cwd = folder
    const [here, copy, there] = ['here', 'copy', 'there'].map(name => join(folder, name)) as [string, string, string]
    const sent = await fill(here, 12)
    await using queue = new TaskQueue(`fq://${here}`)
    const held = await queue.lease({ numTasks: 2 })

    const copied = await runCli(['cp', 'here', 'copy'], { cwd })
    assert.deepEqual(copied, {
      code: 0,
      stderr: '',
      stdout:
        `Copied 12 tasks from fq://${here} to fq://${copy}\n` +
        'The source holds 12 tasks (2 leased), the destination 12 tasks\n',
    })
    const again = await runCli(['cp', 'here', 'copy', '--json'], { cwd })
    const result = JSON.parse(again.stdout)
    assert.deepEqual([again.code, result.copied, result.interrupted, result.destination.enqueued], [0, 0, false, 12])
    assert.deepEqual(idsIn(copy).sort(), sent)

    const moved = await runCli(['mv', 'here', 'there'], { cwd })
    assert.equal(moved.code, 1)
    assert.equal(
      moved.stdout,
      `Moved 10 tasks from fq://${here} to fq://${there}\n` +
        'The source holds 2 tasks (2 leased), the destination 10 tasks\n',
    )
    assert.match(
      moved.stderr,
      /^ptq: 2 tasks \(2 leased\) stayed in fq:.*here: what is leased or delayed can be moved when it is ready again\n$/,
    )
    await queue.release(held)
    const rest = await runCli(['mv', 'here', 'there', '--json'], { cwd })
    const end = JSON.parse(rest.stdout)
    assert.deepEqual([rest.code, rest.stderr], [0, ''])
    assert.deepEqual([end.moved, end.uncertain, end.source.enqueued, end.destination.inserted], [2, 0, 0, 12])
    assert.deepEqual(idsIn(there).sort(), sent)
  }))

test('a folder with two paths is not moved into itself', () =>
  inFolder(async folder => {
    await fill(join(folder, 'here'), 3)
    symlinkSync(join(folder, 'here'), join(folder, 'alias'))
    const { code, stdout, stderr } = await runCli(['mv', 'here', 'alias'], { cwd: folder })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^ptq: Expected `destination` to be another queue than [^\n]*here[^\n]*\n$/)
    assert.equal(names(join(folder, 'here')).length, 3)
  }))

test('mv killed by SIGKILL leaves each task in one queue, and the same command moves the rest', () =>
  inFolder(async folder => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    const sent = fillFast(here, 5_000)
    mkdirSync(join(there, 'queue'), { recursive: true })
    const killed = await moveUntil(folder, 'SIGKILL')
    assert.deepEqual([killed.code, killed.stdout], [null, ''])
    const [left, arrived] = [idsIn(here), idsIn(there)]
    assert.ok(left.length > 0 && arrived.length > 0, `${left.length} left, ${arrived.length} arrived`)
    assert.deepEqual([...left, ...arrived].sort(), sent)

    const { code, stdout, stderr } = await runCli(['mv', 'here', 'there'], { cwd: folder })
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, new RegExp(`^Moved ${left.length} tasks .*\n.* holds 0 tasks, the destination 5000 tasks\n$`))
    assert.deepEqual(idsIn(there).sort(), sent)
  }))

test('mv interrupted by Ctrl-C reports its progress', () =>
  inFolder(async folder => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    const sent = fillFast(here, 5_000)
    mkdirSync(join(there, 'queue'), { recursive: true })
    const { code, stdout, stderr } = await moveUntil(folder, 'SIGINT')
    assert.deepEqual([code, stderr], [130, 'ptq: Interrupted: the same command moves the rest\n'])
    const [, moved] = /^Moved (\d+) tasks/.exec(stdout) ?? []
    assert.equal(Number(moved), names(there).length)
    assert.deepEqual([...idsIn(here), ...idsIn(there)].sort(), sent)
    await using queue = new TaskQueue(`fq://${there}`)
    assert.equal(await queue.inserted(), Number(moved))
  }))

for (const kind of SERVER_KINDS) {
  test(`mv between a file queue and SQS (${kind}) loses nothing when it is killed`, async t => {
    const server = await startServer(kind)
    t.after(() => server.close())
    await inFolder(folder => moveBothWays(server, folder))
  })
}

async function moveBothWays(server: SqsServer, folder: string): Promise<void> {
  const [here, there] = [join(folder, 'here'), join(folder, 'there')]
  const sqs = await openSqs(server, 'tasks')
  const sent = fillFast(here, 600)
  // Under way at once: 2 batches of 10.
  const options = ['--endpoint', server.endpoint, '--concurrency', '2']
  const child = startCli(['mv', 'here', 'sqs://tasks', ...options], { cwd: folder })
  const end = ended(child)
  await until(() => names(here).length < 600)
  child.kill('SIGKILL')
  await end
  const left = names(here).length
  assert.ok(left > 0)

  const held = await runSqs(['mv', 'here', 'sqs://tasks', ...options], folder)
  const leased = names(here).length
  assert.ok(leased <= 20, `${leased} leased`)
  if (leased > 0) {
    assert.equal(held.code, 1)
    assert.match(held.stderr, new RegExp(`^ptq: ${leased} tasks? \\(${leased} leased\\) stayed in fq:`))
    assert.equal((await runCli(['release', 'here'], { cwd: folder })).code, 0)
    const { code, stderr } = await runSqs(['mv', 'here', 'sqs://tasks', ...options], folder)
    assert.deepEqual([code, stderr], [0, ''])
  }
  assert.deepEqual(names(here), [])

  const { enqueued } = await sqs.counts()
  assert.ok(enqueued >= 600 && enqueued <= 620, `${enqueued - 600} doubled`)
  const back = await runSqs(['mv', 'sqs://tasks', 'there', ...options], folder)
  assert.deepEqual([back.code, back.stderr], [0, ''])
  assert.equal(
    back.stdout,
    `Moved ${enqueued} tasks from sqs://tasks to fq://${there}\n` +
      'The source holds about 0 tasks, the destination 600 tasks\n',
  )
  assert.deepEqual(idsIn(there).sort(), sent, 'a file queue knows by the id what comes twice')
  await sqs.close()
}
