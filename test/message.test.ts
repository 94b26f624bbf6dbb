import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { messageId, messageTraceparent, messageWriter, openMessage } from '#ptq/backend/envelope.js'
import { parseJson, stringifyJson } from '#ptq/json/json.js'

// The tests run from build/test; fixtures are not compiled.
const fixtures = join(import.meta.dirname, '../../test/fixtures/python-queue/queue')
const id = '1d2b7e6d-7ac3-4202-a2e8-ccea917eb08e'

describe('envelopes', () => {
  it('are written byte for byte as Python writes them', () => {
    const names = readdirSync(fixtures)
    assert.equal(names.length, 8)
    for (const name of names) {
      const body = readFileSync(join(fixtures, name), 'utf8')
      const { payloadText, payload } = openMessage(body)
      const messageId = name.replace(/^\d+--|\.json$/g, '')
      assert.equal(messageWriter('/data/queues/demo')(payloadText, messageId), body)
      assert.deepEqual(payload, (parseJson(body) as { payload: unknown }).payload)
    }
  })

  it('keep the text of any payload under any queue name', () => {
    fc.assert(
      fc.property(fc.json(), fc.string({ unit: 'binary' }), fc.boolean(), (payloadText, queueName, ascii) => {
        const body = messageWriter(queueName, { ascii })(payloadText, id)
        const opened = openMessage(body)
        assert.equal(stringifyJson(opened.payload), stringifyJson(parseJson(payloadText)))
        if (!ascii) assert.equal(opened.payloadText, payloadText)
        else assert.match(body, /^[\0-\x7f]*$/)
        assert.deepEqual(parseJson(body), {
          payload: parseJson(payloadText),
          queueName: parseJson(stringifyJson(queueName)),
          id,
        })
      }),
    )
  })

  it('carry the context of a trace beside any payload and history', () => {
    const failures = [{ attempt: 1, reason: 'r', host: 'h', pid: 1, failedAtMs: 0, durationSeconds: 0 }]
    fc.assert(
      fc.property(
        fc.json(),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.boolean(),
        (text, queueName, ascii, failed) => {
          const payloadText = `{"class": "A", "x": ${text}}`
          const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
          const body = messageWriter(queueName, { ascii })(payloadText, id, {
            traceparent,
            failures: failed ? failures : undefined,
          })
          assert.equal(messageTraceparent(body), traceparent)
          assert.equal(messageId(body), id)
          const opened = openMessage(body)
          assert.equal(stringifyJson(opened.payload), stringifyJson(parseJson(payloadText)))
          if (!ascii) assert.equal(opened.payloadText, payloadText)
          assert.deepEqual(opened.failures, failed ? failures : [])
          const { traceparent: written, ...others } = parseJson(body) as Record<string, unknown>
          assert.equal(written, traceparent)
          // As every other reader sees it.
          assert.deepEqual(Object.keys(others), ['payload', 'queueName', 'id', ...(failed ? ['failures'] : [])])
          assert.equal(messageTraceparent(messageWriter(queueName)(payloadText, id)), undefined)
        },
      ),
    )
  })

  it('with a text that looks like the context of a trace keep it', () => {
    const trace = ', "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"'
    for (const payloadText of [
      JSON.stringify(trace),
      `{"class": ${JSON.stringify(trace)}}`,
      `{"class": "A"${trace}}`,
    ]) {
      const body = messageWriter('q')(payloadText, id)
      assert.equal(openMessage(body).payloadText, payloadText)
      assert.equal(messageTraceparent(body), undefined)
    }
  })

  it('from SQS queues of Python have no id', () => {
    const { payload, payloadText } = openMessage('{"payload": [["t", "f"], [1.0], {}, -1], "queueName": "my-queue"}')
    assert.deepEqual(payload, [['t', 'f'], [1], {}, -1])
    assert.equal(payloadText, '[["t", "f"], [1.0], {}, -1]')
  })

  it('give their id if they have one', () => {
    assert.equal(messageId(messageWriter('q')('1', id)), id)
    assert.equal(messageId(messageWriter('q')('1', id, { failures: [] })), id)
    assert.equal(messageId(`{"payload": 1, "queueName": "q", "id": "${id}"}\n`), id)
    for (const body of ['', '{"payload": 1, "queueName": "q"}', `{"payload": {"x": 1, "id": "${id}"}}`]) {
      assert.equal(messageId(body), undefined, body)
    }
  })

  it('are read in any valid JSON form', () => {
    const table: [body: string, payload: unknown][] = [
      ['{"id":"x","queueName":"q","payload":{"class":"A"}}', { class: 'A' }],
      ['{"payload": {"class": "A"}}', { class: 'A' }],
      [' {"payload" : 18446744073709551615, "queueName": "q", "id": "x", "more": 1} ', 18446744073709551615n],
      // A text inside the payload that looks like its end.
      [
        `{"payload": {"a": ", \\"queueName\\": \\"q\\"}", "class": "A"}, "queueName": "q", "id": "${id}"}`,
        {
          a: ', "queueName": "q"}',
          class: 'A',
        },
      ],
      ['{"payload": {"class": "A", "queueName": "inner"}, "id": "x"}', { class: 'A', queueName: 'inner' }],
      // Keys between the payload and the queue's name; the last of equal keys counts.
      ['{"payload": 1, "extra": 2, "queueName": "q", "id": "x"}', 1],
      ['{"payload": 1, "payload": 2, "queueName": "q", "id": "x"}', 2],
    ]
    for (const [body, payload] of table) assert.deepEqual(openMessage(body).payload, payload, body)
  })

  it('that are invalid are refused with what was expected', () => {
    assert.throws(() => openMessage('{"payload": [1, 2, "queueName": "q", "id": "x"}'), SyntaxError)
    assert.throws(() => openMessage(''), SyntaxError)
    assert.throws(
      () => openMessage('[1]'),
      /Expected an envelope, an object with the key "payload", got JSON of another/,
    )
    assert.throws(() => openMessage('{"Records": [], "x": 1}'), /the key "payload", got the keys: Records, x/)
    assert.throws(() => openMessage('{}'), /got the keys: none/)
    assert.throws(() => openMessage('{"__proto__": {"payload": 1}}'), /got the keys: __proto__/)
  })
})
