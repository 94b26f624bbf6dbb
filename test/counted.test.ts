import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { it } from 'node:test'
import { TaskQueue } from 'ptq'
import { counted } from '#ptq/text/counted.js'

it('one is singular, zero and many are plural', () => {
  assert.deepEqual(
    [0, 1, 2].map(count => counted(count, 'task')),
    ['0 tasks', '1 task', '2 tasks'],
  )
  assert.equal(counted(1, 'lease ends by itself', 'leases end by themselves'), '1 lease ends by itself')
})

it('errors about one task are in the singular', async () => {
  await using tq = new TaskQueue(`mem://${randomUUID()}`, { progress: false })
  const tasks = function* () {
    yield { class: 'Counted' }
    throw new Error('no more')
  }
  await assert.rejects(tq.insert(tasks()), /^InsertError: 1 task was inserted into mem:.* 0 failed/)
  await assert.rejects(tq.insert(tasks(), { total: 2 }), /^InsertError: 1 of 2 tasks were inserted into mem:/)
  await tq.purge()
})
