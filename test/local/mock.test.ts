import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MockTaskQueue, partial, type TaskInput } from 'ptq'
import { fail } from './bad-tasks.js'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { Adder, count, shared, where } from './tasks.js'

checkThatNothingIsLeft()

describe('MockTaskQueue', () => {
  it('runs each task when it is inserted, in this thread', async () => {
    const counts = shared(3)
    const tasks = [0, 1, 2].map((index): TaskInput => [partial(count, index), [counts]])
    const mock = new MockTaskQueue()
    assert.equal(await mock.insert(tasks.slice(0, 2)), 2)
    assert.deepEqual([...counts], [1, 1, 0])
    assert.equal(await mock.insertAll(new Set(tasks.slice(2))), 1)
    assert.deepEqual([...counts], [1, 1, 1])
    assert.equal(await mock.insert(new Adder({ a: 1, b: 2 })), 1)
    assert.equal(await mock.insert(where), 1)
    assert.equal(await mock.execute(), 0)
    mock.purge()
    await mock.close()
    await assert.rejects(mock.insert(where), /to be open, but close\(\) was called/)
  })

  it('rejects with the TaskError of the first failure, whose cause is the very error', async () => {
    await using mock = new MockTaskQueue()
    const counts = shared(2)
    await assert.rejects(
      mock.insert([[partial(fail, 'throws', 0), [counts]] satisfies TaskInput, [partial(count, 1), [counts]]]),
      (error: unknown) => {
        assert.ok(error instanceof Error && error.name === 'TaskError' && error.cause instanceof TypeError)
        assert.match(error.cause.stack ?? '', /bad-tasks\.js/)
        return true
      },
    )
    assert.deepEqual([...counts], [1, 0])
  })
})
