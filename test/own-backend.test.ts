import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { type BackendOpener, registerBackend, TaskQueue } from 'ptq'
import { testBackend } from 'ptq/testing'

// The tests run from build/test.
const root = join(import.meta.dirname, '../..')
const example: { opener: BackendOpener } = await import(join(root, 'build/examples/own-backend.js'))
const { opener } = example

it('the page on writing a backend shows the tested example', () => {
  const page = readFileSync(join(root, 'docs/writing-a-backend.md'), 'utf8')
  const [, shown] = /<!-- examples\/own-backend\.ts -->\n```ts\n(.*?)```\n/s.exec(page) ?? []
  assert.equal(shown, readFileSync(join(root, 'examples/own-backend.ts'), 'utf8'))
  const [, suite] = /<!-- test\/own-backend\.test\.ts -->\n```ts\n.*?\n(testBackend\(.*?)\n```\n/s.exec(page) ?? []
  assert.ok(suite)
  assert.ok(readFileSync(join(root, 'test/own-backend.test.ts'), 'utf8').includes(`\n${suite}\n`))
})

it('a registered backend works with TaskQueue', async () => {
  registerBackend('map', opener)
  const tq = new TaskQueue('map://jobs', { progress: false })
  assert.equal(await tq.insert([{ class: 'A' }, { class: 'B' }]), 2)
  assert.equal(await tq.delete(await tq.lease({ numTasks: 2 })), 2)
  assert.equal(await tq.isEmpty(), true)
  await tq.close()
})

testBackend({ name: 'map', open: queue => opener.open({ protocol: 'map', path: queue }, {}) })
