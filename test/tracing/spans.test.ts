// Spans of this process, as an SDK gets them.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, it } from 'node:test'
import { context, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
import { type ShownSpan, shown } from './shown-span.js'
import { broken, thirdTime, traced } from './tasks.js'

const exporter = new InMemorySpanExporter()
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
const tracer = trace.getTracer('test')

/** Fast retries. */
const quick = { parallel: 0, untilEmpty: true, minBackoffSeconds: 0.001, maxBackoffSeconds: 0.002 } as const

beforeEach(() => exporter.reset())

function spans(prefix = ''): ShownSpan[] {
  return exporter
    .getFinishedSpans()
    .map(shown)
    .filter(({ name }) => name.startsWith(prefix))
}

function one(prefix: string): ShownSpan {
  const [span, ...others] = spans(prefix)
  assert.ok(span !== undefined && others.length === 0, `one span ${prefix} among ${spans().map(({ name }) => name)}`)
  return span
}

async function withQueue(work: (queue: TaskQueue, name: string) => Promise<void>): Promise<void> {
  const name = randomUUID()
  await using queue = new TaskQueue(`mem://${name}`, { progress: false })
  await work(queue, name)
}

function linkTo({ trace, id }: ShownSpan): string[] {
  return [`${trace}/${id}`]
}

/** Runs `work` in a span, which ends after it. */
function inSpan<R>(name: string, work: () => Promise<R>): Promise<R> {
  return tracer.startActiveSpan(name, async span => {
    const result = await work()
    span.end()
    return result
  })
}

describe('traces of a queue', () => {
  it('an insert is one span, a child of the active one, with the number of its tasks', () =>
    withQueue(async (queue, name) => {
      await inSpan('request', () => queue.insert(['a', 'b', 'c'].map(each => partial(traced, each))))
      const request = one('request')
      const sent = one('send')
      assert.deepEqual(
        [sent.name, sent.kind, sent.trace, sent.parent],
        [`send ${name}`, 'producer', request.trace, request.id],
      )
      assert.deepEqual(sent.attributes, {
        'messaging.system': 'ptq_mem',
        'messaging.destination.name': name,
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.batch.message_count': 3,
      })
    }))

  it('an insert that fails has its error', () =>
    withQueue(async queue => {
      await assert.rejects(queue.insert([partial(traced, 'a'), 7 as never]))
      const { status, message, errors, attributes } = one('send')
      assert.deepEqual([status, errors, attributes['error.type']], ['error', ['InsertError'], 'InsertError'])
      assert.match(message ?? '', /^0 of 2 tasks were inserted into mem:/)
    }))

  it('each attempt is the root of a trace, with a link to the insert, and what the task starts is its child', () =>
    withQueue(async (queue, name) => {
      await queue.insert([partial(traced, 'inner')])
      const ids = (await queue.list()).map(({ id }) => id)
      assert.equal(await queue.poll(quick), 1)
      const sent = one('send')
      const attempt = one('process')
      const inner = one('inner')
      assert.deepEqual([attempt.name, attempt.kind, attempt.parent], [`process ${name}`, 'consumer', undefined])
      assert.notEqual(attempt.trace, sent.trace)
      assert.deepEqual(attempt.links, linkTo(sent))
      assert.deepEqual(attempt.attributes, {
        'messaging.system': 'ptq_mem',
        'messaging.destination.name': name,
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.message.id': ids[0],
        'ptq.task.name': 'tasks.traced',
        'ptq.task.attempt': 1,
      })
      assert.deepEqual([inner.trace, inner.parent], [attempt.trace, attempt.id])
      assert.equal(attempt.status, 'unset')
    }))

  it('requests that found tasks or settled some are spans with their number, those that found nothing are none', () =>
    withQueue(async (queue, name) => {
      await queue.insert(Array.from({ length: 5 }, () => partial(traced, 'a')))
      await queue.poll({ ...quick, parallel: 0 })
      const counted = (prefix: string) =>
        spans(prefix).map(({ attributes }) => attributes['messaging.batch.message_count'] as number)
      const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)
      assert.deepEqual(
        [...new Set(spans('receive').map(({ name, kind }) => `${kind} ${name}`))],
        [`client receive ${name}`],
      )
      assert.deepEqual(
        [...new Set(spans('settle').map(({ name, kind }) => `${kind} ${name}`))],
        [`client settle ${name}`],
      )
      assert.ok(![...counted('receive'), ...counted('settle')].includes(0))
      assert.deepEqual([sum(counted('receive')), sum(counted('settle'))], [5, 5])
    }))

  it('a failed attempt has its error and number; a retry and a dead letter that is put back keep the link', () =>
    withQueue(async queue => {
      await queue.insert([partial(thirdTime, 'a'), partial(broken, 'b')])
      const sent = one('send')
      await queue.poll({ ...quick, maxAttempts: 3 })
      const attemptsOf = (name: string) =>
        spans('process').filter(({ attributes }) => attributes['ptq.task.name'] === name)
      assert.deepEqual(
        attemptsOf('tasks.thirdTime').map(({ status, message, attributes, errors, links }) => [
          attributes['ptq.task.attempt'],
          status,
          message,
          attributes['error.type'],
          errors,
          links,
        ]),
        [
          [1, 'error', 'attempt 1', 'RangeError', ['RangeError'], linkTo(sent)],
          [2, 'error', 'attempt 2', 'RangeError', ['RangeError'], linkTo(sent)],
          [3, 'unset', undefined, undefined, [], linkTo(sent)],
        ],
      )
      assert.equal(await queue.retry(), 1)
      await queue.poll({ ...quick, maxAttempts: 1 })
      assert.deepEqual(
        attemptsOf('tasks.broken').map(({ attributes, links }) => [attributes['ptq.task.attempt'], links]),
        [1, 2, 3, 1].map(attempt => [attempt, linkTo(sent)]),
      )
    }))

  it('a task that is not registered here has a span for its failed attempt', () =>
    withQueue(async queue => {
      await queue.insert([{ class: 'Unknown' }])
      await queue.poll({ ...quick, maxAttempts: 1 })
      const { attributes, status, links } = one('process')
      assert.deepEqual(
        [attributes['ptq.task.name'], attributes['error.type'], status],
        ['Unknown', 'UnregisteredTaskError', 'error'],
      )
      assert.deepEqual(links, linkTo(one('send')))
    }))

  it('each task of a pack has a span with its own id, also after it has left its pack', () =>
    withQueue(async queue => {
      await queue.insert([partial(traced, 'a'), partial(thirdTime, 'b'), partial(traced, 'c')], { pack: 3 })
      const sent = one('send')
      assert.equal(sent.attributes['messaging.batch.message_count'], 3)
      await queue.poll({ ...quick, maxAttempts: 3 })
      const attempts = spans('process')
      assert.deepEqual(
        attempts.map(({ attributes }) => [attributes['ptq.task.name'], attributes['ptq.task.attempt']]),
        [
          ['tasks.traced', 1],
          ['tasks.thirdTime', 1],
          ['tasks.traced', 1],
          ['tasks.thirdTime', 2],
          ['tasks.thirdTime', 3],
        ],
      )
      assert.equal(new Set(attempts.map(({ attributes }) => attributes['messaging.message.id'])).size, 3)
      for (const { links } of attempts) assert.deepEqual(links, linkTo(sent))
    }))

  it('tasks that were inserted without traces have none to link to', () =>
    withQueue(async queue => {
      // As a program without an SDK does.
      const api = Symbol.for('opentelemetry.js.api.1')
      const holder = globalThis as { [api]?: unknown }
      const registered = holder[api]
      delete holder[api]
      await queue.insert([partial(traced, 'a')])
      holder[api] = registered
      await queue.poll(quick)
      assert.deepEqual([spans('send'), one('process').links], [[], []])
    }))

  it('a thread without an SDK is told the context of its task', () =>
    withQueue(async queue => {
      await queue.insert(['a', 'b', 'c'].map(name => partial(traced, name)))
      const values: unknown[] = []
      queue.events.on('succeeded', ({ value }) => values.push(value))
      await queue.poll({ ...quick, parallel: 1 })
      assert.deepEqual(
        values,
        spans('process').map(({ trace, id }) => `00-${trace}-${id}-01`),
      )
      assert.deepEqual(spans('a'), [])
    }))
})

describe('traces of local runs', () => {
  for (const parallel of [0, 1]) {
    it(`a task belongs to the span in which it was given; parallel ${parallel}`, async () => {
      await using lq = new LocalTaskQueue({ parallel, progress: false })
      const spanOf = () => {
        const { traceId, spanId } = trace.getSpan(context.active())?.spanContext() ?? {}
        return `00-${traceId}-${spanId}-01`
      }
      const [first, second] = await Promise.all(
        ['first', 'second'].map(name =>
          inSpan(name, async () => [await lq.run(partial(traced, `in ${name}`)), spanOf()]),
        ),
      )
      assert.equal(first?.[0], first?.[1])
      assert.equal(second?.[0], second?.[1])
      assert.notEqual(first?.[0], second?.[0])
      const [values, span] = await inSpan('third', async () => [await lq.map(traced, ['x', 'y']), spanOf()])
      assert.deepEqual(values, [span, span])
      assert.equal(await lq.run(partial(traced, 'alone')), undefined)
    })
  }
})
