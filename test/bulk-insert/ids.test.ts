import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { newSeed, taskIds } from '#ptq/backend/task-ids.js'

const seed = fc.stringMatching(/^[0-9a-f]{32}$/)
const index = fc.oneof(
  fc.nat(10_000),
  fc.maxSafeNat(),
  fc.integer({ min: -3, max: 3 }).map(by => 2 ** 32 + by),
  fc.nat(1000).map(by => Number.MAX_SAFE_INTEGER - by),
)

describe('the ids of a bulk insert', () => {
  it('are UUIDs of version 8, the same for the same seed and index', () => {
    fc.assert(
      fc.property(seed, index, (seed, index) => {
        const id = taskIds(seed)(index)
        assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.equal(taskIds(seed)(index), id)
      }),
    )
  })

  it('differ for different indices, up to 2^53', () => {
    fc.assert(
      fc.property(seed, fc.uniqueArray(index, { minLength: 2, maxLength: 1000 }), (seed, indices) => {
        assert.equal(new Set(indices.map(taskIds(seed))).size, indices.length)
      }),
    )
    // Neighbours, and indices that differ in one bit: where a weak mix would collide.
    const near = new Set<number>()
    for (let bit = 0; bit < 53; bit++) for (let low = 0; low < 2000; low++) near.add(2 ** bit + low)
    const ids = new Set([...near].filter(Number.isSafeInteger).map(taskIds('0'.repeat(32))))
    assert.equal(ids.size, [...near].filter(Number.isSafeInteger).length)
  })

  it('are uniformly distributed in every free digit', () => {
    const idOf = taskIds('00000000000000000000000000000001')
    const count = 32_000
    const digits = Array.from({ length: 32 }, () => new Array<number>(16).fill(0))
    for (let i = 0; i < count; i++) {
      const hex = idOf(i).replaceAll('-', '')
      for (let at = 0; at < 32; at++) {
        const of = digits[at]
        const value = Number.parseInt(hex[at] ?? '', 16)
        if (of !== undefined) of[value] = (of[value] ?? 0) + 1
      }
    }
    digits.forEach((counts, at) => {
      if (at === 12 || at === 16) return
      const expected = count / 16
      const chiSquared = counts.reduce((sum, got) => sum + (got - expected) ** 2 / expected, 0)
      // 15 degrees of freedom: a random digit exceeds 45 once in 10,000.
      assert.ok(chiSquared < 45, `digit ${at}: ${chiSquared}`)
    })
  })

  it('of two inserts differ', () => {
    const ids = new Set<string>()
    for (let upload = 0; upload < 20; upload++) {
      const idOf = taskIds(newSeed())
      for (let i = 0; i < 1000; i++) ids.add(idOf(i))
    }
    assert.equal(ids.size, 20_000)
  })
})
