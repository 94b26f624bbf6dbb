// A retry of dead letters ends, whatever comes into their queue while it runs.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { registerBackend, TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { messageWriter } from '#ptq/backend/envelope.js'
import { opener } from '#ptq/backends/mem/index.js'

const LETTERS = 5

/** Dead letters, of which one more, or one again, comes before each lease request. */
function growing(protocol: string, { exactCounts, again }: { exactCounts: boolean; again: boolean }): void {
  registerBackend(protocol, {
    async open({ path }, options): Promise<Backend> {
      const mem = await opener.open({ protocol: 'mem', path }, options)
      const write = messageWriter(mem.queueName)
      const add = (count: number, id = randomUUID()) =>
        mem.insert(
          Array.from({ length: count }, (_, index) => ({ id, body: write(`{"class": "A", "index": ${index}}`, id) })),
          { delaySeconds: 0 },
        )
      const known = randomUUID()
      return {
        capabilities: { ...mem.capabilities, exactCounts },
        label: mem.label,
        queueName: mem.queueName,
        insert: (...args) => mem.insert(...args),
        async lease(lease) {
          await (again ? add(1, known) : add(LETTERS))
          return mem.lease({ ...lease, waitSeconds: 0 })
        },
        renew: (...args) => mem.renew(...args),
        release: (...args) => mem.release(...args),
        delete: (...args) => mem.delete(...args),
        counts: () => mem.counts(),
        purge: purge => mem.purge(purge),
        close: () => mem.close(),
      }
    },
  })
}

growing('growing', { exactCounts: true, again: false })
growing('roughly', { exactCounts: false, again: false })
growing('again', { exactCounts: true, again: true })

for (const protocol of ['growing', 'roughly', 'again'] as const) {
  test(`a retry beside new dead letters ends: ${protocol}`, { timeout: 60_000 }, async () => {
    await using tq = new TaskQueue(`mem://retry-${protocol}`, { progress: false })
    const deadLetter = `${protocol}://letters-${protocol}`
    await using dead = new TaskQueue(deadLetter, { progress: false })
    await dead.insert(Array.from({ length: LETTERS }, () => ({ class: 'A' })))
    const moved = await tq.retry({ deadLetter, ...(protocol === 'again' && { match: 'no letter' }) })
    assert.ok(protocol === 'again' ? moved === 0 : moved >= LETTERS, `${moved} moved`)
  })
}
