import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { partial } from 'ptq'
import { messageWriter } from '#ptq/backend/envelope.js'
import { HeldPack } from '#ptq/poll/held-pack.js'
import type { PackedCall } from '#ptq/poll/packed-call.js'
import { LeasedTask, packOf } from '#ptq/queue/queued-task.js'
import { packText } from '#ptq/tasks/pack.js'
import { type Range, sizeOf } from '#ptq/tasks/ranges.js'
import { noop } from '../poll/tasks.js'

function held(count: number): HeldPack {
  const texts = Array.from({ length: count }, (_, n) => JSON.stringify(partial(noop, n).payload()))
  const id = randomUUID()
  const body = messageWriter('q')(packText({ texts }, { indices: [{ start: 0, end: count }] }), id)
  return new HeldPack(new LeasedTask({ id, body, attempt: 1, handle: undefined }, {}), 0)
}

/** The numbers of the tasks in a payload. */
function numbersIn(text: string): number[] {
  const id = randomUUID()
  const pack = packOf(new LeasedTask({ id, body: messageWriter('q')(text, id), attempt: 1, handle: undefined }, {}))
  assert.ok(pack && 'payloads' in pack.tasks)
  return pack.tasks.payloads.map(payload => (Array.isArray(payload) ? Number(payload[1][0]) : -1))
}

const numberOf = ({ task }: PackedCall) => {
  const payload = task.payload()
  return Array.isArray(payload) ? Number(payload[1][0]) : -1
}

const numbersOf = (ranges: readonly Range[]) =>
  ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, n) => start + n))

type Step = readonly ['take' | 'complete' | 'leave' | 'putBack' | 'remove' | 'restore', number]

const step = fc.tuple(
  fc.constantFrom('take', 'complete', 'leave', 'putBack', 'remove', 'restore'),
  fc.nat(20),
) as fc.Arbitrary<Step>

describe('a held pack', () => {
  it('has each task in exactly one place: left, handed out, ended, or in another message', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 60 }), (count, steps) => {
        const pack = held(count)
        const out = new Map<number, PackedCall>()
        const left = new Set(numbersOf([{ start: 0, end: count }]))
        let ended = 0
        const first = (n: number) => [...out.values()].slice(0, n)
        for (const [verb, n] of steps) {
          if (verb === 'take') {
            for (const task of pack.take(n)) {
              assert.ok(left.delete(numberOf(task)), 'handed out once')
              assert.equal(numberOf(task), task.index)
              out.set(task.index, task)
            }
          } else if (verb === 'complete' || verb === 'leave') {
            for (const task of first(n)) {
              pack[verb](task)
              pack[verb](task)
              out.delete(task.index)
              ended++
            }
          } else if (verb === 'putBack') {
            const tasks = first(n)
            pack.putBack(tasks)
            pack.putBack(tasks)
            for (const { index } of tasks) {
              out.delete(index)
              left.add(index)
            }
          } else {
            const removed = pack.removeLeft(n)
            assert.equal(sizeOf(removed), Math.max(0, left.size - n))
            assert.equal(pack.isOver, false || (left.size === 0 && out.size === 0))
            if (sizeOf(removed) > 0) assert.deepEqual(numbersIn(pack.textOf(removed)), numbersOf(removed))
            if (verb === 'restore') pack.restoreLeft()
            else {
              pack.leftRemoved()
              for (const index of numbersOf(removed)) left.delete(index)
              ended += sizeOf(removed)
            }
          }
          assert.equal(pack.leftCount, left.size)
          assert.equal(pack.outCount, out.size)
          assert.deepEqual(
            pack.out.map(({ index }) => index),
            [...out.keys()],
          )
          assert.equal(pack.endedCount, ended)
          assert.equal(pack.isOver, left.size === 0 && out.size === 0)
          const remaining = [...left, ...out.keys()].sort((a, b) => a - b)
          if (remaining.length > 0) assert.deepEqual(numbersIn(pack.remainingText), remaining)
        }
      }),
    )
  })

  it('is split into parts that have each task once, and a part of one task has that task', async () => {
    for (const count of [1, 2, 15, 16, 17, 19, 33, 300]) {
      const pack = held(count)
      const parts = pack.parts(16)
      assert.ok(parts.length <= 16)
      assert.deepEqual(parts.flatMap(numbersOf), numbersOf([{ start: 0, end: count }]))
      for (const part of parts) {
        assert.deepEqual(numbersIn(pack.textOf(part)), numbersOf(part))
        if (sizeOf(part) > 1) continue
        const task = await pack.onlyTask(part)
        assert.deepEqual([task && numberOf(task)], numbersOf(part))
      }
    }
  })
})
