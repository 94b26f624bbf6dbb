// Outcomes across processes: a worker that is killed, a reader that is killed, a million records.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { opener } from '#ptq/backends/fq/index.js'
import { readResults } from '#ptq/results/read-results.js'
import { successRecord, totalRecord } from '#ptq/results/result-record.js'
import { ended, inFolder, projectRoot, startCli, until } from '../cli/run-cli.js'
import { slowly, square } from './tasks.js'

const tasksFile = join(import.meta.dirname, 'tasks.js')

function startWorker(cwd: string) {
  return startCli(['poll', 'q', '--load', tasksFile, '--lease-sec', '2', '--max-backoff-sec', '1'], { cwd })
}

for (const pack of [1, 20]) {
  test(`each input yields exactly one outcome when one of two workers is killed: ${pack} in a message`, () =>
    inFolder(async cwd => {
      await using queue = new TaskQueue(`fq://${cwd}/q`)
      const workers = [startWorker(cwd), startWorker(cwd)]
      const ends = workers.map(ended)
      const indices: number[] = []
      for await (const result of queue.map(
        slowly,
        Array.from({ length: 300 }, (_, n) => n % 7),
        { pack },
      )) {
        assert.ok(result.ok)
        assert.equal(result.value, result.index % 7)
        indices.push(result.index)
        if (indices.length === 50) workers[0]?.kill('SIGKILL')
      }
      assert.deepEqual(
        indices.sort((a, b) => a - b),
        Array.from({ length: 300 }, (_, n) => n),
      )
      for (const worker of workers) worker.kill('SIGTERM')
      await Promise.all(ends)
    }))
}

test('a killed reader attaches again: no outcome is missing or repeated', () =>
  inFolder(async cwd => {
    const program = join(projectRoot, 'build/test/results', `reader-${process.pid}.mjs`)
    const code = `import { TaskQueue } from 'ptq'
      import { square } from ${JSON.stringify(tasksFile)}
      const tq = new TaskQueue('fq://${cwd}/q')
      for await (const r of tq.map(square, Array.from({ length: 500 }, (_, n) => n), { run: 'r' })) console.log(r.index)`
    writeFileSync(program, code)
    const reader = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
    let read = 0
    reader.stdout.on('data', (chunk: Buffer) => {
      read += chunk.toString().split('\n').length - 1
      if (read > 100) reader.kill('SIGKILL')
    })
    const worker = startWorker(cwd)
    const workerEnd = ended(worker)
    await new Promise(resolve => reader.once('close', resolve))
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    const indices: number[] = []
    // If the reader was killed before all inputs were inserted: the same call continues.
    for await (const result of queue.map(
      square,
      Array.from({ length: 500 }, (_, n) => n),
      { run: 'r' },
    )) {
      assert.ok(result.ok && result.value === result.index ** 2)
      indices.push(result.index)
    }
    assert.deepEqual(
      indices.sort((a, b) => a - b),
      Array.from({ length: 500 }, (_, n) => n),
    )
    worker.kill('SIGTERM')
    await workerEnd
    await until(async () => (await queue.enqueued()) === 0)
  }))

test('1,000,000 outcomes are read with constant memory', () =>
  inFolder(async cwd => {
    const backend = await opener.open({ protocol: 'fq', path: join(cwd, 'q') }, {})
    const sink = backend.results
    assert.ok(sink !== undefined)
    const count = 1_000_000
    const perAppend = 10_000
    for (let start = 0; start < count; start += perAppend) {
      const records = Array.from({ length: perAppend }, (_, n) => successRecord(start + n, 'id', 1, { n: start + n }))
      await sink.append('r', `worker.${start % 30_000}`, records)
    }
    await sink.append('r', 'inserter', [totalRecord(count)])
    let read = 0
    let peakMb = 0
    const signal = new AbortController().signal
    const before = process.memoryUsage().rss / 1e6
    for await (const result of readResults(sink, 'r', { wait: true, isEmpty: async () => false, signal })) {
      assert.ok(result.ok)
      if (++read % 50_000 === 0) peakMb = Math.max(peakMb, process.memoryUsage().rss / 1e6 - before)
    }
    assert.equal(read, count)
    assert.ok(peakMb < 150, `${peakMb} MB more than before`)
    await backend.close()
  }))
