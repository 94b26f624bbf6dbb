// Traces as docs/monitoring.md says, and of commands.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { inFolder, projectRoot, runProcess } from '../cli/run-cli.js'
import type { WrittenSpan } from './set-up.js'

const setUp = pathToFileURL(join(import.meta.dirname, 'set-up.js')).href
const tasks = join(import.meta.dirname, 'tasks.js')

it('a command gets the context of its task as TRACEPARENT', () =>
  inFolder(async folder => {
    const file = join(folder, 'spans.ndjson')
    const queue = join(folder, 'queue')
    const env = { NODE_OPTIONS: `--import=${setUp}`, PTQ_TEST_SPANS: file }
    const inserted = await runProcess([
      'run',
      '--queue',
      queue,
      '--',
      'sh',
      '-c',
      `printenv TRACEPARENT > ${folder}/seen`,
      ':::',
      'x',
    ])
    assert.equal(inserted.code, 0, inserted.stderr)
    const polled = await runProcess(['poll', queue, '--commands', '--until-empty'], { env })
    assert.equal(polled.code, 0, polled.stderr)
    const [attempt] = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line): WrittenSpan => JSON.parse(line))
      .filter(({ name }) => name === `process ${queue}`)
    assert.equal(readFileSync(join(folder, 'seen'), 'utf8').trim(), `00-${attempt?.trace}-${attempt?.id}-01`)
  }))

interface OtlpSpan {
  readonly name: string
  readonly spanId: string
  readonly parentSpanId?: string
}

/** What an exporter of OTLP sends. */
interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue?: string } }[] }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

it('the set-up of docs/monitoring.md sends the spans of a worker and of its threads to a collector', async () => {
  const docs = readFileSync(join(projectRoot, 'docs/monitoring.md'), 'utf8')
  const code =
    /^```js\n\/\/ tracing\.mjs\n(.*?)^```/ms.exec(docs)?.[1] ?? assert.fail('docs/monitoring.md has a set-up')
  // Inside the project, where the packages are.
  const folder = mkdtempSync(join(projectRoot, 'build/tracing-'))
  writeFileSync(join(folder, 'tracing.mjs'), code)
  const received: OtlpTraces[] = []
  const collector = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => {
      body += part
    })
    request.once('end', () => {
      if (request.url === '/v1/traces') received.push(JSON.parse(body))
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  after(() => collector.close())
  const env = {
    NODE_OPTIONS: `--import=${folder}/tracing.mjs`,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
  }
  const queue = join(folder, 'queue')
  const inserted = await runProcess(['insert', queue, '-'], { input: '[["tasks","traced"],["inner"],{},-1]\n', env })
  assert.equal(inserted.code, 0, inserted.stderr)
  const polled = await runProcess(['poll', queue, '--load', tasks, '--until-empty'], { env })
  assert.equal(polled.code, 0, polled.stderr)

  const all = received.flatMap(({ resourceSpans }) => resourceSpans)
  for (const { resource } of all) {
    const service = resource.attributes.find(({ key }) => key === 'service.name')
    assert.equal(service?.value.stringValue, 'segmentation')
  }
  const spans = all.flatMap(({ scopeSpans }) => scopeSpans.flatMap(scope => scope.spans))
  const named = (name: string) => spans.find(span => span.name === name)
  assert.ok(named(`send ${queue}`) !== undefined && named(`receive ${queue}`) !== undefined)
  assert.equal(named('inner')?.parentSpanId, named(`process ${queue}`)?.spanId)
  rmSync(folder, { recursive: true })
})
