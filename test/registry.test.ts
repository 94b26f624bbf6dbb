import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { partial, queueable, RegisteredTask, registerTask } from 'ptq'
import { moduleName } from '#ptq/tasks/caller.js'
import { findClass, findFunction, registeredClass, registeredFunction } from '#ptq/tasks/registry.js'
import { registerAgain } from './registry/other-file.js'

const shared = queueable(function shared() {
  return 1
})

class Shared extends RegisteredTask {
  execute() {
    return 1
  }
}

describe('queueable', () => {
  it('returns the function, registered under the stem of its file and its name', () => {
    assert.equal(shared(), 1)
    const entry = registeredFunction(shared)
    assert.equal(entry, findFunction('registry.test', 'shared'))
    assert.equal(entry?.url, import.meta.url)
    assert.deepEqual(entry?.key, ['registry.test', 'shared'])
    assert.deepEqual(registeredFunction(registerAgain.own())?.key, ['other-file', 'shared'])
  })

  it('accepts another key and file', () => {
    const fn = queueable(() => 2, { module: 'mylib.tasks', name: 'two', url: 'file:///x/y.js' })
    assert.deepEqual(partial(fn).payload(), [['mylib.tasks', 'two'], [], {}, -1])
    assert.equal(registeredFunction(fn)?.url, 'file:///x/y.js')
  })

  it('may be called twice for one function', () => {
    assert.equal(queueable(shared), shared)
  })

  it('refuses a second function under a key, from another file or from the same', () => {
    assert.throws(
      () => registerAgain.function(),
      /^Error: Expected the name of function registry\.test\.shared to be free, but file:.*registry\.test\.js registered it and now file:.*other-file\.js does too; rename/,
    )
    assert.throws(
      () =>
        queueable(function shared() {
          return 2
        }),
      /function registry\.test\.shared to be free, but .* registered it with other code/,
    )
    assert.equal(findFunction('registry.test', 'shared')?.fn, shared)
  })

  it('accepts the same source from the same file again: a reload, or ESM and CommonJS', () => {
    const make = () =>
      function reloaded() {
        return 3
      }
    queueable(make())
    const second = queueable(make())
    assert.equal(findFunction('registry.test', 'reloaded')?.fn, second)
    const withQuery = queueable(make(), { url: `${import.meta.url}?again` })
    assert.equal(findFunction('registry.test', 'reloaded')?.fn, withQuery)
  })

  it('refuses what is not a function, or has no name', () => {
    for (const fn of [undefined, 'x', {}]) {
      assert.throws(() => queueable(fn as never), /^TypeError: Expected `fn` to be a function, got/)
    }
    assert.throws(
      () => queueable(() => 1),
      /^TypeError: Expected `fn` to be a function with a name; write `function name\(\)/,
    )
    assert.throws(
      () => queueable(shared, { name: '' }),
      /^TypeError: Expected `options\.name` to be a text that is not empty/,
    )
    // As someone without types may write it: the whole key.
    const key = ['module', 'name'] as unknown as string
    assert.throws(
      () => queueable(shared, { name: key }),
      /^TypeError: Expected `options\.name` to be a text .*, got `\[/,
    )
    assert.throws(() => queueable(shared, { module: '' }), /Expected `options\.module` to be the first half of the key/)
  })
})

describe('registerTask', () => {
  it('returns the class, registered under its name', () => {
    assert.equal(registerTask(Shared), Shared)
    assert.equal(registeredClass(Shared), findClass('Shared'))
    assert.equal(findClass('Shared')?.url, import.meta.url)
    assert.equal(registerTask(Shared), Shared)
  })

  it('accepts another name', () => {
    class Local extends Shared {}
    registerTask(Local, { name: 'PythonName', url: 'file:///x/y.js' })
    assert.deepEqual(new Local({}).payload(), { class: 'PythonName' })
    assert.equal(findClass('PythonName')?.url, 'file:///x/y.js')
  })

  it('refuses a second class under a name', () => {
    registerTask(Shared)
    assert.throws(
      () => registerAgain.class(),
      /class Shared to be free, but file:.*and now file:.*other-file\.js does too/,
    )
    assert.equal(findClass('Shared')?.class, Shared)
  })

  it('refuses what is not a task class, or has no name', () => {
    for (const Class of [undefined, class {}, () => 1, { execute: () => 1 }]) {
      assert.throws(() => registerTask(Class as never), /^TypeError: Expected `Class` to be a class that extends Regis/)
    }
    const anonymous = (() => class extends Shared {})()
    assert.throws(() => registerTask(anonymous), /^TypeError: Expected `Class` to be a class with a name/)
  })
})

describe('the registering file', () => {
  it('is found for a path with spaces, symbols and letters of any language, from ESM and CommonJS', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ptq registry 100% č#-'))
    const ptq = import.meta.resolve('ptq')
    const body = (name: string) => `queueable(function ${name}() { return 1 })`
    for (const [file, name, code] of [
      ['my tasks.mjs', 'esm', `import { queueable } from ${JSON.stringify(ptq)}; ${body('esm')}`],
      ['my.tasks.cjs', 'cjs', `const { queueable } = require(${JSON.stringify(fileURLToPath(ptq))}); ${body('cjs')}`],
    ] as const) {
      const url = pathToFileURL(join(folder, file)).href
      writeFileSync(join(folder, file), code)
      await import(url)
      assert.equal(findFunction(file.slice(0, -4), name)?.url, url)
    }
    rmSync(folder, { recursive: true })
  })

  it('gives the name of the module by its stem', () => {
    for (const [url, module] of [
      ['file:///a/tasks.ts', 'tasks'],
      ['file:///a/dist/tasks.js', 'tasks'],
      ['file:///a/my.tasks.mts', 'my.tasks'],
      ['file:///a/%C4%8Dau%20x.js?v=2', 'čau x'],
      [undefined, undefined],
    ]) {
      assert.equal(moduleName(url), module)
    }
  })
})
