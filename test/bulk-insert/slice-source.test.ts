import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FunctionTask } from 'ptq'
import { BlockSource, SequenceSource, type Slice, type SliceSource } from '#ptq/bulk-insert/slice-source.js'
import { type Range, sizeOf, union, without } from '#ptq/tasks/ranges.js'
import { TaskSource } from '#ptq/tasks/task-source.js'

/** Lengths as people have them, and some that only a range can have; what is stored of it already, in parts of it. */
const sequence = fc
  .tuple(fc.oneof(fc.nat(50), fc.nat(100_000), fc.nat(30_000_000)), fc.array(fc.tuple(fc.nat(1000), fc.nat(300))))
  .map(([total, parts]) => ({
    total,
    stored: union(
      parts.map(([from, length]) => {
        const start = Math.floor((total * from) / 1000)
        return { start, end: Math.min(total, start + Math.floor((total * length) / 1000)) }
      }),
    ),
  }))

const threads = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 1000 }))

/** All slices that concurrent loops get, in the order of their indices. */
async function all(source: SliceSource, loops: number): Promise<Slice[]> {
  const slices: Slice[] = []
  const loop = async () => {
    for (let slice = await source.next(); slice !== undefined; slice = await source.next()) slices.push(slice)
  }
  await Promise.all(Array.from({ length: loops }, loop))
  return slices.sort((a, b) => a.start - b.start)
}

/** Neighbours joined: what covers every index once is what was left, in as few ranges. */
function cover(slices: readonly Range[]): Range[] {
  for (const [i, { start }] of slices.entries()) assert.ok(i === 0 || start >= (slices[i - 1]?.end ?? 0), 'an overlap')
  return union(slices)
}

describe('slices', () => {
  it('of an iterable skip stored tasks in turns that let the event loop run', async () => {
    let turns = 0
    let isOver = false
    const turn = () => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    function* slow() {
      for (let i = 0; i < 50; i++) {
        for (const startMs = performance.now(); performance.now() - startMs < 2; );
        yield new FunctionTask(['test', 'noop'], [i])
      }
    }
    const source = new BlockSource(new TaskSource(slow()), 50, [{ start: 0, end: 50 }], 1)
    assert.equal(await source.next(), undefined)
    isOver = true
    // 100 ms of tasks, a turn at least after each that began later than 8 ms after the last turn.
    assert.ok(turns >= 5, `${turns} turns`)
    await source.stop()
  })

  it('of a sequence cover the missing tasks exactly once, for any length and number of threads', async () => {
    await fc.assert(
      fc.asyncProperty(sequence, threads, async ({ total, stored }, parallel) => {
        const slices = await all(new SequenceSource({ length: total }, stored, parallel), Math.min(parallel, 5))
        const left = without({ start: 0, end: total }, stored)
        assert.deepEqual(cover(slices), left)
        assert.equal(sizeOf(slices), sizeOf(left))
        // Small enough to keep all threads busy to the end.
        for (const slice of slices) assert.ok(sizeOf([slice]) <= Math.max(1, Math.ceil(total / parallel / 16)))
      }),
    )
  })

  it('of an iterable carry each missing task once, under its index', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(300),
        fc.array(fc.tuple(fc.nat(300), fc.nat(60))),
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.constantFrom('sync', 'async', 'halting'),
        async (total, parts, parallel, isTotalKnown, kind) => {
          const stored = union(parts.map(([start, length]) => ({ start, end: Math.min(total, start + length) })))
          const source = new BlockSource(
            new TaskSource(kind === 'sync' ? tasks(total) : tasksLater(total, kind === 'halting')),
            isTotalKnown ? total : undefined,
            stored,
            parallel,
          )
          const slices = await all(source, parallel)
          assert.equal(source.error, undefined)
          assert.deepEqual(cover(slices), without({ start: 0, end: total }, stored))
          for (const { start, end, texts } of slices) {
            const expected = Array.from({ length: end - start }, (_, i) => `[["m","f"],[${start + i}],{},-1]`)
            assert.deepEqual(texts, expected)
          }
        },
      ),
    )
  })
})

function* tasks(total: number): Generator<FunctionTask> {
  for (let i = 0; i < total; i++) yield new FunctionTask(['m', 'f'], [i])
}

async function* tasksLater(total: number, halting: boolean): AsyncGenerator<FunctionTask> {
  for (const task of tasks(total)) {
    if (halting) await new Promise(resolve => setImmediate(resolve))
    yield task
  }
}
