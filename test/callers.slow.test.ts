import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { build } from 'esbuild'
import ts from 'typescript'

const folder = mkdtempSync(join(tmpdir(), 'ptq-callers-'))
after(() => rmSync(folder, { recursive: true }))
const ptq = import.meta.resolve('ptq')
const write = (name: string, text: string): string => {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text.replaceAll("'ptq'", `'${ptq}'`))
  return path
}

const runs = (tasks: string) => `
  import { LocalTaskQueue } from 'ptq'
  import * as tasks from '${tasks}'
  const lq = new LocalTaskQueue({ parallel: 1, progress: false })
  for await (const { value, error } of lq.results(tasks.all())) console.log(error?.message ?? value)
  await lq.close()
`

const run = (path: string, ...flags: string[]): string =>
  execFileSync(process.execPath, [...flags, path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  })

const decorated = `
  import { RegisteredTask, registerTask } from 'ptq'
  @registerTask
  export class Decorated extends RegisteredTask<{ n: number }> {
    execute() { return this.args.n + 1 }
  }
  export const all = () => [new Decorated({ n: 1 })]
`

const compiled = (options: ts.CompilerOptions): string =>
  ts.transpile(decorated, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, ...options })

describe('the module that a thread imports', () => {
  it('is the module of the class if a helper of a package calls its decorator', () => {
    // As in tslib, @swc/helpers and reflect-metadata: a function of theirs, called through another.
    write(
      'node_modules/helpers/index.js',
      `const through = (decorators, target) => decorators.reduceRight((Class, decorate) => decorate(Class) ?? Class, target)
       export const __decorate = (decorators, target) => through(decorators, target)
       export const _ts_decorate = __decorate`,
    )
    write('node_modules/helpers/package.json', '{ "type": "module", "exports": "./index.js" }')
    const code = compiled({ experimentalDecorators: true, importHelpers: true })
    assert.match(code, /from "tslib"/)
    write('by-package.mjs', code.replace('"tslib"', '"helpers"'))
    assert.equal(run(write('main-package.mjs', runs('./by-package.mjs'))), '2\n')
  })

  it("is the module of the class with TypeScript's own helpers, for both kinds of decorators", () => {
    for (const experimentalDecorators of [true, false]) {
      const name = `own-${experimentalDecorators}.mjs`
      write(name, compiled({ experimentalDecorators }))
      assert.equal(run(write(`main-${name}`, runs(`./${name}`))), '2\n')
    }
  })

  it('is the module of the class if a bundler puts the helper into a shared chunk', async () => {
    write('a.ts', decorated)
    write('b.ts', decorated.replaceAll('Decorated', 'Other'))
    await build({
      absWorkingDir: folder,
      entryPoints: ['a.ts', 'b.ts'],
      bundle: true,
      splitting: true,
      minify: true,
      format: 'esm',
      platform: 'node',
      outdir: 'bundled',
      outExtension: { '.js': '.mjs' },
      external: [ptq],
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
      logLevel: 'error',
    })
    assert.equal(run(write('main-bundled.mjs', runs('./bundled/a.mjs'))), '2\n')
  })

  it("is the caller's if a wrapper of the user registers functions, sequences and backends", () => {
    write(
      'wrapper.mjs',
      `import { queueable, registerBackend, registerTask, RegisteredTask, sliceable } from 'ptq'
       export const task = fn => queueable(fn)
       export const sequence = Class => sliceable(Class)
       export const taskClass = Class => registerTask(Class)
       export const backend = (protocol, opener) => registerBackend(protocol, opener)`,
    )
    write(
      'wrapped.mjs',
      `import { partial, RegisteredTask } from 'ptq'
       import { backend, sequence, task, taskClass } from './wrapper.mjs'
       export const double = task(function double(n) { return 2 * n })
       export const Triple = taskClass(class Triple extends RegisteredTask { execute() { return 3 * this.args.n } })
       export const Some = sequence(class Some {
         constructor(length) { this.length = length }
         slice(start, end) { return [...this].slice(start, end) }
         *[Symbol.iterator]() { for (let n = 0; n < this.length; n++) yield partial(double, n) }
       })
       backend('wrapped', { open: async () => { throw new Error('not opened here') } })
       export const all = () => [partial(double, 1), new Triple({ n: 1 })]`,
    )
    assert.equal(run(write('main-wrapped.mjs', runs('./wrapped.mjs'))), '2\n3\n')
    const inserts = `
      import { TaskQueue } from 'ptq'
      import { backendFile } from '${import.meta.resolve('#ptq/queue/open-backend.js')}'
      import { Some } from './wrapped.mjs'
      const tq = new TaskQueue('fq://${folder}/queue', { progress: false })
      console.log(await tq.insert(new Some(3), { parallel: 1 }))
      await tq.close()
      console.log(backendFile('wrapped'))`
    assert.match(run(write('main-insert.mjs', inserts)), /^3\nfile:.*\/wrapped\.mjs\n$/)
  })

  it('can be named, and the error for a module that registers nothing says how', () => {
    write(
      'one-sided.mjs',
      `import { isMainThread } from 'node:worker_threads'
      import { partial, queueable } from 'ptq'
      if (isMainThread) globalThis.oneSided = queueable(function oneSided() {})
      export const all = () => [partial(globalThis.oneSided)]`,
    )
    assert.match(
      run(write('main-one-sided.mjs', runs('./one-sided.mjs'))),
      /failed: Expected file:\/\/.*\/one-sided\.mjs to register one-sided\.oneSided when a thread imports it; .* queueable\(…, \{ url: import\.meta\.url \}\)\n$/,
    )
    write(
      'named.mjs',
      `import { partial, queueable } from 'ptq'
      import './registers-named.mjs'
      export const all = () => [partial(queueable(globalThis.named, { url: new URL('registers-named.mjs', import.meta.url).href, module: 'm' }))]`,
    )
    write(
      'registers-named.mjs',
      `import { queueable } from 'ptq'
      globalThis.named = queueable(function named() { return 'by its url' }, { url: import.meta.url, module: 'm' })`,
    )
    assert.equal(run(write('main-named.mjs', runs('./named.mjs'))), 'by its url\n')
  })

  it('is found if Error is frozen', () => {
    const wrapped = `import { partial } from 'ptq'
      import { task } from './wrapper.mjs'
      export const double = task(function double(n) { return 2 * n })
      export const all = () => [partial(double, 4)]`
    write('frozen.mjs', wrapped)
    assert.equal(run(write('main-frozen.mjs', runs('./frozen.mjs')), '--frozen-intrinsics', '--no-warnings'), '8\n')
  })
})
