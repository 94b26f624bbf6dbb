import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { maxTasksOfMessage, packId, tasksIn, tasksOfMessage } from '#ptq/backend/pack-ids.js'
import { indexOfTaskId, newSeed, taskIds } from '#ptq/backend/task-ids.js'
import { isId } from '#ptq/backends/fq/names.js'

const count = fc.integer({ min: 1, max: maxTasksOfMessage })
const index = fc.oneof(fc.nat(100_000), fc.maxSafeNat())

describe('ids of packs', () => {
  it('are UUIDs of version 8 that contain the number of tasks', () => {
    fc.assert(
      fc.property(fc.uuid(), count, (base, count) => {
        const id = packId(base, count)
        assert.ok(isId(id))
        assert.equal(tasksOfMessage(id), count)
        if (count > 1) assert.match(id, /^.{14}8.{4}[89ab]/)
        assert.equal(packId(base, count), id)
      }),
    )
  })

  it('distinguish other messages as one task, also those of a bulk insert, which are of version 8 too', () => {
    const idOf = taskIds(newSeed())
    for (let n = 0; n < 200_000; n++) assert.equal(tasksOfMessage(idOf(n)), 1)
    for (let n = 0; n < 1000; n++) assert.equal(tasksOfMessage(randomUUID()), 1)
  })

  it('differ for 100,000 packs of one size', () => {
    const ids = new Set(Array.from({ length: 100_000 }, () => packId(randomUUID(), 100)))
    assert.equal(ids.size, 100_000)
    assert.equal(tasksIn([...ids].map(id => ({ id }))), 10_000_000)
  })
})

describe('the index of a task id', () => {
  it('is found by its seed, and by no other', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-f]{32}$/), index, (seed, index) => {
        const id = taskIds(seed)(index)
        assert.equal(indexOfTaskId(seed, id), index)
        assert.equal(indexOfTaskId(newSeed(), id), undefined)
        assert.equal(indexOfTaskId(seed, randomUUID()), undefined)
      }),
    )
  })
})
