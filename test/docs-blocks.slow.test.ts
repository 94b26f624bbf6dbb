// The programs in docs/ run unchanged but for /data, which is a folder of the test, ports and servers.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { noServer as noPostgres, startServer as startPostgres } from '../bench/postgres/server.js'
import { Output, root, startProgram, writeBlocks } from './docs-page.js'
import { runSql } from './postgres/queue.js'
import { noServer as noRedis, startServer as startRedis } from './redis/server.js'
import { ACCESS } from './sqs/queue.js'
import { closeServer, listen, startServer as startSqs } from './sqs/server.js'

const ptq = join(root, 'dist/src/cli/bin.cjs')
const access = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' }

const programs: readonly (readonly [page: string, program: string, output: RegExp])[] = [
  ['tasks', 'main.ts', /^task \S+-0, attempt 1: gs:\/\/bucket\/layer \[ 0, 0, 0, 64, 64, 64 \] \{ mip: 2 \}$/m],
  ['tasks', 'local.ts', /attempt 1: a \[ 0 \].*attempt 1: b \[ 1 \]/s],
  ['tasks', 'elsewhere.ts', /^$/],
  ['file-queue', 'file-queue.ts', /^$/],
  ['commands', 'commands.ts', /^$/],
  ['packs', 'packs.ts', /^1000003\n$/],
  ['python', 'to-python.ts', /^$/],
  ['results', 'sweep.ts', /^rate,seed,loss\n(?:0\.\d+,[123],0\.\d+\n){9}$/],
  ['workers', 'failures.ts', /^Tried again: 0\n$/],
]

for (const [page, program, output] of programs) {
  test(`${program} of docs/${page}.md runs unchanged`, async () => {
    const folder = writeBlocks(page, program)
    const printed = await run(folder, [program])
    assert.match(printed, output)
    await rm(folder, { recursive: true })
  })
}

test('values.ts and print-task.ts of docs/tasks.md can be called', async () => {
  const folder = writeBlocks('tasks', 'calls')
  const calls = [
    "import { LocalTaskQueue } from 'ptq'",
    "import { PrintTask } from './print-task.js'",
    "import { renderAll } from './values.js'",
    'console.log((await renderAll([2, 3])).map(image => image.length))',
    "await new LocalTaskQueue({ parallel: 1 }).insertAll([[new PrintTask({ txt: 'hello' }), [' world']]])",
  ]
  writeFileSync(join(folder, 'calls.ts'), calls.join('\n'))
  assert.match(await run(folder, ['calls.ts']), /^\[ 2, 3 \]\nhello world\n$/)
  await rm(folder, { recursive: true })
})

test('the worker of docs/moving-from-python.md runs its tasks until it is interrupted', async () => {
  const folder = writeBlocks('moving-from-python', 'main', { '1000': '10' })
  const output = new Output(startProgram(folder, ['main.ts']))
  await output.until(/^(?:\d \d\n){20}$/)
  assert.equal(await output.interrupt(), 130)
  await rm(folder, { recursive: true })
})

test('the programs and commands of docs/results.md collect values from a worker', async () => {
  const folder = writeBlocks('results', 'collect')
  const cli = (...args: string[]) => run(folder, [ptq, ...args])
  const worker = new Output(
    startProgram(folder, [ptq, 'poll', './data/sizes', '--load', './sizes.ts', '--max-backoff-sec', '1']),
  )
  assert.match(await run(folder, ['collect.ts']), /^(?:[0-3] \d+\n){4}$/)
  await worker.interrupt()
  assert.equal((await cli('results', './data/sizes', 'monday')).trim().split('\n').length, 4)
  assert.equal(await cli('results', './data/sizes'), 'monday\n')
  await cli('results', './data/sizes', 'monday', '--drop')
  assert.equal(await cli('results', './data/sizes'), '')
  await rm(folder, { recursive: true })
})

test('watch.ts of docs/workers.md ends when its time is over', async () => {
  const folder = writeBlocks('workers', 'watch', { '3_600_000': '100' })
  assert.match(await run(folder, ['watch.ts']), /^Executed: 0\n/)
  await rm(folder, { recursive: true })
})

test('the servers of docs/monitoring.md answer', async () => {
  const port = String(await freePort())
  const folder = writeBlocks('monitoring', 'servers', {
    '8080': String(await freePort()),
    ".listen(9400, '127.0.0.1')": `.listen(${port}, '127.0.0.1', () => console.log('ready'))`,
  })
  const page = new Output(startProgram(folder, ['server.ts']))
  await page.until(/http\S+\n/)
  const link = /http\S+/.exec(page.text)?.[0] ?? ''
  assert.equal((await fetch(link, { redirect: 'manual' })).status < 400, true, link)
  await page.interrupt()
  const worker = new Output(startProgram(folder, ['metrics.ts']))
  await worker.until(/^ready\n/m)
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  assert.match(text, /^ptq_worker_threads\{.*\} 4$/m)
  await worker.interrupt()
  await rm(folder, { recursive: true })
})

test('the worker of docs/sqs.md runs its task, on a queue that exists and in a container', async () => {
  const server = await startSqs('fauxqs')
  const client = new SQSClient({ ...ACCESS, region: 'us-west-2', endpoint: server.endpoint })
  await client.send(new CreateQueueCommand({ QueueName: 'jobs' }))
  client.destroy()
  const folder = writeBlocks('sqs', 'jobs')
  const jobs = new Output(startProgram(folder, ['jobs.ts'], { ...access, AWS_ENDPOINT_URL_SQS: server.endpoint }))
  await jobs.until(/^hello world\n/m)
  assert.equal(await jobs.interrupt(), 130, jobs.text)
  const container = { ...access, SQS_QUEUE: 'local', SQS_REGION: 'us-east-1', SQS_ENDPOINT_URL: server.endpoint }
  const worker = new Output(startProgram(folder, ['worker.ts'], container))
  const insert = ['insert', 'sqs://local', '-', '--create-if-missing', '--region', 'us-east-1']
  const inserting = startProgram(folder, [ptq, ...insert, '--endpoint', server.endpoint], access)
  inserting.stdin.end('[["tasks","hello"],["container"],{},-1]\n')
  assert.equal(await new Output(inserting).end(), 0)
  await worker.until(/^hello container\n/m)
  assert.equal(await worker.interrupt(), 130, worker.text)
  await server.close()
  await rm(folder, { recursive: true })
})

test('the programs of docs/redis.md run', { skip: noRedis }, async () => {
  const server = await startRedis()
  const folder = writeBlocks('redis', 'jobs', { 'localhost:6379': `localhost:${server.port}` })
  const jobs = new Output(startProgram(folder, ['jobs.ts']))
  await jobs.until(/^hello world\n/m)
  assert.equal(await jobs.interrupt(), 130, jobs.text)
  await server.stop()
  await rm(folder, { recursive: true })
})

test('the programs of docs/postgres.md run', { skip: await noPostgres() }, async () => {
  const server = await startPostgres()
  const url = server.url('jobs')
  const database = url.replace(/\?.*$/, '')
  const folder = writeBlocks('postgres', 'jobs', { 'postgres://ada@db.example.com:5432/app': database })
  const jobs = new Output(startProgram(folder, ['jobs.ts']))
  await jobs.until(/^hello world\n/m)
  assert.equal(await jobs.interrupt(), 130, jobs.text)
  await runSql(url, 'CREATE TABLE orders (id int)')
  assert.equal(await run(folder, ['with-rows.ts']), '')
  assert.equal(await run(folder, [ptq, 'ls', url]).then(text => text.includes('tasks.ship')), true)
  await server.close()
  await rm(folder, { recursive: true })
})

test('each ptq run of README and docs/commands.md makes the commands that the page says', async () => {
  const folder = writeBlocks('commands', 'run')
  for (const name of ['logs', 'bin']) mkdirSync(join(folder, name))
  for (const name of ['a b.jpg', 'c.jpg', 'd.wav', 'e.tif', 'logs/f.txt']) writeFileSync(join(folder, name), '')
  for (const name of ['bin/convert', 'bin/ffmpeg', 'train', 'segment.sh'])
    writeFileSync(join(folder, name), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(folder, 'commands.txt'), 'echo one\necho two\n')
  const pages = ['README.md', 'docs/commands.md'].map(page => readFileSync(join(root, page), 'utf8')).join('\n')
  const lines = pages.split('\n').filter(line => /^[^#`]*\bptq run /.test(line) && !line.startsWith('|'))
  const commands = lines.filter(line => /(?:^|\| )(?:npx )?ptq run /.test(line)).map(line => line.replace(/^npx /, ''))
  assert.equal(commands.length, 8)
  const script = [
    'set -e; PATH=$PWD/bin:$PATH',
    `ptq() { shift; ${process.execPath} ${ptq} run --dry-run "$@"; }`,
    ...commands.map(line => line.replaceAll('/data', '.')),
  ]
  const { stdout } = await promisify(execFile)('sh', ['-c', script.join('\n')], { cwd: folder })
  const made = stdout.split('\n')
  assert.deepEqual(
    [
      "convert 'a b.jpg' -resize '50%' 'a b.small.jpg'",
      'ffmpeg -i ./d.wav ./d.flac',
      './train --rate 0.01 --seed 3',
    ].filter(command => !made.includes(command)),
    [],
    stdout,
  )
  assert.ok(made.includes('gzip -c logs/f.txt > f.txt.gz') && made.includes('echo two'), stdout)
  await rm(folder, { recursive: true })
})

/** Runs a program to its end, which has to be a success; resolves with all that it printed. */
async function run(folder: string, args: readonly string[]): Promise<string> {
  const output = new Output(startProgram(folder, args))
  assert.equal(await output.end(), 0, output.text)
  return output.text
}

async function freePort(): Promise<number> {
  const server = createServer()
  const { port } = await listen(server)
  await closeServer(server)
  return port
}
