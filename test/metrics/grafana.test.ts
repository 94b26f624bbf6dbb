// The dashboard for Grafana asks for metrics and labels that are emitted, and shows all of them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { metricsText } from '#ptq/metrics/exposition.js'
import { processMetrics } from '#ptq/metrics/process-metrics.js'
import { queueMetrics } from '#ptq/metrics/queue-metrics.js'
import { WorkerMetrics } from '#ptq/metrics/worker-metrics.js'
import { noop } from '../poll/tasks.js'

const file = join(import.meta.dirname, '../../../examples/grafana/ptq.json')

interface Board {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}

test('the queries of the dashboard for Grafana name metrics and labels that exist, and every metric of queues is shown', async () => {
  await using queue = new TaskQueue('mem://grafana', { progress: false })
  const counts = new WorkerMetrics(queue, 1)
  await queue.insert([partial(noop, 1)])
  await queue.poll({ parallel: 0, untilEmpty: true })
  const overview = { ...(await queue.status()), failed: 0 }
  const numbers = [{ url: queue.url, overview, workers: [], atMs: Date.now() }]
  const text = metricsText([...counts.metrics(), ...queueMetrics(numbers, Date.now()), ...processMetrics()])
  const emitted = new Map<string, Set<string>>()
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    emitted.set(name, new Set([...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label)))
  }
  const { panels }: Board = JSON.parse(readFileSync(file, 'utf8'))
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  assert.ok(queries.length > 10)
  const asked = new Set<string>()
  for (const query of queries) {
    const names = [...query.matchAll(/\b(?:ptq|process)_\w+/g)].map(([name]) => name)
    assert.ok(names.length > 0, query)
    for (const name of names) {
      assert.ok(emitted.has(name), `${name} is not emitted: ${query}`)
      asked.add(name)
    }
    const labels = [
      ...query.matchAll(/(\w+)=~?"/g),
      ...[...query.matchAll(/by \(([\w, ]+)\)/g)].flatMap(([, list = '']) => [...list.matchAll(/(\w+)/g)]),
    ].map(([, label = '']) => label)
    for (const label of labels) {
      assert.ok(
        names.some(name => emitted.get(name)?.has(label)),
        `${label} is no label of ${names}: ${query}`,
      )
    }
  }
  const unasked = [...emitted.keys()].filter(
    name => name.startsWith('ptq_') && !/_(?:sum|count)$/.test(name) && !asked.has(name),
  )
  assert.deepEqual(unasked, [])
})
