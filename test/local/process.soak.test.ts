// Behaviour that needs a process of its own: signals, exit codes, the main script, loaders.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const SCRIPTS = join(import.meta.dirname, 'scripts')
const ROOT = join(import.meta.dirname, '../../..')

/** Runs a script to its end; what takes longer than a minute hangs. */
function run(args: readonly string[], cwd = ROOT, env: Readonly<Record<string, string>> = {}) {
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(signal, null, `ended by itself; it said: ${stdout}${stderr}`)
  return { stdout, stderr, status }
}

const script = (name: string, ...args: string[]) => run([join(SCRIPTS, `${name}.js`), ...args])

/** A script that runs until it gets a line on stdin, and its output lines. */
function start(name: string, ...args: string[]) {
  const child = spawn(process.execPath, [join(SCRIPTS, `${name}.js`), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async (): Promise<string> => String((await lines.next()).value)
  return { child, line }
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, null)
  return child.exitCode
}

describe('Ctrl-C', () => {
  for (const parallel of [1, 2]) {
    it(`once: running tasks finish, no more start; parallel: ${parallel}`, async () => {
      const { child, line } = start('interrupt', String(parallel))
      assert.equal(await line(), 'begun')
      child.kill('SIGINT')
      assert.equal(await line(), 'heard')
      child.stdin.write('finish\n')
      assert.deepEqual(JSON.parse(await line()), { name: 'AbortError', ran: parallel, begun: parallel })
      assert.equal(await exitCode(child), 130)
    })
  }

  it('once: with inline tasks too', async () => {
    const { child, line } = start('interrupt', '0')
    assert.equal(await line(), 'begun')
    child.kill('SIGINT')
    assert.equal(await line(), 'heard')
    const { name, ran, begun } = JSON.parse(await line())
    assert.equal(name, 'AbortError')
    assert.equal(ran, begun)
    assert.equal(await exitCode(child), 130)
  })

  it('twice: the process exits at once while tasks run', async () => {
    const { child, line } = start('interrupt', '2')
    assert.equal(await line(), 'begun')
    child.kill('SIGINT')
    assert.equal(await line(), 'heard')
    // A signal that follows at once counts as the same key press.
    const again = setInterval(() => child.kill('SIGINT'), 50)
    try {
      assert.equal(await exitCode(child), 130)
    } finally {
      clearInterval(again)
    }
  })
})

describe('an AbortSignal', () => {
  it('stops a run like Ctrl-C, without a signal to the process', async () => {
    const { child, line } = start('interrupt', '2', 'abort')
    assert.equal(await line(), 'begun')
    child.stdin.write('finish\n')
    const { name, ran, begun } = JSON.parse(await line())
    assert.equal(name, 'AbortError')
    assert.equal(ran, begun)
    assert.equal(await exitCode(child), 0)
  })
})

describe('a process', () => {
  it('exits by itself with an open queue and unread results', () => {
    assert.deepEqual(script('no-close'), { stdout: '2\ntrue\n', stderr: '', status: 0 })
  })

  for (const how of ['the command line', 'NODE_OPTIONS'] as const) {
    it(`with --max-old-space-size in ${how}: maxMemoryMb applies to its thread, other threads and the main thread keep the flag's size`, () => {
      const flag = '--max-old-space-size=1000'
      const file = join(SCRIPTS, 'heap-limits.js')
      const { stdout } = how === 'NODE_OPTIONS' ? run([file], ROOT, { NODE_OPTIONS: flag }) : run([flag, file])
      const { limited, free, main, error } = JSON.parse(stdout)
      assert.ok(limited >= 60 && limited < 120, `${limited} MB for a thread with a limit of 60 MB`)
      for (const limitMb of [free, main]) assert.ok(limitMb >= 1_000 && limitMb < 1_500, `${limitMb} MB by the flag`)
      assert.match(error, /The task needed more memory than maxMemoryMb \(60 MB\); its thread was stopped/)
    })
  }

  it('passes its arguments to its threads', () => {
    assert.equal(script('arguments', '--level', '3').stdout, '--level 3\n')
  })

  it('can be one of `node --eval` with arguments', () => {
    const code = `import { LocalTaskQueue } from 'ptq'
      import { programArguments } from ${JSON.stringify(new URL('tasks.js', import.meta.url).href)}
      const lq = new LocalTaskQueue({ progress: false })
      for await (const { value } of lq.results([programArguments])) console.log(value)`
    assert.equal(run(['--input-type=module', '--eval', code, 'word', 'more']).stdout, 'more\n')
  })

  it('prints everything that its tasks print', () => {
    const { stdout, stderr, status } = script('print')
    assert.equal(status, 0)
    const counts = new Map<string, number>()
    for (const line of stdout.trimEnd().split('\n')) counts.set(line, (counts.get(line) ?? 0) + 1)
    assert.equal(counts.size, 500)
    assert.ok([...counts].every(([line, times]) => times === 4 && /^line \d+ x{200}$/.test(line)))
    assert.equal(stderr, 'last\n'.repeat(4))
  })
})

describe('a task in the main script', () => {
  it('is refused for threads before anything runs, with what to do instead', () => {
    const { stdout, stderr, status } = script('entry', '1')
    assert.equal(stdout, 'started\n')
    assert.equal(status, 1)
    assert.match(
      stderr,
      /Error: Expected entry\.beside to be importable by a thread, but .*entry\.js is the script that was/,
    )
    assert.match(stderr, /move the task to a module of its own \(say tasks\.ts\).*, or guard .*`if \(isMainThread\)`/)
    assert.equal(stderr.match(/Expected entry\.beside/g)?.length, 1)
  })

  it('is also refused if the script was started without its extension, or through a link', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ptq-entry-'))
    symlinkSync(join(SCRIPTS, 'entry.js'), join(folder, 'linked.js'))
    for (const path of [join(SCRIPTS, 'entry'), join(folder, 'linked.js')]) {
      const { stderr, status } = run([path, '1'])
      assert.equal(status, 1, path)
      assert.match(stderr, /Expected entry\.beside to be importable by a thread/)
    }
    rmSync(folder, { recursive: true })
  })

  it('runs inline, and in threads if the script has a main-thread guard', () => {
    assert.deepEqual(script('entry', '0'), { stdout: 'started\n1\n', stderr: '', status: 0 })
    assert.deepEqual(script('entry-guarded'), { stdout: '2\n', stderr: '', status: 0 })
  })

  it('gives an error, not an endless chain of threads, if the guard does not work', () => {
    const { stdout, stderr, status } = script('entry-badly-guarded')
    assert.equal(stdout, 'started\n')
    assert.equal(status, 1)
    assert.match(
      stderr,
      /TaskError: .* to load in a thread, but it threw: Expected work to be started by the main thread only/,
    )
  })
})

describe('task files of other kinds run', () => {
  const tsx = import.meta.resolve('tsx')
  const tsxCli = fileURLToPath(new URL('cli.mjs', tsx.replace(/[^/]*$/, '')))
  const tasks = `import { queueable, RegisteredTask, registerTask } from 'ptq'
    import { base } from './base'
    export const addBase = queueable(function addBase(x: number): number { return base + x })
    @registerTask
    export class AddTwice extends RegisteredTask<{ x: number }> { execute() { return base + base + this.args.x } }`
  const main = `import { LocalTaskQueue, partial } from 'ptq'
    import { AddTwice, addBase } from './tasks'
    async function main() {
      const lq = new LocalTaskQueue({ parallel: 2, progress: false })
      const values: number[] = []
      for await (const r of lq.results([partial(addBase, 1), new AddTwice({ x: 1 })], { ordered: true })) {
        if (!r.ok) throw r.error
        values.push(r.value)
      }
      console.log(values.join())
      await lq.close()
    }
    void main()`

  /** A new project with this package installed. */
  async function project(files: Record<string, string>): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'ptq-project-'))
    await mkdir(join(folder, 'node_modules'))
    symlinkSync(ROOT, join(folder, 'node_modules/ptq'))
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    return folder
  }

  for (const type of ['module', 'commonjs']) {
    for (const [how, args] of [
      ['tsx main.ts', [tsxCli, 'main.ts']],
      ['node --import tsx main.ts', ['--import', tsx, 'main.ts']],
    ] as const) {
      it(`TypeScript by tsx, "type": "${type}", ${how}`, async () => {
        const from = type === 'module' ? (code: string) => code.replaceAll(/'(\.\/\w+)'/g, "'$1.js'") : String
        const folder = await project({
          'package.json': JSON.stringify({ type }),
          'base.ts': 'export const base: number = 41',
          'tasks.ts': from(tasks),
          'main.ts': from(main),
        })
        assert.deepEqual(run(args, folder), { stdout: '42,83\n', stderr: '', status: 0 })
        rmSync(folder, { recursive: true })
      })
    }
  }

  it('CommonJS, without a loader', async () => {
    const folder = await project({
      'tasks.cjs': `const { queueable } = require('ptq')
        exports.twice = queueable(function twice(x) { return 2 * x })`,
      'main.cjs': `const { LocalTaskQueue, partial } = require('ptq')
        const { twice } = require('./tasks.cjs')
        const lq = new LocalTaskQueue({ parallel: 2, progress: false })
        void (async () => {
          for await (const r of lq.results([partial(twice, 21)])) console.log(r.ok ? r.value : r.error)
          await lq.close()
        })()`,
    })
    // require() of ESM is announced as experimental by some versions of Node.
    const { stdout, status } = run(['--disable-warning=ExperimentalWarning', 'main.cjs'], folder)
    assert.deepEqual({ stdout, status }, { stdout: '42\n', status: 0 })
    rmSync(folder, { recursive: true })
  })
})
