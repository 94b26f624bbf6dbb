// Dead letters of queues that delete a message and store the dead letter at once.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { partial, registerBackend, TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { opener as mem } from '#ptq/backends/mem/index.js'
import { LeaseLostError } from '#ptq/errors/errors.js'
import { places } from '../results/server-places.js'
import { mixed } from '../results/tasks.js'

for (const { name, opener, skip, start } of places) {
  const urlOf = skip ? undefined : await start()
  const newUrl = (suffix = '') => urlOf?.(`test-${randomUUID()}${suffix}`) ?? ''
  const open = (url: string): Promise<Backend> => opener.open(parseQueueUrl(url, { cwd: '/', home: '/' }), {})

  test(`${name}: a leased message moves into another queue with a new body, or stays where it is`, {
    skip,
  }, async () => {
    const [from, to] = await Promise.all([open(newUrl()), open(newUrl('/failed'))])
    const memory = await mem.open({ protocol: 'mem', path: randomUUID() }, {})
    try {
      const id = randomUUID()
      const message = { id, body: '{"dead":true}' }
      await from.insert([{ id, body: '{}' }], { delaySeconds: 0 })
      const [lease] = await from.lease({ seconds: 60, max: 1, waitSeconds: 0 })
      assert.ok(lease !== undefined && from.moveLeased !== undefined)
      assert.equal(await from.moveLeased(lease, message, memory), false)
      assert.equal((await from.counts()).leased, 1)
      assert.equal(await from.moveLeased(lease, message, to), true)
      assert.equal((await from.counts()).enqueued, 0)
      const [moved] = await to.lease({ seconds: 60, max: 1, waitSeconds: 0 })
      assert.deepEqual([moved?.id, moved?.body, moved?.attempt], [id, message.body, 1])
      await assert.rejects(from.moveLeased(lease, { id: randomUUID(), body: '{}' }, to), LeaseLostError)
      assert.equal((await to.counts()).enqueued, 1)
    } finally {
      await Promise.all([from, to, memory].map(backend => backend.close()))
    }
  })

  test(`${name}: a worker that can delete nothing leaves its dead letter in one place`, { skip }, async () => {
    const url = newUrl()
    const protocol = `undeletable-${name}`
    registerBackend(protocol, {
      async open() {
        const backend = await open(url)
        backend.delete = () => Promise.reject(new Error('the connection is gone'))
        return backend
      },
    })
    await using queue = new TaskQueue(`${protocol}://q`)
    await using original = new TaskQueue(url)
    const deadLetter = `${url}${encodeURIComponent('/failed')}`
    await using dead = new TaskQueue(deadLetter)
    await queue.insert([partial(mixed, 1)])
    await queue.poll({ parallel: 0, maxAttempts: 1, untilEmpty: true, deadLetter })
    assert.deepEqual([await original.enqueued(), await dead.enqueued()], [0, 1])
  })
}
