import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { TaskQueue } from 'ptq'
import { open } from '#ptq/backends/fq/index.js'
import { inFolder } from '../fq/folder.js'
import type { Found } from './tasks.js'
import './tasks.js'

/** Puts a payload into a queue byte for byte, as any user with write access can. */
async function insertText(path: string, payload: string): Promise<string> {
  const id = randomUUID()
  const queue = await open({ protocol: 'fq', path })
  const body = `{"payload": ${payload}, "queueName": "${path}", "id": "${id}"}`
  assert.deepEqual(await queue.insert([{ id, body }], { delaySeconds: 0 }), [])
  await queue.close()
  return id
}

const POLL = { untilEmpty: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01, maxAttempts: 1 } as const

const HOSTILE = '{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}, "a": 1}'

for (const parallel of [0, 1]) {
  const where = parallel === 0 ? 'in this thread' : 'in a pool thread'

  test(`__proto__ and constructor in a payload are ordinary keys, ${where}`, () =>
    inFolder(async folder => {
      const path = join(folder, 'queue')
      const log = join(folder, 'log')
      await insertText(path, `[["tasks", "lookAt"], ["${log}", ${HOSTILE}], ${HOSTILE}, -1]`)
      await insertText(path, `{"class": "LookAtFields", "log": "${log}", ${HOSTILE.slice(1, -1)}}`)
      // No text that JSON.parse reads without loss: the strict reader builds these objects.
      await insertText(
        path,
        `[["tasks", "lookAt"], ["${log}", ${HOSTILE.replace('1', '12345678901234567890')}], ${HOSTILE}, -1]`,
      )
      await using tq = new TaskQueue(`fq://${path}`, { progress: false })
      assert.equal(await tq.poll({ ...POLL, parallel }), 3)
      const found = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .flatMap((line): Found[] => JSON.parse(line))
      assert.equal(found.length, 6)
      for (const { keys, plain, polluted } of found) {
        for (const key of ['__proto__', 'constructor', 'a']) assert.ok(keys.includes(key), key)
        assert.deepEqual({ plain, polluted }, { plain: true, polluted: undefined })
      }
      assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
    }))

  test(`no payload makes a worker import a file or call unregistered code, ${where}`, () =>
    inFolder(async folder => {
      const path = join(folder, 'queue')
      const trace = join(folder, 'imported')
      const evil = join(folder, 'evil.mjs')
      writeFileSync(
        evil,
        `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(trace)}, '')\nexport function run() {}\n`,
      )
      const url = pathToFileURL(evil).href
      const keys = [
        [evil, 'run'],
        [url, 'run'],
        ['./evil.mjs', 'run'],
        ['../queue/../evil', 'run'],
        [`data:text/javascript,import '${url}'`, 'run'],
        ['node:child_process', 'execSync'],
        ['__proto__', 'toString'],
        ['constructor', 'constructor'],
        ['tasks', '__proto__'],
        ['tasks', 'constructor'],
      ]
      for (const key of keys) await insertText(path, JSON.stringify([key, [`touch ${trace}`], {}, -1]))
      const classes = ['__proto__', 'constructor', 'Object', 'Function', 'process', url]
      for (const name of classes) await insertText(path, JSON.stringify({ class: name, url, file: evil }))
      await using tq = new TaskQueue(`fq://${path}`, { progress: false })
      assert.equal(await tq.poll({ ...POLL, parallel }), 0)
      let refused = 0
      for await (const { failures } of tq.failures()) {
        assert.match(failures[0]?.reason ?? '', /^not registered: /)
        refused++
      }
      assert.equal(refused, keys.length + classes.length)
      assert.equal(existsSync(trace), false, 'nothing was imported or run')
    }))
}
