// Outcomes of tasks across processes: over a file queue and one in memory, with workers in this process.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type PollOptions, partial, type RunResult, TaskQueue } from 'ptq'
import { open } from '#ptq/backends/fq/index.js'
import { inFolder, runCli, until } from '../cli/run-cli.js'
import { large, mixed, square, unspeakable, untilThere } from './tasks.js'

const places: readonly (readonly [name: string, url: (folder: string) => string])[] = [
  ['fq', folder => `fq://${folder}/q`],
  ['mem', () => `mem://results-${randomUUID()}`],
]

/** Runs a worker during `work`, and ends it afterwards. */
async function besideWorker<R>(queue: TaskQueue, work: () => Promise<R>, options: PollOptions = {}): Promise<R> {
  const end = new AbortController()
  const worker = queue.poll({ parallel: 0, maxAttempts: 1, maxBackoffSeconds: 1, signal: end.signal, ...options })
  try {
    return await work()
  } finally {
    end.abort()
    await worker
  }
}

async function all<T>(results: AsyncIterable<RunResult<T>>): Promise<RunResult<T>[]> {
  const found: RunResult<T>[] = []
  for await (const result of results) found.push(result)
  return found.sort((one, other) => one.index - other.index)
}

function expectMixed(results: readonly RunResult[], count: number): void {
  assert.deepEqual(
    results.map(({ index }) => index),
    Array.from({ length: count }, (_, n) => n),
  )
  for (const result of results) {
    const n = result.index
    if (n % 5 === 1) {
      assert.ok(!result.ok)
      assert.match(result.error.message, new RegExp(`^Task ${result.id} failed at attempt 1: Error: no ${n}$`))
    } else {
      assert.ok(result.ok, `${n}`)
      const big = { big: 2n ** 64n + BigInt(n), text: 'é\n', list: [1.5, null] }
      assert.deepEqual(result.value, n % 5 === 2 ? undefined : n % 5 === 3 ? big : n)
    }
  }
}

for (const [name, urlOf] of places) {
  test(`${name}: map yields one outcome for each input, failures with their reasons, and is dropped without a name`, () =>
    inFolder(async folder => {
      await using queue = new TaskQueue(urlOf(folder))
      const inputs = Array.from({ length: 200 }, (_, n) => n)
      expectMixed(await besideWorker(queue, () => all(queue.map(mixed, inputs))), 200)
      assert.deepEqual(await queue.resultRuns(), [])
      assert.equal(await queue.enqueued(), 0)
    }))

  test(`${name}: a named run is read again, and dropped`, () =>
    inFolder(async folder => {
      await using queue = new TaskQueue(urlOf(folder))
      await besideWorker(queue, async () => {
        for await (const _ of queue.map(mixed, [0, 1, 2, 3, 4], { run: 'monday' })) break
        expectMixed(await all(queue.results('monday')), 5)
      })
      expectMixed(await all(queue.results('monday')), 5)
      assert.deepEqual(await queue.resultRuns(), ['monday'])
      await queue.dropResults('monday')
      assert.deepEqual(await queue.resultRuns(), [])
      await assert.rejects(all(queue.results('monday')), /There is no run monday of /)
    }))

  test(`${name}: map with packs sends fewer messages, and yields the same outcomes`, () =>
    inFolder(async folder => {
      await using queue = new TaskQueue(urlOf(folder))
      const inputs = Array.from({ length: 200 }, (_, n) => n)
      const reading = all(queue.map(mixed, inputs, { pack: 50 }))
      // Until its first insert there is no queue.
      await until(async () => (await queue.enqueued().catch(() => 0)) === 200)
      let messages = 0
      for await (const { count } of queue.tasks()) {
        assert.equal(count, 50)
        messages++
      }
      assert.equal(messages, 4)
      const results = await besideWorker(queue, () => reading)
      expectMixed(results, 200)
      assert.equal(new Set(results.map(({ id }) => id)).size, 200)
      assert.equal(await queue.enqueued(), 0)
    }))

  test(`${name}: purge removes the outcomes`, () =>
    inFolder(async folder => {
      await using queue = new TaskQueue(urlOf(folder))
      await besideWorker(queue, () => all(queue.map(square, [1, 2], { run: 'a' })))
      await queue.purge()
      assert.deepEqual(await queue.resultRuns(), [])
    }))
}

test('partial of a function, a generator of inputs, and threads', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    function* inputs() {
      for (let n = 0; n < 50; n++) yield n
    }
    const results = await besideWorker(queue, () => all(queue.map(partial(square), inputs())), { parallel: 2 })
    assert.deepEqual(
      results.map(result => result.ok && result.value),
      Array.from({ length: 50 }, (_, n) => n * n),
    )
  }))

test('outcomes may be kept with another queue, which workers are given too', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`mem://results-${randomUUID()}`)
    const results = `fq://${folder}/other`
    await besideWorker(
      queue,
      async () => {
        expectMixed(await all(queue.map(mixed, [0, 1, 2, 3], { run: 'r', results })), 4)
        expectMixed(await all(queue.results('r', { results })), 4)
      },
      { results },
    )
    assert.deepEqual([await queue.resultRuns(), await queue.resultRuns({ results })], [[], ['r']])
  }))

test('a value that is too long, or that JSON can’t represent, is a failure with that reason', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    await besideWorker(queue, async () => {
      const [fits, tooLong] = await all(queue.map(large, [1_048_574, 1_048_575]))
      assert.ok(fits?.ok && typeof fits.value === 'string' && fits.value.length === 1_048_574)
      assert.ok(tooLong !== undefined && !tooLong.ok)
      assert.match(
        tooLong.error.message,
        /at most 1048576 bytes of JSON, got 1048577: write it into a file, and return the path/,
      )
      const [odd] = await all(queue.map(unspeakable, [1]))
      assert.ok(odd !== undefined && !odd.ok)
      assert.match(odd.error.message, /the value of the task\.set/)
    })
  }))

test('torn, foreign and repeated records are skipped', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    await besideWorker(queue, () => all(queue.map(mixed, [0, 1, 2, 3], { run: 'r' })))
    const run = join(folder, 'q/results/r')
    writeFileSync(
      join(run, 'dead.ndjson'),
      '{"index":0,"id":"x","attempt":2,"value":0}\n\nnonsense\n{"index":-1}\n[]\n{"index":9e99,"id":"","attempt":1}\n{"index":3,"id":"x","att',
    )
    mkdirSync(join(run, 'folder.ndjson'))
    if (process.platform !== 'win32') execFileSync('mkfifo', [join(run, 'pipe.ndjson')])
    expectMixed(await all(queue.results('r')), 4)
    // The writer continues after a failure: a new line first.
    appendFileSync(join(run, 'dead.ndjson'), '\n{"index":2,"id":"x","attempt":1}\n')
    expectMixed(await all(queue.results('r')), 4)
  }))

test('what goes on for megabytes without a line end is no record: it is not kept until one comes', () =>
  inFolder(async folder => {
    const run = join(folder, 'q/results/r')
    mkdirSync(run, { recursive: true })
    writeFileSync(join(run, 'endless.ndjson'), Buffer.alloc(20 << 20, ' '))
    const backend = await open({ protocol: 'fq', path: join(folder, 'q') })
    const page = await backend.results?.read('r', undefined)
    assert.deepEqual(page?.records, [])
    assert.ok(page.cursor instanceof Map && page.cursor.get('endless.ndjson') > 16 << 20)
    appendFileSync(join(run, 'endless.ndjson'), '\n{"index":1}\n')
    let next = await backend.results?.read('r', page.cursor)
    while (next?.records.length === 0) next = await backend.results?.read('r', next.cursor)
    assert.equal(next?.records.at(-1), '{"index":1}')
    await backend.close()
  }))

test('a task that was removed without an outcome is a failure, once the queue is empty', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    const reading = all(queue.map(square, [1, 2, 3], { run: 'r' }))
    let removed = 0
    while (removed < 1) removed += await queue.delete(await queue.lease({ numTasks: 1 }))
    const results = await besideWorker(queue, () => reading)
    assert.equal(results.filter(result => result.ok).length, 2)
    const lost = results.find(result => !result.ok)
    assert.match(
      lost?.ok === false ? lost.error.message : '',
      /^Task \d of run r was removed from the queue without an outcome$/,
    )
  }))

/** A hundred inputs; the one at `failAt` is an error. */
async function* inputs(failAt: number): AsyncGenerator<number, void, undefined> {
  for (let n = 0; n < 100; n++) {
    if (n === failAt) throw new Error('the list ended early')
    yield n
  }
}

test('an interrupted map continues under its name, and inserts nothing twice', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    await assert.rejects(all(queue.map(mixed, inputs(60), { run: 'r' })), /the list ended early/)
    const results = await besideWorker(queue, () => all(queue.map(mixed, inputs(Number.NaN), { run: 'r' })))
    expectMixed(results, 100)
    assert.equal(await queue.inserted(), 100)
    expectMixed(await besideWorker(queue, () => all(queue.map(mixed, inputs(Number.NaN), { run: 'r' }))), 100)
    assert.equal(await queue.inserted(), 100)
  }))

test('an interrupted map with packs continues under its name, and inserts nothing twice', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    const options = { run: 'r', pack: 7 }
    await assert.rejects(all(queue.map(mixed, inputs(60), options)), /the list ended early/)
    expectMixed(await besideWorker(queue, () => all(queue.map(mixed, inputs(Number.NaN), options))), 100)
    assert.equal(await queue.inserted(), 100)
  }))

test('a slow reader keeps no worker waiting: all tasks end while it looks at the first outcome', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    const indices: number[] = []
    await besideWorker(queue, async () => {
      for await (const { index } of queue.map(
        square,
        Array.from({ length: 500 }, (_, n) => n),
        { run: 'r' },
      )) {
        if (indices.length === 0) await until(async () => (await queue.status()).enqueued === 0)
        indices.push(index)
      }
    })
    assert.deepEqual(
      indices.sort((one, other) => one - other),
      Array.from({ length: 500 }, (_, n) => n),
    )
  }))

test('an abort ends the reading, and not the tasks', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    await besideWorker(queue, async () => {
      const abort = new AbortController()
      const go = join(folder, 'go')
      const ended = assert.rejects(all(queue.map(untilThere, [go], { run: 'r', signal: abort.signal })), /enough/)
      await until(() => existsSync(`${go}.begun`))
      abort.abort(new Error('enough'))
      await ended
      writeFileSync(go, '')
      const results = await all(queue.results('r'))
      assert.deepEqual(
        results.map(result => result.ok && result.value),
        [go],
      )
    })
  }))

test('a worker that can’t store outcomes leaves their tasks to others; their names are those of the functions', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    const reading = all(queue.map(square, [3], { run: 'r' }))
    await until(() => existsSync(join(folder, 'q/queue')) && readdirSync(join(folder, 'q/queue')).length === 1)
    assert.deepEqual(
      (await queue.list()).map(task => task.name),
      ['tasks.square'],
    )
    // E.g. a worker for commands.
    await queue.poll({ commands: true, untilEmpty: true, maxAttempts: 1 })
    const [result] = await reading
    assert.match(result?.ok === false ? result.error.message : '', /not registered: Expected a command/)
  }))

test('bad input is refused before anything is inserted', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    for (const run of ['', '.x', 'a/b', 'a b', 'x'.repeat(101)]) {
      await assert.rejects(all(queue.map(square, [1], { run })), /Expected `run` to be a name of at most 100 letters/)
    }
    await assert.rejects(all(queue.map((n: number) => n, [1])), /to be registered/)
    await assert.rejects(all(queue.map(square, 5 as never)), /Expected `inputs` to be an iterable or async iterable/)
    await assert.rejects(all(queue.map(square, [1], { pack: 0 })), /Expected `pack` to be an integer from 1 to/)
    await assert.rejects(all(queue.map(square, [1], { name: 'r' } as never)), /Expected options of map to be among/)
    assert.equal(existsSync(join(folder, 'q')), false)
  }))

test('ptq results prints outcomes as JSON, the names of runs, and drops one', () =>
  inFolder(async folder => {
    await using queue = new TaskQueue(`fq://${folder}/q`)
    await besideWorker(queue, () => all(queue.map(mixed, [0, 1], { run: 'r' })))
    const printed = await runCli(['results', 'q', 'r', '--wait'], { cwd: folder })
    assert.deepEqual([printed.code, printed.stderr], [0, ''])
    const lines = printed.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
      .sort((a, b) => a.index - b.index)
    assert.deepEqual(
      lines.map(({ index, ok, value }) => [index, ok, value]),
      [
        [0, true, 0],
        [1, false, undefined],
      ],
    )
    assert.match(lines[1].error, /Error: no 1$/)
    assert.equal((await runCli(['results', 'q'], { cwd: folder })).stdout, 'r\n')
    assert.equal((await runCli(['results', 'q', 'r', '--drop'], { cwd: folder })).code, 0)
    const gone = await runCli(['results', 'q', 'r'], { cwd: folder })
    assert.deepEqual([gone.code, gone.stdout], [1, ''])
    assert.match(gone.stderr, /^ptq: There is no run r of /)
    assert.deepEqual(readdirSync(join(folder, 'q/results')), [])
  }))
