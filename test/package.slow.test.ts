// The package as a user gets it: packed, unpacked into another project, imported and required, its types compiled.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { publint } from 'publint'

const root = join(import.meta.dirname, '../..')
const manifest: { version: string; bin: { ptq: string }; dependencies: Record<string, string> } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
)

const tasks = `import { queueable, RegisteredTask, registerTask } from 'ptq'
  export const twice = queueable(function twice(x: number): number { return 2 * x })
  export class Adder extends RegisteredTask<{ a: number; b: number }> {
    execute(): number { return this.args.a + this.args.b }
  }
  registerTask(Adder)`

const main = (
  tasksFile: string,
) => `import { type Backend, LocalTaskQueue, partial, registerBackend, TaskQueue } from 'ptq'
  import { testBackend } from 'ptq/testing'
  import { Adder, twice } from '${tasksFile}'
  async function main(): Promise<void> {
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
    console.log(JSON.stringify(values))
  }
  void main()
  // Code that must not compile for users either.
  export const wrong = [
    // @ts-expect-error a string where a number is expected
    () => partial(twice, 'x'),
    // @ts-expect-error an argument is missing
    () => new LocalTaskQueue().insertAll([partial(twice)]),
    // @ts-expect-error there is no such option
    () => new TaskQueue('mem://q').poll({ lease: 1 }),
  ]
  const open = async (): Promise<Backend> => { throw new Error() }
  export const test = () => { registerBackend('none', { open }); testBackend({ name: 'none', open }) }\n`

/** A user's project. */
const user = {
  'tasks-esm.mts': tasks,
  'esm.mts': main('./tasks-esm.mjs'),
  'tasks-cjs.cts': tasks,
  'cjs.cts': main('./tasks-cjs.cjs'),
  'tsconfig.json': JSON.stringify({
    // Our types are checked as well: none needs a package that a user doesn't have.
    compilerOptions: {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      skipLibCheck: false,
      skipDefaultLibCheck: true,
      types: ['node'],
    },
    include: ['*.mts', '*.cts'],
  }),
}

describe('the package', () => {
  const project = mkdtempSync(join(tmpdir(), 'ptq-package-'))
  const installed = join(project, 'node_modules/ptq')
  let files: string[] = []

  before(() => {
    // A copy, since packing builds dist again, and other tests use it. Leftovers of older builds are not packed.
    const source = join(project, 'source')
    for (const name of ['src', 'workers', 'package.json', 'tsconfig.json', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
      cpSync(join(root, name), join(source, name), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'), 'junction')
    mkdirSync(join(source, 'dist/src'), { recursive: true })
    writeFileSync(join(source, 'dist/src/of-an-older-build.js'), '')
    const npm = (...args: string[]) =>
      execFileSync('npm', args, { cwd: source, encoding: 'utf8', shell: process.platform === 'win32', stdio: 'pipe' })
    npm('pack', '--pack-destination', project)
    const archive = join(project, `ptq-${manifest.version}.tgz`)
    mkdirSync(installed, { recursive: true })
    execFileSync('tar', ['-xzf', archive, '-C', installed, '--strip-components=1'])
    files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => relative(installed, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'typescript']) {
      mkdirSync(dirname(join(project, 'node_modules', name)), { recursive: true })
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name), 'junction')
    }
    writeFileSync(join(project, 'package.json'), '{}')
  })
  after(() => rmSync(project, { recursive: true }))

  function node(...args: string[]) {
    const options = { cwd: project, encoding: 'utf8', timeout: 120_000 } as const
    const { stdout, stderr, status } = spawnSync(process.execPath, args, options)
    return { stdout, stderr, status }
  }

  it('contains the build, the docs, and nothing else', () => {
    const built = files.filter(file => file.startsWith('dist/'))
    const page = readdirSync(join(root, 'src/dashboard/page')).map(name => `src/dashboard/page/${name}`)
    assert.deepEqual(
      files.filter(file => !built.includes(file)).sort(),
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', ...page].sort(),
    )
    const expected = ['src', 'workers'].flatMap(folder =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter(name => /\.c?ts$/.test(name))
        .map(name => `dist/${folder}/${name.replaceAll('\\', '/')}`)
        .flatMap(name => [name.replace(/(c?)ts$/, 'd.$1ts'), name.replace(/(c?)ts$/, '$1js')]),
    )
    assert.deepEqual(built.sort(), expected.sort())
    // Nothing points to a map that isn't there.
    for (const file of built) assert.doesNotMatch(readFileSync(join(installed, file), 'utf8'), /sourceMappingURL/)
  })

  it('has a manifest without publint warnings', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true })
    assert.deepEqual(messages, [])
  })

  it('has a command', () => {
    const bin = join(installed, manifest.bin.ptq)
    assert.match(readFileSync(bin, 'utf8'), /^#!\/usr\/bin\/env node\n/)
    assert.deepEqual(node(bin, '--version'), { stdout: `${manifest.version}\n`, stderr: '', status: 0 })
  })

  it('works with a command of a global installation: the tasks are of the copy in the project', () => {
    writeFileSync(
      join(project, 'spoken.mjs'),
      `import { queueable } from 'ptq'
       queueable(function hello(name) { console.log('hello', name) })`,
    )
    writeFileSync(join(project, 'spoken.ndjson'), '[["spoken","hello"],["copy"],{},-1]')
    const other = join(root, 'dist/src/cli/bin.cjs')
    assert.equal(node(other, 'insert', './spoken', 'spoken.ndjson').status, 0)
    const { stdout, stderr, status } = node(other, 'poll', './spoken', '--load', './spoken.mjs', '--until-empty')
    assert.deepEqual([stderr, status], ['', 0])
    assert.match(stdout, /^hello copy$/m)
  })

  it('works from TypeScript as ES module and CommonJS, threads and types included', () => {
    for (const [name, text] of Object.entries(user)) writeFileSync(join(project, name), text)
    const compiled = node(join(root, 'node_modules/typescript/bin/tsc'), '-p', project)
    assert.deepEqual(compiled, { stdout: '', stderr: '', status: 0 })
    const expected = { stdout: '[42,42,1]\n', stderr: '', status: 0 }
    assert.deepEqual(node('esm.mjs'), expected)
    // Node 20 and the first versions of 22 warn that requiring an ES module is experimental.
    assert.deepEqual(node('--disable-warning=ExperimentalWarning', 'cjs.cjs'), expected)
  })
})
