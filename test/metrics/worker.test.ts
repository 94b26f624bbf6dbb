import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'
import { partial } from 'ptq'
import { workerMetrics } from 'ptq/metrics'
import { sh } from '../commands/commands.js'
import { onEach, task } from '../poll/queues.js'
import { noop } from '../poll/tasks.js'
import { assertMetrics, noPromtool } from './promtool.js'

/** The value of a sample, or `undefined`. */
function sampleOf(text: string, sample: string): number | undefined {
  const line = text.split('\n').find(each => each.startsWith(`${sample} `))
  return line === undefined ? undefined : Number(line.slice(sample.length + 1))
}

describe('metrics of a worker', () => {
  onEach('attempts are counted by task and outcome, with their durations', async queue => {
    const tq = queue.open()
    await tq.insert(Array.from({ length: 20 }, (_, n) => partial(noop, n)))
    await tq.insert([task('throwing', 'x')])
    const metrics = workerMetrics(tq, { threads: 2 })
    await tq.poll({ parallel: 2, untilEmpty: true, maxAttempts: 2, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 })
    const text = metrics.text()
    const label = `queue="${queue.url}"`
    const ended = (name: string, outcome: string) =>
      sampleOf(text, `ptq_tasks_total{${label},task="tasks.${name}",outcome="${outcome}"}`)
    assert.deepEqual([ended('noop', 'succeeded'), ended('noop', 'failed')], [20, 0])
    assert.deepEqual([ended('throwing', 'succeeded'), ended('throwing', 'failed')], [0, 2])
    const durations = `{${label},task="tasks.noop"`
    assert.equal(sampleOf(text, `ptq_task_duration_seconds_bucket${durations},le="+Inf"}`), 20)
    assert.equal(sampleOf(text, `ptq_task_duration_seconds_count${durations}}`), 20)
    assert.equal(sampleOf(text, `ptq_dead_letters_total{${label}}`), 1)
    assert.equal(sampleOf(text, `ptq_leases_lost_total{${label}}`), 0)
    assert.equal(sampleOf(text, `ptq_worker_tasks_running{${label}}`), 0)
    assert.equal(sampleOf(text, `ptq_worker_threads{${label}}`), 2)
    assert.ok((sampleOf(text, 'process_resident_memory_bytes') ?? 0) > 1e6)
    if (noPromtool === undefined) assertMetrics(text)

    metrics.close()
    await tq.insert([partial(noop, 1)])
    await tq.poll({ parallel: 0, untilEmpty: true })
    assert.equal(sampleOf(metrics.text(), `ptq_task_duration_seconds_count${durations}}`), 20)
  })

  onEach('a task whose outcome is requested has its own name', async queue => {
    const tq = queue.open()
    const metrics = workerMetrics(tq)
    const end = new AbortController()
    const worker = tq.poll({ parallel: 0, signal: end.signal })
    for await (const result of tq.map(noop, [1, 2])) assert.ok(result.ok)
    end.abort()
    await worker
    const label = `{queue="${queue.url}",task="tasks.noop",outcome="succeeded"}`
    assert.equal(sampleOf(metrics.text(), `ptq_tasks_total${label}`), 2)
    metrics.close()
  })

  onEach('commands share one label', async queue => {
    const tq = queue.open()
    await tq.insert([sh('exit 0'), sh('exit 1')])
    const metrics = workerMetrics(tq)
    const logFolder = await mkdtemp(join(tmpdir(), 'ptq-logs-'))
    await tq.poll({ commands: { logFolder }, parallel: 1, untilEmpty: true, maxAttempts: 1 })
    await rm(logFolder, { recursive: true })
    const count = (outcome: string) =>
      sampleOf(metrics.text(), `ptq_tasks_total{queue="${queue.url}",task="ptq.commands.run",outcome="${outcome}"}`)
    assert.deepEqual([count('succeeded'), count('failed')], [1, 1])
    metrics.close()
  })

  onEach('unregistered task names share one label, so that inserters cannot create time series', async queue => {
    const tq = queue.open()
    await tq.insert(Array.from({ length: 50 }, (_, n) => ({ class: `Unknown${n}` })))
    const metrics = workerMetrics(tq)
    await tq.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1 })
    const text = metrics.text()
    metrics.close()
    assert.equal(sampleOf(text, `ptq_tasks_total{queue="${queue.url}",task="(unregistered)",outcome="failed"}`), 50)
    assert.doesNotMatch(text, /Unknown\d/)
    assert.doesNotMatch(text, /ptq_worker_threads/)
  })
})
