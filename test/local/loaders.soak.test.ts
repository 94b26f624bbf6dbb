// Local runs as users start them: plain JavaScript, tsx, Node's type stripping, and Node options that change how code
// is loaded. Each is a process on the same two files.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'

const ROOT = join(import.meta.dirname, '../../..')
const tsx = dirname(createRequire(import.meta.url).resolve('tsx/package.json'))
const loader = join(tsx, 'dist/loader.mjs')

const tasks = `
import { context, queueable } from 'ptq'
import { plus } from './helper.ts'

/** Waits until all of the party are there. */
export const meet = queueable(async function meet(party: number, counts: Int32Array): Promise<void> {
  Atomics.add(counts, 0, 1)
  while (Atomics.load(counts, 0) < party) await new Promise(resolve => setImmediate(resolve))
})

/** Goes on until its signal is aborted, and counts that. */
export const heed = queueable(async function heed(counts: Int32Array): Promise<void> {
  const { signal } = context()
  await new Promise(resolve => signal.addEventListener('abort', resolve))
  Atomics.add(counts, 1, 1)
})

export const add = queueable(function add(a: number, b: number): number {
  context().log('adding')
  return plus(a, b)
})

export const fail = queueable(function fail(): never {
  throw new RangeError('as told')
})

export const leave = queueable(function leave(): void {
  process.exit(3)
})
`

const helper = `
export const plus = (a: number, b: number): number => a + b
`

const main = `
import { LocalTaskQueue, partial, type TaskInput } from 'ptq'
import { add, fail, heed, leave, meet } from './tasks.ts'

const counts: Int32Array = new Int32Array(new SharedArrayBuffer(8))
const lines: string[] = []
const queue = (options: object) => new LocalTaskQueue({ progress: false, onLog: line => void lines.push(line), ...options })
const together: TaskInput[] = Array.from({ length: 50 }, () => [partial(meet, 50), [counts]])
const ran: number = await queue({ concurrency: 50 }).insertAll(together)
const ends: unknown[] = []
for await (const result of queue({ parallel: 2 }).results([partial(add, 1, 2), partial(fail), partial(leave)], { ordered: true })) {
  ends.push(result.ok ? result.value : String(result.error.cause))
}
const late: unknown = await queue({ timeoutSeconds: 0.1 }).insertAll([[partial(heed), [counts]]]).catch(error => error.cause.name)
console.log(JSON.stringify({ ran, ends, late, heeded: counts[1], lines }))
`

const expected = {
  ran: 50,
  ends: [3, 'RangeError: as told', 'Error: The task called process.exit(3), which ended its thread'],
  late: 'TimeoutError',
  heeded: 1,
  lines: ['adding'],
}

/** The files as JavaScript. */
function javaScript(text: string, { keepTsHelper = false } = {}): string {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  })
  return keepTsHelper
    ? outputText.replace("'./tasks.ts'", "'./tasks.js'")
    : outputText.replace(/'\.\/(\w+)\.ts'/g, "'./$1.js'")
}

let home: string
let away: string

before(() => {
  const folder = () => mkdtempSync(join(tmpdir(), 'ptq-loaders-'))
  const write = (at: string, files: Record<string, string>) => {
    mkdirSync(join(at, 'node_modules'), { recursive: true })
    symlinkSync(ROOT, join(at, 'node_modules/ptq'), 'junction')
    writeFileSync(join(at, 'package.json'), '{"type":"module"}')
    for (const [name, text] of Object.entries(files)) writeFileSync(join(at, name), text)
  }
  const files = { 'tasks.ts': tasks, 'helper.ts': helper, 'main.ts': main }
  home = folder()
  write(home, files)
  symlinkSync(tsx, join(home, 'node_modules/tsx'), 'junction')
  mkdirSync(join(home, 'plain'))
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(home, 'plain', name.replace('.ts', '.js')), javaScript(text))
  // JavaScript with a TypeScript helper, in a folder without tsx.
  away = folder()
  write(away, {
    'helper.ts': helper,
    'tasks.js': javaScript(tasks, { keepTsHelper: true }),
    'main.js': javaScript(main, { keepTsHelper: true }),
  })
})

after(() => {
  for (const folder of [home, away]) rmSync(folder, { recursive: true, force: true })
})

function run(folder: string, args: readonly string[], nodeOptions = ''): unknown {
  const { NODE_OPTIONS: _, ...env } = process.env
  const options = nodeOptions === '' ? {} : { NODE_OPTIONS: nodeOptions }
  const stdout = execFileSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...env, ...options },
  })
  return JSON.parse(stdout)
}

describe('concurrency, signals, errors, logs and a thread that ends work', () => {
  const ways: Record<string, () => unknown> = {
    'in plain JavaScript': () => run(home, ['plain/main.js']),
    'with --disallow-code-generation-from-strings': () =>
      run(home, ['--disallow-code-generation-from-strings', 'plain/main.js']),
    'with the command tsx': () => run(home, [join(tsx, 'dist/cli.mjs'), 'main.ts']),
    'with --import tsx': () => run(home, ['--import', 'tsx', 'main.ts']),
    'with tsx by its absolute path': () => run(away, [`--import=${loader}`, 'main.js']),
    'with --import tsx in NODE_OPTIONS': () => run(home, ['main.ts'], '--import tsx'),
    'with tsx by its URL in NODE_OPTIONS, quoted': () =>
      run(away, ['main.js'], `--no-warnings "--import=${pathToFileURL(loader)}"`),
    ...(Boolean((process.features as { typescript?: unknown }).typescript) && {
      'with type stripping': () => run(home, ['main.ts']),
    }),
  }
  for (const [name, way] of Object.entries(ways)) {
    it(`${name}`, () => assert.deepEqual(way(), expected))
  }
})

it('two copies of the package in one process share the queues in memory and the registered backends', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-copies-'))
  try {
    const copies = ['one', 'two'].map(name => {
      const copy = join(folder, name)
      cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true })
      cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
      symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'), 'junction')
      return pathToFileURL(join(copy, 'dist/src/index.js')).href
    })
    const script = join(folder, 'main.mjs')
    writeFileSync(
      script,
      `
      import * as one from ${JSON.stringify(copies[0])}
      import * as two from ${JSON.stringify(copies[1])}
      const payload = [['some-module', 'someFunction'], [], {}]
      const insert = async (TaskQueue, url) => {
        const tq = new TaskQueue(url)
        await tq.insert([payload])
        return (await tq.status()).enqueued
      }
      const enqueued = [await insert(one.TaskQueue, 'mem://shared'), await insert(two.TaskQueue, 'mem://shared')]
      const opener = { open: () => { throw new Error('asked to open') } }
      one.registerBackend('kind', opener)
      const opened = await new two.TaskQueue('kind://queue').status().catch(error => error.message)
      console.log(JSON.stringify({ different: one.TaskQueue !== two.TaskQueue, enqueued, opened }))
      `,
    )
    assert.deepEqual(run(folder, [script]), { different: true, enqueued: [1, 2], opened: 'asked to open' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
