import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import type { PollOptions, WorkerEventMap } from 'ptq'
import { pollSettings } from '#ptq/poll/poll-options.js'

const root = join(import.meta.dirname, '../../..')
const page = readFileSync(join(root, 'docs/workers.md'), 'utf8')

it('the page on workers shows the worker of the tested example', () => {
  assert.ok(page.includes(`\`\`\`ts\n${readFileSync(join(root, 'examples/workers/worker.ts'), 'utf8')}\`\`\`\n`))
})

it('the page on workers names every option and its default', () => {
  const refusal = (() => {
    try {
      pollSettings(JSON.parse('{"nonsense": 1}'))
      return ''
    } catch (error) {
      return String(error)
    }
  })()
  const names = refusal.replace(/^.* among (.*), got.*$/, '$1').split(', ') as (keyof PollOptions)[]
  assert.ok(names.length > 15)
  for (const name of names) assert.ok(page.includes(`\`${name}\``), name)
  const { parallel, leaseSeconds, maxAttempts, minBackoffSeconds, maxBackoffSeconds, onError } = pollSettings({})
  assert.deepEqual(
    [parallel, leaseSeconds, maxAttempts, minBackoffSeconds, maxBackoffSeconds, onError],
    [1, 600, 5, 1, 120, 'retry'],
  )
})

it('the page on workers names every event', () => {
  const events: Record<keyof WorkerEventMap, true> = {
    leased: true,
    started: true,
    progress: true,
    log: true,
    renewed: true,
    deleting: true,
    deleted: true,
    succeeded: true,
    failed: true,
    lost: true,
    'dead-lettered': true,
    released: true,
    idle: true,
  }
  for (const name of Object.keys(events)) assert.ok(page.includes(`\`${name}\``), name)
})
