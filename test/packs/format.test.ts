import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { messageId, messageWriter, openMessage } from '#ptq/backend/envelope.js'
import { parseJson } from '#ptq/json/json.js'
import { isPackPayload, packableText, packText, readPack } from '#ptq/tasks/pack.js'
import type { ClassPayload } from '#ptq/tasks/payload.js'
import { type Range, sizeOf, union } from '#ptq/tasks/ranges.js'

const payload = fc.json().map(args => `[["tasks","f"],[${args}],{},-1]`)
const indices = fc
  .array(fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 5 })
  .map(ranges => union(ranges.map(([start, count]) => ({ start, end: start + count }))))

/** Written, put into an envelope and read again. */
function readBack(text: string) {
  const id = '0f8fad5b-d9cb-469f-a165-70867728950e'
  const body = messageWriter('/data/queue')(text, id)
  const opened = openMessage(body)
  assert.ok(isPackPayload(opened.payload as ClassPayload))
  return readPack(opened.payload as ClassPayload, opened.payloadText)
}

function textsFor(ranges: readonly Range[], texts: readonly string[]): string[] {
  return Array.from({ length: sizeOf(ranges) }, (_, at) => packableText(texts[at % texts.length] ?? '0'))
}

describe('the payload of a pack', () => {
  it('of tasks is read unchanged, each with its own text', () => {
    fc.assert(
      fc.property(indices, fc.array(payload, { minLength: 1 }), fc.nat(9), (indices, some, completed) => {
        const texts = textsFor(indices, some)
        const read = readBack(packText({ texts }, { indices, completed }))
        assert.ok('texts' in read.tasks)
        assert.deepEqual(read.tasks.texts, texts)
        assert.deepEqual(read.tasks.payloads, texts.map(parseJson))
        assert.deepEqual(read.indices, indices)
        assert.deepEqual([read.count, read.completed, read.ids], [texts.length, completed, undefined])
      }),
    )
  })

  it('of a slice keeps the digits of its fields', () => {
    const fields = { start: 0, label: 12345678901234567890n, name: 'ä\n"' }
    const indices = [{ start: 5, end: 1_000_000_000 }]
    const read = readBack(packText({ sequence: 'Labels', fields }, { indices, ids: 'x' }))
    assert.deepEqual(read, {
      ids: 'x',
      indices,
      completed: 0,
      count: 999_999_995,
      tasks: { sequence: 'Labels', fields },
    })
  })

  it('is also read in the form of another program', () => {
    const text = '{"tasks": [[["t","f"], [1.50], {}, -1]], "class": "ptq.Pack", "indices": [[7, 8]]}'
    const { tasks, indices } = readBack(text)
    assert.ok('texts' in tasks)
    assert.deepEqual([tasks.texts, indices], [['[["t","f"],[1.5],{},-1]'], [{ start: 7, end: 8 }]])
  })

  it('in any other form is refused', () => {
    const task = '[["t","f"],[],{},-1]'
    for (const fields of [
      '"indices":[[0,1]]',
      `"tasks":[${task}]`,
      `"indices":[],"tasks":[]`,
      `"indices":[[0,2]],"tasks":[${task}]`,
      `"indices":[[1,1]],"tasks":[]`,
      `"indices":[[0,1],[0,1]],"tasks":[${task},${task}]`,
      `"indices":[[5,6],[0,1]],"tasks":[${task},${task}]`,
      `"indices":[[-1,0]],"tasks":[${task}]`,
      `"indices":[[0,1e300]],"sequence":"S","fields":{}`,
      `"indices":[[0,1]],"sequence":"S"`,
      `"indices":[[0,1]],"sequence":"S","fields":[]`,
      `"indices":[[0,1]],"tasks":[1]`,
      `"indices":[[0,1]],"completed":-1,"tasks":[${task}]`,
      `"indices":[[0,1]],"ids":7,"tasks":[${task}]`,
    ]) {
      const text = `{"class":"ptq.Pack",${fields}}`
      assert.throws(
        () => readPack(parseJson(text) as ClassPayload, text),
        /^Error: Expected .* in the payload of a pack/,
      )
    }
  })
})

describe('an envelope', () => {
  it('keeps the attempts under an earlier message, with and without failures', () => {
    const failure = { attempt: 2, reason: 'no "room"', host: 'h', pid: 1, failedAtMs: 5, durationSeconds: 0 }
    const id = '0f8fad5b-d9cb-469f-a165-70867728950e'
    for (const failures of [undefined, [failure]]) {
      const body = messageWriter('q')('{"class":"A"}', id, { earlier: { attempts: 3, deaths: 1 }, failures })
      const opened = openMessage(body)
      assert.deepEqual([opened.earlier, opened.failures], [{ attempts: 3, deaths: 1 }, failures ?? []])
      assert.equal(opened.payloadText, '{"class":"A"}')
      assert.equal(messageId(body), id)
      // In another order, as another program may write it.
      const other = JSON.stringify({ ...JSON.parse(body), payload: { class: 'A' } })
      assert.deepEqual(openMessage(other).earlier, opened.earlier)
    }
  })

  it('of another meaning counts no attempts', () => {
    for (const keys of ['"attempts": "many"', '"attempts": 1, "deaths": 2', '"attempts": -1', '"deaths": 1']) {
      assert.deepEqual(openMessage(`{"payload": {"class": "A"}, ${keys}}`).earlier, { attempts: 0, deaths: 0 })
    }
  })
})
