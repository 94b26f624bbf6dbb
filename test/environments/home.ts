/** A folder that has this package installed as npm installs it, and program.ts in it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { runProgram } from './program.js'

export const root = join(import.meta.dirname, '../../..')

/** The report of the program in any environment. */
export const expected: Awaited<ReturnType<typeof runProgram>> = {
  onThreads: 20,
  inThisThread: 20,
  lines: 40,
  ends: [
    'Number 3',
    'TaskError of RangeError: as told E_TOLD TypeError: the cause',
    'TaskError of Error: The task called process.exit(3), which ended its thread',
    'String LOUD',
    'Map([String list,Set(1970-01-01T00:00:00.000Z,RegExp /x/,Uint8Array 7)])',
  ],
  endsInThisThread: ['Number 3', 'TaskError of RangeError: as told E_TOLD TypeError: the cause', 'String LOUD'],
  timeout: 'TaskError of TimeoutError',
  abortBefore: 'AbortError of AbortError',
  abortOfTask: 'AbortError',
  queue: {
    inserted: [2, 40, 4],
    executed: [45, 1],
    values: ['Number 8', 'Number 9', 'String A', 'String B', 'String C', 'String D'],
    steps: { before: 48, after: 46 },
    failures: Array.from({ length: 2 }, () => 'RangeError: as told (E_TOLD); cause: TypeError: the cause'),
    enqueued: 0,
    leased: 0,
  },
}

/** The first lines of files that run {@link Home.check}. */
export const header = `import assert from 'node:assert/strict'\nimport { runProgram } from './program.js'\n`

export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'ptq-environments-'))

  constructor() {
    const installed = join(this.folder, 'node_modules/ptq')
    mkdirSync(installed, { recursive: true })
    cpSync(join(root, 'dist'), join(installed, 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(installed, 'package.json'))
    symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'), 'junction')
    for (const name of ['program.js', 'tasks.js']) cpSync(join(import.meta.dirname, name), join(this.folder, name))
    this.write('package.json', '{"type":"module"}')
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    return path
  }

  /** A statement that runs the program and compares; for files in this folder. */
  check(name: string): string {
    const queues = join(this.folder, name)
    mkdirSync(queues)
    return `assert.deepEqual(JSON.parse(JSON.stringify(await runProgram(${JSON.stringify(queues)}))), ${JSON.stringify(expected)})`
  }

  /** Runs Node to its end. Rejects with all that it printed if its exit code is not 0. */
  async node(...args: string[]): Promise<string> {
    // A runner inside would report to the one outside.
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
    try {
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: this.folder, env, timeout: 120_000 })
      return stdout
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string }
      return assert.fail(`node ${args.join(' ')}\n${stdout}\n${stderr}\n${error}`)
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
