import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseQueuePlace } from '#ptq/backends/sqs/queue-place.js'

const ACCOUNT = '123456789012'

test('a queue name is recognised, with or without .fifo', () => {
  assert.deepEqual(parseQueuePlace('pull-queue_2'), { name: 'pull-queue_2', fifo: false })
  assert.deepEqual(parseQueuePlace('jobs.fifo'), { name: 'jobs.fifo', fifo: true })
})

test('a URL of AWS gives the region, or the endpoint if it contains no region', () => {
  const at = (host: string, name = 'jobs') => parseQueuePlace(`https://${host}/${ACCOUNT}/${name}`)
  for (const [host, region] of [
    ['sqs.us-west-2.amazonaws.com', 'us-west-2'],
    ['sqs.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['eu-west-1.queue.amazonaws.com', 'eu-west-1'],
    ['queue.amazonaws.com', 'us-east-1'],
  ] as const) {
    const url = `https://${host}/${ACCOUNT}/jobs`
    assert.deepEqual(at(host), { name: 'jobs', url, account: ACCOUNT, region, fifo: false })
  }
  for (const [host, region] of [
    ['sqs-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['sqs.eu-central-1.api.aws', 'eu-central-1'],
    ['vpce-0a1b-2c3d.sqs.us-east-2.vpce.amazonaws.com', 'us-east-2'],
  ] as const) {
    const url = `https://${host}/${ACCOUNT}/jobs.fifo`
    const expected = { name: 'jobs.fifo', url, account: ACCOUNT, region, endpoint: `https://${host}`, fifo: true }
    assert.deepEqual(at(host, 'jobs.fifo'), expected)
  }
})

test('any other host is an endpoint whose queue is looked up by name', () => {
  const expected = { name: 'jobs', endpoint: 'http://127.0.0.1:4566', fifo: false }
  assert.deepEqual(parseQueuePlace('http://127.0.0.1:4566/000000000000/jobs'), expected)
  assert.deepEqual(parseQueuePlace('http://127.0.0.1:4566/queue/us-east-1/000000000000/jobs'), expected)
})

test('an invalid queue is refused with the valid forms', () => {
  for (const path of [
    '',
    'a b',
    'näme',
    'x'.repeat(81),
    `${'x'.repeat(76)}.fifo`,
    'jobs.txt',
    './jobs',
    'https://example.com/',
    'https://example.com/jobs',
    'https://example.com/some/page.html',
    `https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/jobs?Action=SendMessage`,
    `https://sqs.us-east-1.amazonaws.com/jobs`,
    `ftp://sqs.us-east-1.amazonaws.com/${ACCOUNT}/jobs`,
    'https://',
  ]) {
    assert.throws(() => parseQueuePlace(path), /^TypeError: Expected `queue` to be an SQS queue: a name of at most 80/)
  }
})

test('a password in a URL is refused and not printed', () => {
  assert.throws(
    () => parseQueuePlace(`https://user:hunter2@sqs.us-east-1.amazonaws.com/${ACCOUNT}/jobs`),
    (error: Error) => /without a user name or password/.test(error.message) && !error.message.includes('hunter2'),
  )
})

test('every text is parsed or throws a TypeError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.webUrl(),
        fc.webUrl().map(url => `${url}/${ACCOUNT}/jobs`),
      ),
      path => {
        try {
          assert.match(parseQueuePlace(path).name, /^[\w-]{1,80}(?:\.fifo)?$/)
        } catch (error) {
          assert.ok(error instanceof TypeError)
        }
      },
    ),
  )
})
