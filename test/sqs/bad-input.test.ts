import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { SQSClient } from '@aws-sdk/client-sqs'
import { opener, type SqsOptions } from '#ptq/backends/sqs/index.js'
import { FaultProxy } from './fault-proxy.js'
import { ACCESS } from './queue.js'
import { closeServer, listen, type SqsServer, startServer } from './server.js'

const open = (path: string, options: SqsOptions) => opener.open({ protocol: 'sqs', path }, options)

describe('bad input gives an error of one sentence', () => {
  let server: SqsServer
  let proxy: FaultProxy
  before(async () => {
    server = await startServer('fauxqs')
    proxy = await FaultProxy.start(server.endpoint)
  })
  afterEach(() => {
    proxy.rules.length = 0
  })
  after(async () => {
    await proxy.close()
    await server.close()
  })

  test('for a missing queue, with its region and endpoint', async () => {
    await assert.rejects(open('typo', { ...ACCESS, endpoint: server.endpoint }), {
      message:
        `No queue \`typo\` in us-east-1 at ${server.endpoint}: create it, pass \`createIfMissing: true\`, or check the ` +
        `region, the endpoint and the account`,
    })
  })

  test('for a queue in another region: the queue does not exist', async () => {
    const made = await open('regional', { ...ACCESS, endpoint: server.endpoint, createIfMissing: true })
    await made.close()
    const elsewhere = open('regional', { ...ACCESS, region: 'eu-west-1', endpoint: server.endpoint })
    await assert.rejects(elsewhere, /No queue `regional` in eu-west-1 at/)
  })

  test('for a queue that is deleted later: the same sentence', async () => {
    const backend = await open('gone', { ...ACCESS, endpoint: proxy.endpoint, createIfMissing: true })
    const code = 'AWS.SimpleQueueService.NonExistentQueue'
    for (const action of ['SendMessageBatch', 'ReceiveMessage', 'GetQueueAttributes']) {
      proxy.rules.push({ action, times: 1, kind: 'status', status: 400, code })
    }
    await assert.rejects(backend.insert([{ id: '1', body: '1' }], { delaySeconds: 0 }), /No queue `gone` in us-east-1/)
    await assert.rejects(backend.lease({ seconds: 1, max: 1, waitSeconds: 20 }), /No queue `gone` in us-east-1/)
    await assert.rejects(backend.counts(), /No queue `gone` in us-east-1/)
    await backend.close()
  })

  test('without a network: connection refused, and unknown host', async () => {
    const nobody = createServer()
    const { endpoint } = await listen(nobody)
    await closeServer(nobody)
    await assert.rejects(
      open('jobs', { ...ACCESS, endpoint }),
      /Can't open sqs:\/\/jobs .*: no answer \(ECONNREFUSED\); check the network/,
    )
    await assert.rejects(
      open('jobs', { ...ACCESS, endpoint: 'http://nowhere.invalid' }),
      /Can't open sqs:\/\/jobs \(us-east-1, http:\/\/nowhere\.invalid\): no answer \((ENOTFOUND|EAI_AGAIN)\)/,
    )
  })

  test('for an AWS URL that is opened without a request and cannot be reached, just as fast', {
    timeout: 120_000,
  }, async () => {
    const nobody = createServer()
    const { endpoint } = await listen(nobody)
    await closeServer(nobody)
    const url = 'https://sqs.us-east-1.amazonaws.com/000000000000/jobs'
    const backend = await open(url, { ...ACCESS, endpoint, retrySeconds: 600 })
    const noAnswer = /^Error: Can't .* sqs:\/\/jobs .*: no answer \(ECONNREFUSED\); check the network/
    await assert.rejects(backend.counts(), noAnswer)
    await assert.rejects(backend.insert([{ id: '1', body: '1' }], { delaySeconds: 0 }), noAnswer)
    await assert.rejects(backend.lease({ seconds: 1, max: 1, waitSeconds: 20 }), noAnswer)
    await backend.close()
  })

  test('for a server that is not SQS', async () => {
    proxy.rules.push({ action: 'GetQueueUrl', times: 10, kind: 'page' })
    await assert.rejects(
      open('jobs', { ...ACCESS, endpoint: proxy.endpoint }),
      /^Error: http:\S+ doesn't answer like SQS/,
    )
    proxy.rules.length = 0
    const backend = await open('countless', { ...ACCESS, endpoint: proxy.endpoint, createIfMissing: true })
    // A response without the expected fields, as to an action without entries.
    proxy.rules.push({
      action: 'GetQueueAttributes',
      times: 1,
      kind: 'partial',
      places: [],
      code: '',
      senderFault: false,
    })
    await assert.rejects(backend.counts(), /^Error: http:\S+ doesn't answer like SQS/)
    await backend.close()
  })

  test('for credentials that SQS refuses: the reason, and no secret', async () => {
    const message = 'The Canonical String should have been x-amz-security-token:hunter2'
    proxy.rules.push({
      action: 'GetQueueUrl',
      times: 1,
      kind: 'status',
      status: 403,
      code: 'SignatureDoesNotMatch',
      message,
    })
    await assert.rejects(open('jobs', { ...ACCESS, endpoint: proxy.endpoint, maxAttempts: 1 }), (error: Error) => {
      assert.match(
        error.message,
        /SQS refused the credentials for sqs:\/\/jobs .*SignatureDoesNotMatch; check the secret key/,
      )
      assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), /hunter2|test-secret/)
      return true
    })
    proxy.rules.push({
      action: 'GetQueueUrl',
      times: 1,
      kind: 'status',
      status: 403,
      code: 'AccessDenied',
      message: 'not yours',
    })
    await assert.rejects(
      open('jobs', { ...ACCESS, endpoint: proxy.endpoint }),
      /SQS refused to open sqs:\/\/jobs .*: AccessDenied; check the credentials and their rights \(not yours\)/,
    )
  })

  test('without any credentials: the places that were searched', async () => {
    const before = { ...process.env }
    const home = await mkdtemp(join(tmpdir(), 'ptq-home-'))
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
    // The instance's metadata service would be asked last, and does not answer here.
    Object.assign(process.env, { HOME: home, AWS_EC2_METADATA_DISABLED: 'true' })
    try {
      await assert.rejects(
        open('jobs', { endpoint: server.endpoint }),
        /No AWS credentials for sqs:\/\/jobs .*: looked in ~\/\.cloudvolume\/secrets\/aws-secret\.json, ~\/\.cloudfiles\S+ and the AWS SDK's own chain/,
      )
    } finally {
      for (const name of Object.keys(process.env)) delete process.env[name]
      Object.assign(process.env, before)
      await rm(home, { recursive: true })
    }
  })

  test('for options of the wrong type', async () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ concurrency: 0 }, /Expected `concurrency` to be an integer of 1 or more, got `0` \(number\)/],
      [{ region: 'US West' }, /Expected `region` to be the name of an AWS region/],
      [{ endpoint: 'localhost:4566' }, /Expected `endpoint` to be an http\(s\) URL/],
      [{ client: {} }, /Expected `client` to be an SQSClient/],
      [{ createIfMissing: 'yes' }, /Expected `createIfMissing` to be a boolean/],
      [{ retrySeconds: -1 }, /Expected `retrySeconds` to be a number of seconds/],
      [{ emptyWindowSeconds: Number.NaN }, /Expected `emptyWindowSeconds`/],
    ]
    for (const [options, expected] of wrong) await assert.rejects(open('jobs', options), expected)
    await assert.rejects(open('https://example.com/page', {}), /Expected `queue` to be an SQS queue/)
  })

  test('at open for a server that is asked by name; an AWS URL costs no request to open', async () => {
    const client = new SQSClient({ ...ACCESS, endpoint: proxy.endpoint })
    proxy.requests.length = 0
    const aws = await open('https://sqs.us-east-1.amazonaws.com/000000000000/jobs', { client })
    await aws.close()
    assert.equal(proxy.requests.length, 0)
    const made = await open('elsewhere', { client, createIfMissing: true })
    const found = await open(`${proxy.endpoint}/000000000000/elsewhere`, ACCESS)
    await found.insert([{ id: '1', body: '1' }], { delaySeconds: 0 })
    // The client is the caller's: closing a queue leaves it open.
    await made.close()
    assert.equal(await client.config.region(), 'us-east-1')
    const again = await open('elsewhere', { client })
    assert.equal((await again.counts()).enqueued, 1)
    await again.close()
    await found.close()
    client.destroy()
  })
})
