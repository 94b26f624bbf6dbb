/**
 * Links in place of a queue's folders, which any user with write access can create: nothing outside is read, changed or
 * removed.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import { open } from '#ptq/backends/fq/index.js'
import { sh } from '../commands/commands.js'
import { inFolder } from '../fq/folder.js'
import { insert, leaseOne } from '../fq/messages.js'

const succeed = queueable(function succeedBesideLink() {
  return undefined
})

const square = queueable(function squareBesideLink(n: number) {
  return n * n
})

const fail = queueable(function failBesideLink() {
  throw new RangeError('made to fail')
})

const FOLDERS = [
  'queue',
  'movement',
  'staging',
  'failures',
  'quarantine',
  'workers',
  'uploads',
  'moved',
  'arriving',
  'insertions.lock',
  'failed',
]

const ID = '00000000-0000-4000-8000-000000000000'
const DAY_AGO = Date.now() / 1000 - 24 * 3600

/** A folder with files that look like each kind of a queue's files. */
function makeOutside(folder: string): void {
  mkdirSync(folder)
  for (const name of [
    `0--${ID}.json`,
    `1000--${ID}.json`,
    ID,
    `${ID}.json`,
    'free.json',
    'host-1.json',
    `upload.${ID}`,
  ]) {
    writeFileSync(join(folder, name), 'mine')
    utimesSync(join(folder, name), DAY_AGO, DAY_AGO)
  }
}

function contentOf(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map(name => [name, readFileSync(join(folder, name), 'utf8')])
}

const POLL = {
  parallel: 0,
  minBackoffSeconds: 0.01,
  maxBackoffSeconds: 0.01,
  maxAttempts: 1,
  tally: true,
  untilEmpty: true,
} as const

/** Operations of programs on a queue. Each may fail. */
function everything(path: string): [string, () => Promise<unknown>][] {
  const onQueue = async (work: (tq: TaskQueue) => Promise<unknown>) => {
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    return await work(tq)
  }
  const onBoth = async (work: (tq: TaskQueue, other: TaskQueue) => Promise<unknown>) => {
    await using other = new TaskQueue(`fq://${path}-other`, { progress: false })
    return await onQueue(tq => work(tq, other))
  }
  return [
    ['insert', () => onQueue(tq => tq.insert([partial(succeed), partial(fail)]))],
    ['insert later', () => onQueue(tq => tq.insert(partial(succeed), { delaySeconds: 1000 }))],
    ['insert with resume', () => onQueue(tq => tq.insert([partial(succeed), partial(succeed)], { resume: 'again' }))],
    ['status', () => onQueue(tq => tq.status())],
    ['list', () => onQueue(tq => tq.list())],
    ['workers', () => onQueue(tq => tq.workers())],
    ['poll', () => onQueue(tq => tq.poll({ ...POLL, untilEmpty: false, stopFn: ({ tries }) => tries > 5 }))],
    [
      'failures',
      () =>
        onQueue(async tq => {
          for await (const _ of tq.failures());
        }),
    ],
    ['retry', () => onQueue(tq => tq.retry())],
    ['release all', () => onQueue(tq => tq.releaseAll())],
    ['move', () => onBoth((tq, other) => tq.moveTo(other))],
    ['move back', () => onBoth((tq, other) => other.moveTo(tq))],
    ['rezero', () => onQueue(tq => tq.rezero())],
    ['purge', () => onQueue(tq => tq.purge())],
  ]
}

async function madeQueue(path: string): Promise<void> {
  await using tq = new TaskQueue(`fq://${path}`, { progress: false })
  await tq.insert([partial(succeed), partial(fail)], { resume: 'first' })
  await tq.poll(POLL)
  await tq.insert([partial(fail), partial(succeed), partial(succeed)])
}

function quiet(t: TestContext): string[] {
  const warnings: string[] = []
  t.mock.method(process, 'emitWarning', (warning: unknown) => warnings.push(String(warning)))
  return warnings
}

for (const name of FOLDERS) {
  test(`a link in place of ${name}/ is not followed by any verb`, t =>
    inFolder(async folder => {
      quiet(t)
      const path = join(folder, 'queue')
      const outside = join(folder, 'outside')
      makeOutside(outside)
      const before = contentOf(outside)
      await madeQueue(path)
      const noTask = join(path, 'queue', '0--00000000-0000-4000-8000-000000000001.json')
      writeFileSync(noTask, 'no task')
      utimesSync(noTask, DAY_AGO, DAY_AGO)
      for (const [verb, work] of everything(path)) {
        rmSync(join(path, name), { recursive: true, force: true })
        symlinkSync(outside, join(path, name))
        const error: unknown = await work().then(
          () => undefined,
          reason => reason,
        )
        if (error !== undefined) assert.match(String(error), /symbolic link|found nothing there/, verb)
        assert.deepEqual(contentOf(outside), before, verb)
      }
    }))
}

test('a folder of an open queue that becomes a link is refused at the next check of the queue', () =>
  inFolder(async folder => {
    const path = join(folder, 'queue')
    const outside = join(folder, 'outside')
    let aheadMs = 0
    const queue = await open({ protocol: 'fq', path }, { hostNowMs: () => Date.now() + aheadMs })
    await insert(queue, 2)
    const failure = { attempt: 1, reason: 'r', host: 'h', pid: 1, failedAtMs: 0, durationSeconds: 0 }
    assert.deepEqual(await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure }), [])
    renameSync(join(path, 'failures'), outside)
    symlinkSync(outside, join(path, 'failures'))
    // The jump of the host's clock makes the queue check its folder again, as it does every half minute.
    aheadMs = 10_000
    const [failed] = await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure })
    assert.match(failed?.error.message ?? '', /failures, found a symbolic link/)
    assert.equal(readdirSync(outside).length, 1)
    await queue.close()
  }))

for (const linked of ['results', 'results/squares', 'results/squares/*', 'logs', 'logs/*.index', 'logs/*.log']) {
  test(`outcomes and logs are not read through a link in place of ${linked}`, () =>
    inFolder(async folder => {
      await using tq = new TaskQueue(`fq://${folder}/queue`, { progress: false })
      await tq.insert(sh('echo out'))
      const id = (await tq.list())[0]?.id ?? ''
      await tq.poll({ ...POLL, parallel: 1, commands: true })
      // By a process that has not used the folder yet.
      const opened = async <T>(work: (queue: TaskQueue) => Promise<T>) => {
        await using queue = new TaskQueue(tq.url, { progress: false })
        return await work(queue)
      }
      const results = () =>
        opened(async queue => {
          for await (const _ of queue.results('squares'));
        })
      const output = () =>
        opened(async queue => {
          for await (const _ of queue.taskOutput(id));
        })
      const outcomes = tq.map(square, [1, 2], { run: 'squares' })[Symbol.asyncIterator]()
      const first = outcomes.next()
      while ((await tq.enqueued()) < 2) await new Promise(resolve => setTimeout(resolve, 5))
      await tq.poll({ ...POLL })
      await first
      await outcomes.return?.()
      await results()
      await output()

      const parent = join(folder, 'queue', dirname(linked))
      const names = readdirSync(parent).filter(name => name.endsWith(basename(linked).replace('*', '')))
      assert.ok(names.length > 0)
      for (const name of names) {
        renameSync(join(parent, name), join(folder, name))
        symlinkSync(join(folder, name), join(parent, name))
      }
      await assert.rejects(linked.startsWith('logs') ? output() : results(), /symbolic link|ELOOP/)
      if (linked === 'results')
        await assert.rejects(
          opened(queue => queue.resultRuns()),
          /symbolic link/,
        )
    }))
}

test('a pipe among the logs of commands is skipped', async t => {
  if (process.platform === 'win32') return t.skip('Windows has no pipes in folders')
  await inFolder(async folder => {
    await using tq = new TaskQueue(`fq://${folder}/queue`, { progress: false })
    await tq.insert(sh('echo out'))
    const id = (await tq.list())[0]?.id ?? ''
    await tq.poll({ ...POLL, parallel: 1, commands: true })
    execFileSync('mkfifo', [join(folder, 'queue/logs/pipe.index'), join(folder, 'queue/logs/pipe.log')])
    let text = ''
    for await (const { bytes } of tq.taskOutput(id)) text += bytes.toString()
    assert.equal(text, 'out\n')
  })
})

test('the path of a queue may itself contain links', () =>
  inFolder(async folder => {
    mkdirSync(join(folder, 'real', 'place'), { recursive: true })
    symlinkSync(join(folder, 'real'), join(folder, 'way'))
    symlinkSync(join(folder, 'real', 'place'), join(folder, 'real', 'link'))
    const path = join(folder, 'way', 'link')
    await madeQueue(path)
    await using tq = new TaskQueue(`fq://${path}`, { progress: false })
    assert.equal(await tq.poll(POLL), 2)
    assert.equal(await tq.failed(), 2)
    assert.ok(existsSync(join(folder, 'real', 'place', 'failed', 'queue')))
  }))
