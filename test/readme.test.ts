// The README's example is a program: the text there is the files', and they run, as do the commands below them.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startServer } from './sqs/server.js'

const root = join(import.meta.dirname, '../..')
const built = join(root, 'build/examples/readme')
const ptq = join(root, 'dist/src/cli/bin.cjs')
const tasks = join(built, 'tasks.js')

test('the code blocks of the README are the files of examples/readme', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(match => match[1] ?? '')
  for (const [index, name] of ['tasks.ts', 'main.ts', 'insert.ts'].entries()) {
    assert.equal(blocks[index], `// ${name}\n${readFileSync(join(root, 'examples/readme', name), 'utf8')}`)
  }
  const lines = blocks.slice(0, 2).join('').split('\n').filter(Boolean)
  assert.ok(lines.length < 20, `${lines.length} lines are no short example`)
})

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
  assert.equal(await node(join(built, 'insert.js'), './queue'), `2 tasks are in fq://${folder}/queue\n`)
  const worker = () => node(ptq, 'poll', './queue', '--load', tasks, '--tally', '--until-empty')
  const said = await Promise.all([worker(), worker()])
  const executed = said.map(text => Number(/Ended: (\d) executed, 0 failed/.exec(text)?.[1]))
  assert.equal((executed[0] ?? 0) + (executed[1] ?? 0), 2)
  assert.match(await node(ptq, 'status', './queue'), /^Completed: 2 \(100\.0% of inserted\)$/m)
  rmSync(folder, { recursive: true })
})

test('the example runs on SQS, by the environment alone', async () => {
  const folder = wordsFolder()
  const server = await startServer('fauxqs')
  const access = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local', AWS_REGION: 'us-east-1' }
  const env = { ...process.env, ...access, AWS_ENDPOINT_URL_SQS: server.endpoint }
  const node = async (...args: string[]) =>
    (await promisify(execFile)(process.execPath, args, { cwd: folder, env })).stdout
  assert.match(await node(ptq, 'status', 'sqs://words', '--create-if-missing'), /^Enqueued: 0\b/m)
  assert.equal(await node(join(built, 'insert.js'), 'sqs://words'), '2 tasks are in sqs://words\n')
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
