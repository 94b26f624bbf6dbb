import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { IdSet } from '#ptq/backend/id-set.js'

const ids = [
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ...Array.from({ length: 5_000 }, () => randomUUID()),
  // Ids of a writer that counts: they differ in one word only.
  ...Array.from({ length: 5_000 }, (_, index) => `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`),
  ...Array.from(
    { length: 5_000 },
    (_, index) => `${(index + 1).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
  ),
]

test('a set of ids contains each added id at every size, and no other', () => {
  const set = new IdSet()
  for (const [index, id] of ids.entries()) {
    assert.equal(set.has(id), false, id)
    assert.equal(set.add(id), true, id)
    assert.equal(set.size, index + 1)
  }
  for (const id of ids) {
    assert.equal(set.has(id), true, id)
    assert.equal(set.add(id), false, id)
  }
  assert.equal(set.size, ids.length)
  assert.equal(set.has(randomUUID()), false)
})
