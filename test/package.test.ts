// The package as a user gets it: packed, unpacked into another project, imported and required, its types compiled.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { publint } from 'publint'

const root = join(import.meta.dirname, '../..')
const manifest: { version: string; dependencies: Record<string, string> } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
)

describe('the package', () => {
  const project = mkdtempSync(join(tmpdir(), 'ptq-package-'))
  const installed = join(project, 'node_modules/ptq')
  let files: string[] = []

  before(() => {
    // A copy, since packing builds dist anew, and other tests are using it. What an older build left is not packed.
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
    writeFileSync(join(project, 'package.json'), '{"type":"module"}')
  })
  after(() => rmSync(project, { recursive: true }))

  const write = (name: string, text: string) => writeFileSync(join(project, name), text)
  const node = (...args: string[]) =>
    spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', timeout: 60_000 })

  it('holds what is built, what is to be read, and nothing else', () => {
    const built = files.filter(file => file.startsWith('dist/'))
    assert.deepEqual(files.filter(file => !built.includes(file)).sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'package.json',
    ])
    const expected = ['src', 'workers'].flatMap(folder =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter(name => name.endsWith('.ts'))
        .map(name => `dist/${folder}/${name.replaceAll('\\', '/').replace(/\.ts$/, '')}`)
        .flatMap(name => [`${name}.d.ts`, `${name}.js`]),
    )
    assert.deepEqual(built.sort(), expected.sort())
    // Nothing points to a map that isn't there.
    for (const file of built) assert.doesNotMatch(readFileSync(join(installed, file), 'utf8'), /sourceMappingURL/)
  })

  it('has a manifest that publint has nothing to say about', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true })
    assert.deepEqual(messages, [])
  })

  const tasks = "queueable(function double(n) { return 2 * n }, { module: 'doubling', url: URL_OF_THIS })\n"

  it('is imported by an ES module, and its threads find their file', () => {
    write(
      'tasks.js',
      `import { queueable } from 'ptq'\nexport const double = ${tasks.replace('URL_OF_THIS', 'import.meta.url')}`,
    )
    write(
      'main.js',
      `import { LocalTaskQueue, partial } from 'ptq'
       import { double } from './tasks.js'
       const lq = new LocalTaskQueue({ parallel: 1 })
       for await (const r of lq.results([partial(double, 21)])) console.log(r.ok ? r.value : r.error)
       await lq.close()`,
    )
    const { stdout, stderr, status } = node('main.js')
    assert.equal(stderr, '')
    assert.equal(status, 0)
    assert.equal(stdout, '42\n')
  })

  it('is required by a CommonJS module, and its threads find their file', () => {
    write(
      'tasks.cjs',
      `const { queueable } = require('ptq')\nexports.double = ${tasks.replace('URL_OF_THIS', "require('node:url').pathToFileURL(__filename).href")}`,
    )
    write(
      'main.cjs',
      `const { LocalTaskQueue, partial } = require('ptq')
       const { double } = require('./tasks.cjs')
       const lq = new LocalTaskQueue({ parallel: 1 })
       lq.insertAll([partial(double, 21)]).then(async n => { console.log(n); await lq.close() })`,
    )
    // Node 20 and 22.0 warn that requiring an ES module is experimental.
    const { stdout, stderr, status } = node('--disable-warning=ExperimentalWarning', 'main.cjs')
    assert.equal(stderr, '')
    assert.equal(status, 0)
    assert.equal(stdout, '1\n')
  })

  it('has types that compile by themselves, for both kinds of module', () => {
    const program = `import { type Backend, LocalTaskQueue, partial, queueable, registerBackend, TaskQueue } from 'ptq'
      import { testBackend } from 'ptq/testing'
      const double = queueable(function double(n: number) { return 2 * n })
      export const done: Promise<number> = new LocalTaskQueue().insertAll([partial(double, 1)])
      // @ts-expect-error: the argument is a number
      partial(double, 'x')
      // @ts-expect-error: there is no such option
      void new TaskQueue('mem://q').poll({ lease: 1 })
      export const open = async (): Promise<Backend> => { throw new Error() }
      registerBackend('none', { open })
      testBackend({ name: 'none', open })\n`
    write('types.mts', program)
    write('types.cts', program)
    write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2023',
          strict: true,
          noEmit: true,
          skipDefaultLibCheck: true,
          types: ['node'],
        },
        files: ['types.mts', 'types.cts'],
      }),
    )
    const { stdout, status } = node(join(root, 'node_modules/typescript/bin/tsc'), '-p', project)
    assert.equal(status, 0, stdout)
  })
})
