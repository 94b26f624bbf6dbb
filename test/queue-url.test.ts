import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { formatQueueUrl, parseQueueUrl } from '#ptq/backend/queue-url.js'

const here = { cwd: '/data/work', home: '/home/ada' }
const parse = (text: string) => parseQueueUrl(text, here)

describe('queue URLs', () => {
  it('name folders, SQS queues, in-memory queues and registered protocols', () => {
    const table: [text: string, protocol: string, path: string][] = [
      ['fq:///data/queue', 'fq', '/data/queue'],
      ['fq:///data/queue/', 'fq', '/data/queue'],
      ['fq:///a b/%20?x#y', 'fq', '/a b/%20?x#y'],
      ['fq://./q', 'fq', '/data/work/q'],
      ['fq://../q', 'fq', '/data/q'],
      ['fq://~/q', 'fq', '/home/ada/q'],
      ['FQ:///data', 'fq', '/data'],
      ['/data/queue', 'fq', '/data/queue'],
      ['./q', 'fq', '/data/work/q'],
      ['../q', 'fq', '/data/q'],
      ['.', 'fq', '/data/work'],
      ['~/q/r', 'fq', '/home/ada/q/r'],
      ['~', 'fq', '/home/ada'],
      ['sqs://my-queue', 'sqs', 'my-queue'],
      ['sqs://my_queue.fifo', 'sqs', 'my_queue.fifo'],
      [
        'https://sqs.us-east-1.amazonaws.com/123456789012/q',
        'sqs',
        'https://sqs.us-east-1.amazonaws.com/123456789012/q',
      ],
      ['http://127.0.0.1:4566/000000000000/q', 'sqs', 'http://127.0.0.1:4566/000000000000/q'],
      ['sqs://https://sqs.us-east-1.amazonaws.com/1/q', 'sqs', 'https://sqs.us-east-1.amazonaws.com/1/q'],
      ['mem://tests/a', 'mem', 'tests/a'],
      ['redis://user@host:1/x', 'redis', 'user@host:1/x'],
      ['redis://', 'redis', ''],
    ]
    for (const [text, protocol, path] of table) assert.deepEqual(parse(text), { protocol, path }, text)
  })

  it('that are a bare word are refused with both ways to write it', () => {
    for (const word of ['my-queue', 'data/queue', '~ada/q', '.hidden', 'fq:/data', 'C:\\queue', ' ./q']) {
      assert.throws(
        () => parse(word),
        (error: unknown) =>
          error instanceof TypeError &&
          error.message.includes(`\`./${word}\``) &&
          error.message.includes(`sqs://${word}`),
        word,
      )
    }
  })

  it('of a folder that could be absolute or relative are refused with both ways to write it', () => {
    assert.throws(() => parse('fq://data/q'), /`fq:\/\/\/data\/q` from the root or `fq:\/\/\.\/data\/q` from here/)
  })

  it('that no queue can have are refused', () => {
    const bad = ['', 'fq://', 'mem://', 'sqs://', 'sqs://a b', `sqs://${'a'.repeat(81)}`, 'sqs://a/b', './a\0b']
    for (const text of [
      ...bad,
      'https://',
      'https://sqs.us-east-1.amazonaws.com',
      'https://host/only-one',
      'http://[/a/b',
    ]) {
      assert.throws(() => parse(text), { name: 'TypeError', message: /^Expected `url` to be / }, text)
    }
    // @ts-expect-error a URL is a text
    assert.throws(() => parse(undefined), /Expected `url` to be .* got `undefined` \(undefined\)/)
    // @ts-expect-error a URL is a text
    assert.throws(() => parse(new URL('file:///q')), /Expected `url`/)
  })

  it('are printed so that they mean the same everywhere', () => {
    const segment = fc.stringMatching(/^[^/\0]+$/)
    const word = fc.stringMatching(/^[a-z0-9_-]{1,20}$/)
    const url = fc.oneof(
      fc.array(segment).map(parts => `/${parts.join('/')}`),
      fc.array(segment).map(parts => `./${parts.join('/')}`),
      fc.array(segment).map(parts => `fq://~/${parts.join('/')}`),
      word.map(name => `sqs://${name}`),
      fc
        .tuple(word, word, word)
        .map(parts => `https://${parts.join('/')}`)
        .filter(URL.canParse),
      segment.map(name => `mem://${name}`),
      fc
        .tuple(fc.stringMatching(/^[a-z][a-z0-9]{1,8}x$/), fc.string())
        .map(([protocol, rest]) => `${protocol}://${rest}`),
    )
    fc.assert(
      fc.property(url, text => {
        const parsed = parse(text)
        assert.deepEqual(parseQueueUrl(formatQueueUrl(parsed), { cwd: '/elsewhere', home: '/other' }), parsed)
      }),
    )
  })

  it('are parsed or refused with an argument error, for any text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl(),
      fc.string().map(rest => `fq://${rest}`),
    )
    fc.assert(
      fc.property(text, given => {
        try {
          const { protocol, path } = parse(given)
          assert.match(protocol, /^[a-z][a-z0-9+.-]*$/)
          if (protocol === 'fq') assert.match(path, /^\//)
        } catch (error) {
          assert.ok(error instanceof TypeError && error.message.startsWith('Expected `url` to be '), String(error))
        }
      }),
    )
  })
})
