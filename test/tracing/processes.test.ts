// Traces across processes and threads, each of which has an SDK of its own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { partial, TaskQueue } from 'ptq'
import { inFolder, runProcess } from '../cli/run-cli.js'
import type { WrittenSpan } from './set-up.js'
import { shown } from './shown-span.js'
import { traced } from './tasks.js'

const setUp = pathToFileURL(join(import.meta.dirname, 'set-up.js')).href
const tasks = join(import.meta.dirname, 'tasks.js')

it('a task in a pool thread, inserted by another process: its own spans are children of its attempt', () =>
  inFolder(async folder => {
    const file = join(folder, 'spans.ndjson')
    const queue = join(folder, 'queue')
    const names = ['one', 'two', 'three', 'four']
    const exporter = new InMemorySpanExporter()
    new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
    {
      await using tq = new TaskQueue(`fq://${queue}`, { progress: false })
      await tq.insert(names.map(name => partial(traced, name)))
    }
    const [sent, ...others] = exporter.getFinishedSpans().map(shown)
    assert.ok(sent !== undefined && others.length === 0)
    assert.equal(sent.name, `send ${queue}`)
    const env = { NODE_OPTIONS: `--import=${setUp}`, PTQ_TEST_SPANS: file }
    const polled = await runProcess(['poll', queue, '--load', tasks, '--parallel', '2', '--until-empty'], { env })
    assert.equal(polled.code, 0, polled.stderr)

    const spans = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line): WrittenSpan => JSON.parse(line))
    const named = (name: string) => spans.filter(span => span.name === name)
    const attempts = named(`process ${queue}`)
    assert.equal(attempts.length, names.length)
    for (const { links, thread, attributes } of attempts) {
      assert.deepEqual(links, [`${sent.trace}/${sent.id}`])
      assert.deepEqual([thread, attributes['messaging.destination.name']], [0, queue])
    }
    for (const name of names) {
      const [own] = named(name)
      const attempt = attempts.find(({ id }) => id === own?.parent)
      assert.ok(own !== undefined && attempt !== undefined, `${name} is a child of an attempt`)
      assert.deepEqual([own.trace, own.pid, own.thread > 0], [attempt.trace, attempt.pid, true])
    }
    assert.ok(named(`receive ${queue}`).length > 0 && named(`settle ${queue}`).length > 0)
  }))

it('without an SDK nothing of OpenTelemetry is loaded, in no thread, and messages are as Python writes them', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(import.meta.dirname, 'untraced.js')], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), { main: [], tasks: [[], [], []], traced: 0 })
})
