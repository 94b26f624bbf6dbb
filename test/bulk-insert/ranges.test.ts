import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { cut, type Range, shownRange, sizeOf, union, without } from '#ptq/tasks/ranges.js'

const range = fc.tuple(fc.nat(60), fc.nat(20)).map(([start, length]) => ({ start, end: start + length }))
const indices = (ranges: Iterable<Range>) =>
  [...ranges].flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i))

describe('ranges', () => {
  it('are sets: union, without and cut lose and repeat nothing', () => {
    fc.assert(
      fc.property(fc.array(range), range, fc.integer({ min: 1, max: 9 }), (ranges, whole, size) => {
        const joined = union(ranges)
        const members = new Set(indices(ranges))
        assert.deepEqual(
          indices(joined),
          [...members].sort((a, b) => a - b),
        )
        assert.equal(sizeOf(joined), members.size)
        for (const [i, { start }] of joined.entries()) if (i > 0) assert.ok(start > (joined[i - 1]?.end ?? start))

        const left = without(whole, joined)
        assert.deepEqual(
          indices(left),
          indices([whole]).filter(i => !members.has(i)),
        )

        const pieces = [...cut(left, size)]
        assert.deepEqual(indices(pieces), indices(left))
        assert.ok(pieces.every(({ start, end }) => end > start && end - start <= size))
      }),
    )
  })

  it('are printed with their last index', () => {
    assert.equal(shownRange({ start: 100, end: 200 }), 'Tasks 100 to 199')
    assert.equal(shownRange({ start: 7, end: 8 }), 'Task 7')
  })
})
