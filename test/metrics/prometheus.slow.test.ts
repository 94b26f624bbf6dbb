// A real Prometheus scrapes the page and a worker. Skipped with the reason where none is installed.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { partial, TaskQueue } from 'ptq'
import { workerMetrics } from 'ptq/metrics'
import { Served } from '../dashboard/served.js'
import { fail, quick } from '../dashboard/tasks.js'

const skip =
  spawnSync('prometheus', ['--version']).status === 0
    ? false
    : 'prometheus is not installed (on Debian: apt-get install prometheus)'

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

it('Prometheus scrapes the page and a worker, and has their numbers', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-prometheus-'))
  await using queue = new TaskQueue(`fq://${folder}/queue`, { progress: false })
  const metrics = workerMetrics(queue, { threads: 3 })
  await queue.insert(Array.from({ length: 7 }, (_, n) => partial(quick, n)))
  await queue.insert([partial(fail, 'x')])
  await queue.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1 })
  await queue.insert(Array.from({ length: 5 }, (_, n) => partial(quick, n)))
  const worker = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': metrics.contentType }).end(metrics.text())
  }).listen(0, '127.0.0.1')
  await once(worker, 'listening')
  await using served = await Served.start(queue)
  const { port } = worker.address() as AddressInfo
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `scrape_configs:
  - job_name: ptq
    scrape_interval: 200ms
    scrape_timeout: 200ms
    static_configs:
      - targets: ['127.0.0.1:${served.port}', '127.0.0.1:${port}']
`,
  )
  const api = `127.0.0.1:${await freePort()}`
  const prometheus = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${api}`,
      '--log.level=error',
    ],
    { stdio: 'ignore' },
  )
  const exited = once(prometheus, 'exit')

  /** The values of a query, once there are some. */
  const valuesOf = async (query: string): Promise<string[]> => {
    for (;;) {
      assert.equal(prometheus.exitCode, null, 'prometheus runs')
      const answer = await fetch(`http://${api}/api/v1/query?query=${encodeURIComponent(query)}`).catch(() => undefined)
      const body = answer?.ok
        ? ((await answer.json()) as { data: { result: { value: [number, string] }[] } })
        : undefined
      const values = body?.data.result.map(({ value }) => value[1]) ?? []
      if (values.length > 0) return values
      await sleep(50)
    }
  }

  assert.deepEqual(await valuesOf('ptq_queue_messages{state="ready"}'), ['5'])
  assert.deepEqual(await valuesOf('ptq_queue_messages{state="failed"}'), ['1'])
  assert.deepEqual(await valuesOf('ptq_tasks_total{outcome="succeeded",task="tiles.quick"}'), ['7'])
  assert.deepEqual(await valuesOf('ptq_tasks_total{outcome="failed",task="tiles.fail"}'), ['1'])
  assert.deepEqual(await valuesOf('ptq_task_duration_seconds_count{task="tiles.quick"}'), ['7'])
  assert.deepEqual(await valuesOf('sum(up{job="ptq"})'), ['2'])
  assert.deepEqual(await valuesOf('min(scrape_samples_scraped{job="ptq"}) > bool 5'), ['1'])

  prometheus.kill('SIGTERM')
  await exited
  metrics.close()
  worker.closeAllConnections()
  worker.close()
  await once(worker, 'close')
  rmSync(folder, { recursive: true })
})
