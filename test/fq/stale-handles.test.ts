import assert from 'node:assert/strict'
import fs, { mkdirSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseOne, namesIn } from './messages.js'
import { interfered, nodeCode, systemError } from './test-files.js'

/**
 * Makes the next `times` calls of a `node:fs` function fail with ESTALE, as over NFS when another host replaced the
 * file.
 */
function staleCalls(t: TestContext, holder: object, name: string, times: number): void {
  const right: unknown = Reflect.get(holder, name)
  assert.ok(typeof right === 'function')
  let left = times
  Reflect.set(holder, name, (...args: unknown[]) => {
    if (left-- > 0) {
      const error = systemError('ESTALE', String(args[0]))
      if (holder === fs.promises) return Promise.reject(error)
      throw error
    }
    return Reflect.apply(right, holder, args)
  })
  syncBuiltinESMExports()
  t.after(() => {
    Reflect.set(holder, name, right)
    syncBuiltinESMExports()
  })
}

for (const [kind, holder, suffix] of [
  ['blocking', fs, 'Sync'],
  ['pooled', fs.promises, ''],
] as const) {
  test(`a ${kind} look at a file with a stale handle is retried, then throws, and never reports a missing file`, t =>
    inFolder(async folder => {
      const calls = nodeFileSystem[kind]
      const path = join(folder, 'insertions')
      writeFileSync(path, '1000')
      const looks: [string, () => unknown][] = [
        [`readFile${suffix}`, () => calls.read(path, 'at once')],
        [`stat${suffix}`, () => calls.stat(path)],
        [`opendir${suffix}`, async () => (await calls.openFolder(folder))?.close()],
        [`open${suffix}`, () => calls.clockMs(folder)],
      ]
      for (const [name, look] of looks) {
        staleCalls(t, holder, name, 2)
        assert.notEqual(await look(), null)
      }
      // A pooled look is tried five times, which takes a second.
      for (const [name, look] of kind === 'pooled' ? looks.slice(0, 1) : looks) {
        staleCalls(t, holder, name, kind === 'pooled' ? 5 : 3)
        await assert.rejects(async () => look(), { code: nodeCode('ESTALE') }, name)
      }
      // It was removed in the end.
      staleCalls(t, holder, `readFile${suffix}`, kind === 'pooled' ? 4 : 2)
      assert.equal(await calls.read(join(folder, 'removed'), 'at once'), undefined)
      staleCalls(t, holder, `readFile${suffix}`, 1)
      assert.equal(await calls.read(path, 'at once'), '1000')
      assert.equal(await calls.read(join(folder, 'nothing'), 'at once'), undefined)
    }))

  test(`a ${kind} rename or unlink with a stale handle is retried, then throws, and never reports a missing file`, t =>
    inFolder(async folder => {
      const calls = nodeFileSystem[kind]
      const path = join(folder, 'task')
      const tries = kind === 'pooled' ? 5 : 3
      writeFileSync(path, '')
      staleCalls(t, holder, `rename${suffix}`, 2)
      assert.equal(await calls.rename(path, `${path}2`), true)
      staleCalls(t, holder, `rename${suffix}`, tries)
      await assert.rejects(async () => calls.rename(`${path}2`, path), { code: nodeCode('ESTALE') })
      staleCalls(t, holder, `unlink${suffix}`, tries)
      await assert.rejects(async () => calls.unlink(`${path}2`, 'there'), { code: nodeCode('ESTALE') })
      staleCalls(t, holder, `rename${suffix}`, 1)
      assert.equal(await calls.rename(`${path}2`, path, 'hint'), false)
      staleCalls(t, holder, `unlink${suffix}`, 2)
      assert.equal(await calls.unlink(`${path}2`, 'there'), true)
      for (const name of ['rename', 'unlink']) staleCalls(t, holder, `${name}${suffix}`, 1)
      assert.equal(await calls.rename(`${path}2`, path), false)
      assert.equal(await calls.unlink(`${path}2`, 'there'), false)
    }))

  test(`a ${kind} rename into a missing folder throws while the file exists, and is a lost race when it does not`, () =>
    inFolder(async folder => {
      const calls = nodeFileSystem[kind]
      const path = join(folder, 'task')
      const target = join(folder, 'removed', 'task')
      writeFileSync(path, '')
      await assert.rejects(async () => calls.rename(path, target), { code: 'ENOENT' })
      assert.equal(await calls.rename(path, `${path}2`), true)
      assert.equal(await calls.rename(path, target), false)
      mkdirSync(join(folder, 'removed'))
      assert.equal(await calls.rename(path, target), false)
      assert.equal(await calls.rename(`${path}2`, target), true)
    }))
}

test('a lease without a clock reading is not renamed to a time that is not a number', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 1)
    const lease = await leaseOne(queue)
    const names = namesIn(root, 'queue')
    const files = interfered({})
    const noClock = { clockMs: () => undefined }
    const fileSystem = {
      ...files,
      blocking: { ...files.blocking, ...noClock },
      pooled: { ...files.pooled, ...noClock },
    }
    await using other = await openQueue(root, { fileSystem })
    const [failed] = await other.queue.renew([lease], 100)
    assert.match(failed?.error.message ?? '', /The clock of .* could not be read/)
    assert.deepEqual(namesIn(root, 'queue'), names)
    assert.deepEqual(await queue.delete([lease], { tally: false }), [])
  }))
