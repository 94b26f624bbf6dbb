import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Box, grid, partial, queueable, range, UnregisteredTaskError } from 'ptq'

const square = queueable(function square(i: number) {
  return i * i
})
const segment = queueable(function segment(box: Box<[number, number, number]>) {
  return box
})
const segmentAt = queueable(function segmentAt(path: string, box: Box) {
  return [path, box]
})
const two = queueable(
  function two(a: number, b: number) {
    return a + b
  },
  { minArgs: 2 },
)

const argumentsOf = (tasks: Iterable<{ args: readonly unknown[] }>) => [...tasks].map(({ args }) => args)

describe('range', () => {
  it('has one task for each integer, in any slice too', () => {
    fc.assert(
      fc.property(fc.integer({ min: -50, max: 50 }), fc.nat(60), fc.nat(60), fc.nat(60), (start, length, a, b) => {
        const whole = range(square, start, start + length)
        assert.equal(whole.length, length)
        const all = argumentsOf(whole)
        assert.deepEqual(
          all,
          Array.from({ length }, (_, i) => [start + i]),
        )
        const [from, to] = [Math.min(a, b, length), Math.min(Math.max(a, b), length)]
        assert.deepEqual(argumentsOf(whole.slice(from, to)), all.slice(from, to))
        assert.equal(whole.slice(from, to).length, to - from)
      }),
    )
    assert.deepEqual(
      [...range(square, 2, 4)].map(task => task.execute()),
      [4, 9],
    )
  })

  it('takes a function with bound arguments', () => {
    assert.deepEqual(argumentsOf(range(partial(two, 5), 0, 2)), [
      [5, 0],
      [5, 1],
    ])
  })

  it('refuses what is not a range, unregistered functions and missing arguments', () => {
    assert.throws(() => range(square, 0.5, 3), /Expected `start` to be an integer, got `0.5` \(number\)/)
    assert.throws(() => range(square, 3, 2), /Expected `end` to be an integer of 3 or more, got `2`/)
    assert.throws(() => range((i: number) => i, 0, 2), UnregisteredTaskError)
    // @ts-expect-error the function needs two numbers
    assert.throws(() => range(two, 0, 2), /Expected at least 2 arguments for grid.test.two, got 1/)
    // @ts-expect-error the function takes a box
    assert.ok(range(segment, 0, 1))
  })
})

describe('grid', () => {
  it('covers a volume of any number of dimensions once, in boxes clipped at the edges', () => {
    const axis = fc.record({
      points: fc.integer({ min: 1, max: 9 }),
      chunk: fc.integer({ min: 1, max: 11 }),
      offset: fc.integer({ min: -5, max: 5 }),
    })
    fc.assert(
      fc.property(fc.array(axis, { minLength: 1, maxLength: 4 }), axes => {
        const boxes = grid(partial(segmentAt, 'x'), {
          shape: axes.map(({ points }) => points),
          chunk: axes.map(({ chunk }) => chunk),
          offset: axes.map(({ offset }) => offset),
        })
        const seen = new Set<string>()
        let volume = 0
        for (const { args } of boxes) {
          const [min, max] = args[1] as Box
          let corner: number[][] = [[]]
          let points = 1
          axes.forEach(({ points: size, chunk, offset }, i) => {
            const [from = Number.NaN, to = Number.NaN] = [min[i], max[i]]
            assert.ok(from >= offset && to <= offset + size && to > from && to - from <= chunk)
            assert.ok(to - from === chunk || to === offset + size, 'only boxes at the far edge are smaller')
            points *= to - from
            corner = corner.flatMap(before => Array.from({ length: to - from }, (_, by) => [...before, from + by]))
          })
          volume += points
          for (const point of corner) seen.add(point.join())
        }
        assert.equal(
          volume,
          axes.reduce((product, { points }) => product * points, 1),
        )
        assert.equal(seen.size, volume, 'no point is in two boxes')
        assert.equal(argumentsOf(boxes).length, boxes.length)
      }),
      { numRuns: 50 },
    )
  })

  it('iterates along the first axis first, also in slices', () => {
    const boxes = grid(segment, { shape: [100, 65, 1], chunk: [64, 64, 64] })
    const all: Box[][] = [
      [
        [
          [0, 0, 0],
          [64, 64, 1],
        ],
      ],
      [
        [
          [64, 0, 0],
          [100, 64, 1],
        ],
      ],
      [
        [
          [0, 64, 0],
          [64, 65, 1],
        ],
      ],
      [
        [
          [64, 64, 0],
          [100, 65, 1],
        ],
      ],
    ]
    assert.deepEqual(argumentsOf(boxes), all)
    assert.deepEqual(argumentsOf(boxes.slice(1, 3)), all.slice(1, 3))
    assert.deepEqual(argumentsOf(boxes.slice(1, 4).slice(1, 2)), all.slice(2, 3))
    assert.equal(grid(segment, { shape: [64, 64, 64], chunk: 32 }).length, 8)
  })

  it('refuses invalid volumes', () => {
    assert.throws(() => grid(partial(segmentAt, 'x'), { shape: [], chunk: 1 }), /Expected `shape`/)
    assert.throws(
      () => grid(segment, { shape: [1, 0, 1], chunk: 1 }),
      /Expected `shape` to be an array of integers of 1 or more/,
    )
    assert.throws(() => grid(segment, { shape: [1, 1, 1], chunk: [1, 1, 0.5] }), /Expected `chunk`/)
    // @ts-expect-error the function takes boxes of three dimensions
    assert.throws(() => grid(segment, { shape: [1, 1, 1], chunk: [1, 1] }), /Expected `chunk`.*3 of them/)
    assert.throws(() => grid(segment, { shape: [1, 1, 1], chunk: 1, offset: [0, 0, 0.1] }), /Expected `offset`/)
    assert.throws(() => grid(segment, { shape: [2 ** 30, 2 ** 30, 1], chunk: 1 }), /fewer than 2\^53 boxes/)
    // @ts-expect-error the function takes a number
    assert.ok(grid(square, { shape: [1], chunk: 1 }))
  })
})
