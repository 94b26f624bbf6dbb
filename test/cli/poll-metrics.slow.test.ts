import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { ended, inFolder, payloadLines, runCli, startCli, until } from './run-cli.js'

const tasks = join(import.meta.dirname, 'marking-tasks.js')

interface Answer {
  readonly status: number | undefined
  readonly text: string
}

function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, { headers }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode, text }))
    }).on('error', reject)
  })
}

function poll(folder: string, ...args: string[]) {
  return startCli(['poll', 'queue', '--load', tasks, ...args], { cwd: folder, env: { PTQ_TEST_FOLDER: folder } })
}

function began(folder: string): string[] {
  const path = join(folder, 'log')
  return existsSync(path) ? (readFileSync(path, 'utf8').match(/began \d+/g) ?? []) : []
}

test('a worker answers /metrics on its port, to this machine only', () =>
  inFolder(async folder => {
    await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(1, 'linger') })
    const worker = poll(folder, '--metrics-port', '0', '--parallel', '3', '--until-empty')
    const end = ended(worker)
    let printed = ''
    worker.stdout.on('data', text => {
      printed += text
    })
    await until(() => began(folder).length === 1)
    const url = /metrics at (http:\/\/127\.0\.0\.1:\d+\/metrics)/.exec(printed)?.[1] ?? ''
    const { status, text } = await ask(url)
    assert.equal(status, 200)
    assert.match(text, /^ptq_worker_threads\{queue="fq:\/\/\/\S+queue"\} 3$/m)
    assert.match(text, /^ptq_worker_tasks_running\{\S+\} 1$/m)
    assert.equal((await ask(url.replace('/metrics', '/'))).status, 404)
    // A web page whose name was pointed at this machine.
    const { port } = new URL(url)
    assert.equal((await ask(url, { Host: `evil.example:${port}` })).status, 403)
    assert.equal((await ask(url, { Host: `localhost:${port}` })).status, 200)

    const second = await ended(poll(folder, '--metrics-port', port, '--until-empty'))
    assert.deepEqual([second.code, second.stdout], [2, ''])
    assert.match(
      second.stderr,
      /^ptq: Expected --metrics-port and --metrics-host to be free, got 127\.0\.0\.1 port \d+/,
    )

    writeFileSync(join(folder, 'go'), '')
    const { code, stderr } = await end
    assert.deepEqual([code, stderr], [0, ''])
    await assert.rejects(ask(url))
  }))

test('each of several worker processes has its own port', () =>
  inFolder(async folder => {
    await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloadLines(2, 'linger') })
    const port = await freePorts()
    const workers = poll(folder, '--metrics-port', String(port), '--processes', '2', '--until-empty')
    const end = ended(workers)
    await until(() => began(folder).length === 2)
    const answers = await Promise.all([0, 1].map(number => ask(`http://127.0.0.1:${port + number}/metrics`)))
    for (const { text } of answers) assert.match(text, /^ptq_worker_tasks_running\{\S+\} 1$/m)
    writeFileSync(join(folder, 'go'), '')
    assert.equal((await end).code, 0)
  }))

/** The first of two neighbouring ports that are free now. */
async function freePorts(): Promise<number> {
  for (;;) {
    const port = await free(0)
    if ((await free(port + 1).catch(() => 0)) !== 0) return port
  }
}

function free(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
