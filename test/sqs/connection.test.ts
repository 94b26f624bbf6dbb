import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { SQSClient } from '@aws-sdk/client-sqs'
import { connect, lambdaMiddleware, unneededMiddleware } from '#ptq/backends/sqs/connection.js'
import { checkOptions } from '#ptq/backends/sqs/options.js'
import { FaultProxy } from './fault-proxy.js'
import { ACCESS, drain, insertAll, makeMessages, openQueue } from './queue.js'
import { type SqsServer, startServer } from './server.js'

const PLACE = { name: 'jobs', fifo: false }

test('the SDK is loaded when a queue is opened, not before', async () => {
  const script = `
    import { createRequire } from 'node:module'
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some(path => path.includes('@aws-sdk'))
    const { opener } = await import(${JSON.stringify(import.meta.resolve('#ptq/backends/sqs/index.js'))})
    const before = loaded()
    const queue = await opener.open({ protocol: 'sqs', path: 'https://sqs.us-east-1.amazonaws.com/000000000000/x' }, {})
    await queue.close()
    console.log(JSON.stringify([before, loaded()]))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  assert.deepEqual(JSON.parse(stdout), [false, true])
})

test('the client is tuned: middleware cached and trimmed, one signer', async () => {
  const connection = await connect(PLACE, checkOptions(ACCESS))
  try {
    for (const client of [connection.requests, connection.receiving()]) {
      assert.equal(client.config.cacheMiddleware, true)
      assert.equal(client.config.md5, false)
      const names = client.middlewareStack.identify().join()
      assert.match(names, /hostHeaderMiddleware/)
      assert.doesNotMatch(names, /UserAgent|loggerMiddleware|recursionDetection/)
      assert.equal(await client.config.signer(), await client.config.signer())
    }
    assert.equal(connection.receiving(), connection.receiving())
    assert.notEqual(connection.requests, connection.receiving())
  } finally {
    connection.close()
  }
})

test('the names of the removed middleware are those of the SDK', () => {
  const { middlewareStack } = new SQSClient(ACCESS)
  for (const name of [...unneededMiddleware, lambdaMiddleware]) assert.ok(middlewareStack.remove(name), name)
})

test('a logger and any other setting of the user are kept', async () => {
  const lines: unknown[] = []
  const log = (line: unknown) => lines.push(line)
  const logger = { debug: log, info: log, warn: log, error: log }
  const connection = await connect(PLACE, checkOptions({ ...ACCESS, logger, maxAttempts: 7, md5: undefined }))
  try {
    assert.equal(await connection.requests.config.maxAttempts(), 7)
    assert.match(connection.requests.middlewareStack.identify().join(), /loggerMiddleware/)
  } finally {
    connection.close()
  }
})

describe('regions', () => {
  const names = [
    'AWS_REGION',
    'AWS_DEFAULT_REGION',
    'AWS_PROFILE',
    'AWS_CONFIG_FILE',
    'AWS_SHARED_CREDENTIALS_FILE',
  ] as const
  const before = Object.fromEntries(names.map(name => [name, process.env[name]]))
  const restore = () => {
    for (const name of names) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
  after(restore)

  async function regionOf(environment: Record<string, string>, options = {}, place = {}): Promise<string> {
    for (const name of names) delete process.env[name]
    const nowhere = '/nonexistent/aws'
    Object.assign(process.env, { AWS_CONFIG_FILE: nowhere, AWS_SHARED_CREDENTIALS_FILE: nowhere, ...environment })
    const { credentials } = ACCESS
    const connection = await connect({ ...PLACE, ...place }, checkOptions({ credentials, ...options }))
    try {
      assert.equal(await connection.requests.config.region(), connection.region)
      return connection.region
    } finally {
      connection.close()
      restore()
    }
  }

  test('come from the option, the URL, AWS_REGION, AWS_DEFAULT_REGION or us-east-1, in this order', async () => {
    const both = { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-2' }
    assert.equal(await regionOf(both, { region: 'us-west-1' }, { region: 'us-west-2' }), 'us-west-1')
    assert.equal(await regionOf(both, {}, { region: 'us-west-2' }), 'us-west-2')
    assert.equal(await regionOf(both), 'eu-west-1')
    assert.equal(await regionOf({ AWS_DEFAULT_REGION: 'eu-west-2' }), 'eu-west-2')
    assert.equal(await regionOf({}), 'us-east-1')
  })
})

describe('concurrent requests', () => {
  let server: SqsServer
  let proxy: FaultProxy
  before(async () => {
    server = await startServer('fauxqs')
    proxy = await FaultProxy.start(server.endpoint)
  })
  after(async () => {
    await proxy.close()
    await server.close()
  })

  test('are as many as `concurrency` allows, beyond the 50 sockets of the SDK', { timeout: 120_000 }, async () => {
    const backend = await openQueue(proxy.endpoint, { concurrency: 60, maxAttempts: 1, retrySeconds: 0 })
    proxy.rules.push({ action: 'GetQueueAttributes', times: 60, kind: 'hang' })
    const asked = Promise.allSettled(Array.from({ length: 60 }, () => backend.counts()))
    while (proxy.count('GetQueueAttributes') < 60) await proxy.next('GetQueueAttributes')
    await backend.close()
    for (const outcome of await asked) assert.equal(outcome.status, 'rejected')
  })

  test('of a hundred inserts and forty aborted leases all arrive, and Node warns of no leak', async () => {
    const warnings: string[] = []
    const onWarning = (warning: Error) =>
      warning.name === 'MaxListenersExceededWarning' && warnings.push(warning.message)
    process.on('warning', onWarning)
    const backend = await openQueue(proxy.endpoint)
    const messages = makeMessages(1_000)
    const batches = Array.from({ length: 100 }, (_, n) => messages.slice(n * 10, n * 10 + 10))
    await Promise.all(batches.map(batch => insertAll(backend, batch)))
    const abort = new AbortController()
    const many = await backend.lease({ seconds: 30, max: 400, waitSeconds: 0, signal: abort.signal })
    assert.equal(many.length, 400)
    assert.equal(new Set([...(await drain(backend)), ...many.map(lease => lease.body)]).size, 1_000)
    const aborts = Array.from({ length: 40 }, () => new AbortController())
    const leases = aborts.map(({ signal }) => backend.lease({ seconds: 30, max: 1, waitSeconds: 600, signal }))
    await proxy.next('ReceiveMessage')
    for (const each of aborts) each.abort()
    assert.deepEqual((await Promise.all(leases)).flat(), [])
    await backend.close()
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
  })
})
