// The README's example is a program that runs, as do the commands below it.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startServer } from './sqs/server.js'

const root = join(import.meta.dirname, '../..')
const built = join(root, 'build/examples/readme')
const ptq = join(root, 'dist/src/cli/bin.cjs')
const tasks = join(built, 'tasks.js')

/** A folder with two files for the example. */
function wordsFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-readme-'))
  writeFileSync(join(folder, 'poem.md'), 'Tell me, Muse\n')
  writeFileSync(join(folder, 'package.json'), '{}')
  return folder
}

test('the example runs on threads', () => {
  const folder = wordsFolder()
  const output = execFileSync(process.execPath, [join(built, 'main.js')], { cwd: folder, encoding: 'utf8' })
  assert.deepEqual(output.trim().split('\n').sort(), ['package.json 1', 'poem.md 3'])
  rmSync(folder, { recursive: true })
})

test('the example runs on a file queue with two workers', async () => {
  const folder = wordsFolder()
  const node = async (...args: string[]) => (await promisify(execFile)(process.execPath, args, { cwd: folder })).stdout
  assert.equal(await node(join(built, 'insert.js'), './queue'), `Inserted 2 into fq://${folder}/queue\n`)
  const worker = () => node(ptq, 'poll', './queue', '--load', tasks, '--tally', '--until-empty')
  const said = await Promise.all([worker(), worker()])
  const executed = said.map(text => Number(/Ended: (\d) executed, 0 failed/.exec(text)?.[1]))
  assert.equal((executed[0] ?? 0) + (executed[1] ?? 0), 2)
  assert.match(await node(ptq, 'status', './queue'), /^Completed: 2 \(100\.0% of inserted\)$/m)
  rmSync(folder, { recursive: true })
})

test('the example runs on SQS, changed only by the environment', async () => {
  const folder = wordsFolder()
  const server = await startServer('fauxqs')
  const access = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: 'us-east-1' }
  const env = { ...process.env, ...access, AWS_ENDPOINT_URL_SQS: server.endpoint }
  const node = async (...args: string[]) =>
    (await promisify(execFile)(process.execPath, args, { cwd: folder, env })).stdout
  assert.match(await node(ptq, 'status', 'sqs://words', '--create-if-missing'), /^Enqueued: 0\b/m)
  assert.equal(await node(join(built, 'insert.js'), 'sqs://words'), 'Inserted 2 into sqs://words\n')
  assert.match(await node(ptq, 'status', 'sqs://words'), /^Enqueued: 2\b/m)
  const worker = promisify(execFile)(process.execPath, [ptq, 'poll', 'sqs://words', '--load', tasks], {
    cwd: folder,
    env,
  })
  while (!/^Enqueued: 0\b/m.test(await node(ptq, 'status', 'sqs://words'))) assert.equal(worker.child.exitCode, null)
  worker.child.kill('SIGTERM')
  const { code, stdout } = await worker.then(
    () => assert.fail('a signal was sent'),
    (error: unknown) => error as { code: number; stdout: string },
  )
  assert.equal(code, 143)
  assert.match(stdout, /Ended: 2 executed, 0 failed/)
  await server.close()
  rmSync(folder, { recursive: true })
})

test('the blocks run as the README says: with tsx, on the command line, and in a Node that strips types', async t => {
  // Inside the project, so that `ptq` means the package itself.
  const folder = join(root, 'build/readme-blocks')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const [, code = ''] of readme.matchAll(/^```ts\n(.*?)^```/gms)) {
    const name = /^\/\/ ([\w-]+\.ts)\n/.exec(code)?.[1]
    assert.ok(name !== undefined, `a block of the README has no name: ${code}`)
    // As many tasks as a test needs.
    const smaller = code.replace('1_000_000', '50').replace('4096, 4096, 1000', '1024, 1024, 64')
    writeFileSync(join(folder, name), smaller)
  }
  const env = { ...process.env, NODE_OPTIONS: '--import tsx' }
  const run = async (args: string[], options: object = { env }) =>
    (await promisify(execFile)(process.execPath, args, { cwd: folder, ...options })).stdout
  const poll = (...args: string[]) => run([ptq, 'poll', './queue', '--tally', '--until-empty', ...args])
  const files = await run(['main.ts'])
  assert.equal(files.trim().split('\n').length, 6, files)
  assert.match(await run(['values.ts']), /^\[ \d+, \d+ \] \d+\n$/)
  assert.equal(await run(['insert.ts', './queue']), `Inserted 6 into fq://${folder}/queue\n`)
  assert.match(await poll('--load', './tasks.ts'), /Ended: 6 executed, 0 failed/)
  await run(['insert-slices.ts'])
  assert.match(await poll('--load', './slices.ts'), /Ended: 54 executed, 0 failed/)

  await t.test('the blocks run without tsx', async t => {
    if (Number.parseInt(process.versions.node, 10) < 24) return t.skip('this Node has no `await using`')
    for (const name of ['main.ts', 'insert.ts', 'insert-slices.ts']) {
      const code = readFileSync(join(folder, name), 'utf8')
      writeFileSync(join(folder, name), code.replace(/(?<=from '\.\/\w+)\.js/, '.ts'))
    }
    assert.equal((await run(['main.ts'], {})).trim().split('\n').length, 6)
    await run(['insert.ts', './queue'], {})
    const worked = await run([ptq, 'poll', './queue', '--until-empty', '--load', './tasks.ts'], {})
    assert.match(worked, /Ended: 6 executed, 0 failed/)
  })
  rmSync(folder, { recursive: true })
})
