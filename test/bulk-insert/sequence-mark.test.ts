import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '#ptq/bulk-insert/sequence-mark.js'

test('the mark of a sequence is the same for equal values in any internal representation', () => {
  // A field that held a fraction holds its integers as doubles from then on; an array made by its length has room for holes.
  class Fields {
    constructor(public end: number) {}
  }
  new Fields(0.5)
  const asDouble = Object.assign(new Fields(0.25), { end: 600 })
  const doubles = [0.5, 1, 2]
  doubles.shift()
  const holey = new Array<number>(2)
  holey[0] = 1
  holey[1] = 2
  const mark = digestOf({ end: 600, list: [1, 2] })
  assert.equal(digestOf({ end: asDouble.end, list: doubles }), mark)
  assert.equal(digestOf({ ...asDouble, list: holey }), mark)
})

test('marks of sequences whose fields differ in any value differ', () => {
  const cyclic: { self?: unknown } = {}
  cyclic.self = cyclic
  const all: Readonly<Record<string, unknown>>[] = [
    {},
    { a: 1 },
    { a: '1' },
    { a: 1n },
    { a: true },
    { a: null },
    { a: undefined },
    { a: 0 },
    { a: -0 },
    { a: Number.NaN },
    { b: 1 },
    { a: 1, b: 2 },
    { b: 2, a: 1 },
    { a: [1, 2] },
    { a: [[1], 2] },
    { a: [1, [2]] },
    { a: new Set([1, 2]) },
    { a: new Map([[1, 2]]) },
    { a: { 1: 2 } },
    { a: new Date(5) },
    { a: new Date(6) },
    { a: Uint8Array.of(1, 2) },
    { a: Int8Array.of(1, 2) },
    { a: Uint8Array.of(1, 2).buffer },
    { a: Uint8Array.of(0, 1, 2).subarray(1), b: 0 },
    { a: 'x', b: 'y' },
    { a: 'xstring 1:y' },
    cyclic,
  ]
  assert.equal(new Set(all.map(digestOf)).size, all.length)
})
