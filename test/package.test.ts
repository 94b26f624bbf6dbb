// The package as a user gets it: packed, unpacked elsewhere, used from ESM and from CommonJS, and type-checked there.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** Runs a command to its end; what takes longer than two minutes hangs. */
function run(command: string, args: readonly string[], cwd: string): string {
  const { stdout, stderr, status } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 120_000 })
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`)
  return stdout
}

const PROGRAM = {
  body: `
  const lq = new LocalTaskQueue({ parallel: 2, progress: false })
  const values: unknown[] = []
  for await (const result of lq.results([partial(twice, 21), new Adder({ a: 40, b: 2 })], { ordered: true })) {
    values.push(result.ok ? result.value : result.error)
  }
  await lq.close()
  const tq = new TaskQueue('mem://packed', { progress: false })
  await tq.insert([partial(twice, 1)])
  values.push(await tq.enqueued())
  await tq.close()
  console.log(JSON.stringify(values))`,
  tasks: `
export const twice = queueable(function twice(x: number): number { return 2 * x })
export class Adder extends RegisteredTask<{ a: number; b: number }> {
  execute(): number { return this.args.a + this.args.b }
}
registerTask(Adder)`,
}

const FILES = {
  'tasks-esm.mts': `import { queueable, RegisteredTask, registerTask } from 'ptq'${PROGRAM.tasks}`,
  'esm.mts': `import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
import { Adder, twice } from './tasks-esm.mjs'
${PROGRAM.body}`,
  'tasks-cjs.cts': `import { queueable, RegisteredTask, registerTask } from 'ptq'${PROGRAM.tasks}`,
  'cjs.cts': `import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
import { Adder, twice } from './tasks-cjs.cjs'
async function main(): Promise<void> {${PROGRAM.body}
}
void main()`,
  // What must not compile does not compile for users either.
  'wrong.mts': `import { LocalTaskQueue, partial } from 'ptq'
import { twice } from './tasks-esm.mjs'
// @ts-expect-error a string where a number is expected
partial(twice, 'x')
// @ts-expect-error an argument is missing
void new LocalTaskQueue().insertAll([partial(twice)])`,
  'tsconfig.json': JSON.stringify({
    compilerOptions: { module: 'nodenext', target: 'es2023', strict: true, types: ['node'], skipLibCheck: false },
    include: ['*.mts', '*.cts'],
  }),
  'package.json': '{}',
}

describe('the packed package', () => {
  let folder = ''
  let packed: string[] = []

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ptq-package-'))
    const [report] = JSON.parse(
      run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT),
    ) as [{ filename: string; files: { path: string }[] }]
    packed = report.files.map(({ path }) => path)
    const home = join(folder, 'node_modules/ptq')
    mkdirSync(home, { recursive: true })
    run('tar', ['-xzf', join(folder, report.filename), '-C', home, '--strip-components=1'], folder)
    // Dependencies are linked, so that nothing is downloaded; and the types of Node, which a user of TypeScript has.
    for (const name of [...Object.keys(MANIFEST.dependencies), '@types/node']) {
      const link = join(folder, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(join(ROOT, 'node_modules', name), link)
    }
    for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content)
    run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], folder)
  })

  after(() => rmSync(folder, { recursive: true }))

  it('holds what is needed, and nothing else', () => {
    const needed = /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/(src|workers)\/.+\.(js|d\.ts))$/
    assert.deepEqual(
      packed.filter(path => !needed.test(path)),
      [],
    )
    for (const path of ['package.json', 'LICENSE', 'CHANGELOG.md', 'README.md', 'dist/workers/thread.js']) {
      assert.ok(packed.includes(path), path)
    }
    const targets = Object.values(MANIFEST.exports).flatMap(target =>
      typeof target === 'string' ? [target] : Object.values(target as Record<string, string>),
    )
    for (const target of targets) assert.ok(existsSync(join(folder, 'node_modules/ptq', target)), target)
  })

  it('is used from ESM', () => {
    assert.equal(run(process.execPath, ['esm.mjs'], folder), '[42,42,1]\n')
  })

  it('is used from CommonJS', () => {
    assert.equal(run(process.execPath, ['cjs.cjs'], folder), '[42,42,1]\n')
  })
})
