import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'
import { partial, TaskQueue } from 'ptq'
import { faultKind, isForbidden } from '#ptq/backends/sqs/faults.js'
import { codeOf, isAbortSignal, isError, isPromiseLike } from '#ptq/errors/thrown.js'
import { isBackoffException } from '#ptq/poll/poll-options.js'
import { add } from './local/tasks.js'

const root = join(import.meta.dirname, '..', '..')

describe('the source', () => {
  it('uses no instanceof for built-in classes, which fails for values of another realm', () => {
    const found: string[] = []
    for (const folder of ['src', 'workers']) {
      for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
        // That module answers these questions for all others.
        if (!name.endsWith('.ts') || join(folder, name) === join('src', 'thrown.ts')) continue
        const lines = readFileSync(join(root, folder, name), 'utf8').split('\n')
        for (const [index, line] of lines.entries()) {
          for (const [, right = ''] of line
            .replace(/^\s*(\/\/|\*|\/\*).*/, '')
            .matchAll(/\binstanceof\s+(?:globalThis\.)?(\w+)/g)) {
            if (right in globalThis) found.push(`${folder}/${name}:${index + 1}: instanceof ${right}`)
          }
        }
      }
    }
    assert.deepEqual(found, [], 'use isError, isErrorNamed, isPromiseLike, … of src/errors/thrown.ts, or util.types')
  })
})

describe('values of another realm', () => {
  it('are recognised as errors, promises, signals and error classes', () => {
    assert.ok(isError(runInNewContext('new TypeError("x")')))
    assert.ok(isError(new DOMException('x')))
    assert.ok(!isError({ message: 'x' }) && !isError(null) && !isError('Error: x'))
    assert.equal(codeOf(runInNewContext('Object.assign(new Error("x"), { code: "ENOENT" })')), 'ENOENT')
    assert.ok(isPromiseLike(runInNewContext('Promise.resolve()')))
    assert.ok(isPromiseLike(runInNewContext('({ then() {} })')))
    assert.ok(isAbortSignal(AbortSignal.abort()) && !isAbortSignal({ aborted: true }))
    const Busy = runInNewContext('class Busy extends RangeError {}; Busy')
    assert.ok(isBackoffException(new Busy('x'), [Busy]))
    assert.ok(!isBackoffException(runInNewContext('new TypeError("x")'), [Busy]))
  })

  it('with circular causes end the search for an SDK error', () => {
    const circle = new Error('one')
    circle.cause = new Error('two', { cause: circle })
    assert.equal(faultKind(circle), 'final')
    assert.equal(isForbidden(circle), false)
    const refused = Object.assign(runInNewContext('new Error("x")'), { code: 'ECONNREFUSED' })
    assert.equal(faultKind(new Error('outer', { cause: refused })), 'unreachable')
  })

  it('are awaited when beforeFn and afterFn return them, lazy thenables too', async () => {
    await using tq = new TaskQueue('mem://other-realms')
    await tq.insert(partial(add, 1, 2))
    const steps: string[] = []
    const setLater = (step: string) => (done: () => void) =>
      setImmediate(() => {
        steps.push(step)
        done()
      })
    const makePromise: (begin: (done: () => void) => void) => unknown = runInNewContext('begin => new Promise(begin)')
    await tq.poll({
      parallel: 0,
      untilEmpty: true,
      beforeFn: () => makePromise(setLater('before')),
      // biome-ignore lint/suspicious/noThenProperty: a lazy thenable is what is tried here
      afterFn: () => ({ then: (done: () => void) => setLater('after')(done) }),
    })
    assert.deepEqual(steps, ['before', 'after'])
  })
})
