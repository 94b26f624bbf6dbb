import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { otherReasons, ReasonCounts } from '#ptq/queue/reason-counts.js'
import { groupMatcher, groupOfEach } from '#ptq/queue/reason-groups.js'

/** Reasons with few forms and many values. */
const reasons = fc
  .tuple(
    fc.constantFrom('HttpError: HTTP ', 'Error: frame ', "ENOENT: open '/data/a/", 'took (', 'at [x] ', 'a\\b $ '),
    fc.oneof(fc.nat(30).map(String), fc.uuid(), fc.constantFrom('0xff', '1.5', 'tile 3, 4', '…', 'a…b')),
    fc.constantFrom('', ')', "'", ' of 7', '.tif', '/b/c.png'),
  )
  .map(parts => parts.join(''))

describe('groups of reasons', () => {
  it('a group matches the reasons it was made of', () => {
    fc.assert(
      fc.property(fc.array(reasons, { minLength: 1, maxLength: 60 }), all => {
        const counts = new Map<string, number>()
        for (const reason of all) counts.set(reason, (counts.get(reason) ?? 0) + 1)
        for (const [reason, group] of groupOfEach(counts)) {
          assert.ok(groupMatcher(group)(reason), `${group} does not match ${reason}`)
        }
      }),
    )
  })

  it('a group matches no reason with other words, or with more after it', () => {
    const isOfGroup = groupMatcher('HttpError: HTTP 404 for tile …, …')
    assert.ok(isOfGroup('HttpError: HTTP 404 for tile 17, 0x1f'))
    for (const other of [
      'HttpError: HTTP 503 for tile 17, 0x1f',
      'HttpError: HTTP 404 for tile 17, 0x1f: retried',
      'HttpError: HTTP 404 for tile seventeen, 0x1f',
      'httpError: HTTP 404 for tile 17, 0x1f',
    ]) {
      assert.ok(!isOfGroup(other), other)
    }
  })

  it('counts of very many reasons that differ in values stay exact, with the ids of some', () => {
    const counts = new ReasonCounts()
    for (let n = 0; n < 50_000; n++) counts.add(`Error: frame ${n} is broken`, `a${n}`)
    for (let n = 0; n < 3; n++) counts.add('Error: disk is full', `b${n}`)
    const groups = counts.groups()
    assert.deepEqual(groups[0], {
      reason: 'Error: frame … is broken',
      count: 50_000,
      ids: ['a0', 'a1', 'a2', 'a3', 'a4'],
    })
    assert.deepEqual(groups[1], { reason: 'Error: disk is full', count: 3, ids: ['b0', 'b1', 'b2'] })
    assert.equal(counts.total, 50_003)
  })

  it('very many reasons with different words are counted together beyond the limit', () => {
    const counts = new ReasonCounts()
    const word = (n: number) => [...String(n)].map(digit => 'abcdefghij'[Number(digit)]).join('')
    for (let n = 0; n < 30_000; n++) counts.add(`Error: ${word(n)}`, `a${n}`)
    const [first] = counts.groups()
    assert.equal(first?.reason, otherReasons)
    assert.equal(
      counts.groups().reduce((sum, { count }) => sum + count, 0),
      30_000,
    )
  })
})
