// Which names a long first reading of a folder keeps.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { NameSample } from '#ptq/backends/fq/name-sample.js'
import { nameOf } from '#ptq/backends/fq/names.js'

const MOST = 2 ** 15

function newNames(count: number): string[] {
  return Array.from({ length: count }, () => nameOf(0, randomUUID()))
}

function sampleOf(names: readonly string[]) {
  const sample = new NameSample(MOST)
  for (const name of names) sample.add(name)
  return sample.take()
}

test('a sample contains every name if there are few', () => {
  for (const count of [0, 1, MOST]) {
    const names = newNames(count)
    assert.deepEqual(sampleOf(names), { names, isPart: false })
  }
})

test('a sample of too many names is one contiguous range of ids, in any order of input', () => {
  // Cut once at the end, and several times on the way.
  for (const count of [MOST + 1, 2 * MOST, 200_000]) {
    const met = newNames(count)
    const { names, isPart } = sampleOf(met)
    assert.equal(isPart, true)
    assert.equal(names.length, MOST)
    const byId = met.toSorted((a, b) => (a < b ? -1 : 1))
    const kept = new Set(names)
    // Around the circle of all ids, the kept ones begin once and end once.
    const begins = byId.filter((name, index) => kept.has(name) && !kept.has(byId.at(index - 1) ?? ''))
    assert.equal(begins.length, 1)
  }
})

test('samples of the same names begin at different ids', () => {
  const names = newNames(2 * MOST)
  const first = new Set(sampleOf(names).names)
  const others = Array.from({ length: 4 }, () => sampleOf(names).names)
  assert.ok(others.some(other => other.some(name => !first.has(name))))
})
