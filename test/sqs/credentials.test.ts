import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { readSecretFile } from '#ptq/backends/sqs/credentials.js'
import { opener, type SqsOptions } from '#ptq/backends/sqs/index.js'
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.js'
import { startServer } from './server.js'

const VOLUME = '.cloudvolume/secrets/aws-secret.json'
const FILES = '.cloudfiles/secrets/aws-secret.json'
const PLAIN = { AWS_ACCESS_KEY_ID: 'AKIAPLAIN', AWS_SECRET_ACCESS_KEY: 'plain-secret' }

const homeBefore = process.env.HOME
let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ptq-home-'))
  process.env.HOME = home
})

afterEach(async () => {
  if (homeBefore === undefined) delete process.env.HOME
  else process.env.HOME = homeBefore
  await rm(home, { recursive: true })
})

async function write(file: string, content: unknown): Promise<void> {
  const path = join(home, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
}

test('without a file there are no credentials, and nothing is created in the home folder', async () => {
  assert.equal(await readSecretFile(), undefined)
  assert.deepEqual(await readdir(home), [])
})

test('.cloudvolume takes precedence over .cloudfiles', async () => {
  await write(FILES, { ...PLAIN, AWS_ACCESS_KEY_ID: 'AKIAFILES' })
  assert.equal((await readSecretFile())?.credentials.accessKeyId, 'AKIAFILES')
  await write(VOLUME, PLAIN)
  assert.deepEqual(await readSecretFile(), {
    credentials: { accessKeyId: 'AKIAPLAIN', secretAccessKey: 'plain-secret' },
  })
})

test('a session token and a region are read from the file', async () => {
  await write(VOLUME, { ...PLAIN, AWS_SESSION_TOKEN: 'token', AWS_DEFAULT_REGION: 'eu-west-1' })
  const secret = await readSecretFile()
  assert.equal(secret?.credentials.sessionToken, 'token')
  assert.equal(secret?.region, 'eu-west-1')
})

test('an invalid file throws an error that names the file and hides its content', async () => {
  for (const content of [
    '{"AWS_SECRET_ACCESS_KEY": "hunter2',
    '"hunter2"',
    '[]',
    { AWS_SECRET_ACCESS_KEY: 'hunter2' },
  ]) {
    await write(VOLUME, content)
    await assert.rejects(readSecretFile(), (error: Error) => {
      assert.match(error.message, /\.cloudvolume\/secrets\/aws-secret\.json to be a JSON object with AWS_ACCESS_KEY_ID/)
      assert.doesNotMatch(`${error.message}${error.cause}`, /hunter2/)
      return true
    })
  }
})

test('a file that cannot be read throws an error, and is not treated as missing', async () => {
  await mkdir(join(home, VOLUME), { recursive: true })
  await assert.rejects(readSecretFile(), /Can't read the AWS credentials in .*aws-secret\.json/)
})

/** The key, token and region that signed the requests, as the server saw them. */
async function signedWith(options: SqsOptions = {}): Promise<{ key: string; region: string; token: unknown }> {
  const server = await startServer('fauxqs')
  const proxy = await FaultProxy.start(server.endpoint)
  try {
    const url = { protocol: 'sqs', path: 'signed' }
    const backend = await opener.open(url, { endpoint: proxy.endpoint, createIfMissing: true, ...options })
    await backend.counts()
    await backend.lease({ seconds: 1, max: 1, waitSeconds: 0 })
    await backend.close()
    assert.equal(proxy.count('ReceiveMessage'), 1)
    const seen = proxy.requests.map(({ headers }) => {
      const { authorization = '', 'x-amz-security-token': token } = headers
      const [, key = '', region = ''] = /Credential=(\w+)\/\d{8}\/([\w-]+)\/sqs\/aws4_request/.exec(authorization) ?? []
      if (token !== undefined) assert.match(authorization, /SignedHeaders=[^,]*\bhost\b[^,]*x-amz-security-token/)
      assert.match(backend.label, new RegExp(`^sqs://signed \\(${region}, `))
      return { key, region, token }
    })
    const [first, ...others] = seen
    assert.ok(first)
    for (const other of others) assert.deepEqual(other, first)
    return first
  } finally {
    await proxy.close()
    await server.close()
  }
}

test('requests are signed with the key, the token and the region of the file', async () => {
  await write(VOLUME, { ...PLAIN, AWS_SESSION_TOKEN: 'token', AWS_DEFAULT_REGION: 'eu-west-1' })
  assert.deepEqual(await signedWith(), { key: 'AKIAPLAIN', region: 'eu-west-1', token: 'token' })
})

test("without a file, requests are signed by the SDK's own chain: environment with session token, profiles", async t => {
  const before = { ...process.env }
  t.after(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
    Object.assign(process.env, before)
  })
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  const environment = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'env-secret', AWS_SESSION_TOKEN: 'sts' }
  Object.assign(process.env, environment, { AWS_REGION: 'eu-west-2' })
  assert.deepEqual(await signedWith(), { key: 'AKIAENV', region: 'eu-west-2', token: 'sts' })

  for (const name of [...Object.keys(environment), 'AWS_REGION']) delete process.env[name]
  // Given by their paths: the SDK caches what it has read from the home folder.
  process.env.AWS_SHARED_CREDENTIALS_FILE = join(home, 'keys')
  process.env.AWS_CONFIG_FILE = join(home, 'config')
  const keys = (name: string, token: string) =>
    `[${name}]\naws_access_key_id = AKIA${name.toUpperCase()}\naws_secret_access_key = secret\n${token}\n`
  await write('keys', keys('default', '') + keys('lab', 'aws_session_token = sso'))
  await write('config', '[default]\nregion = eu-west-3\n[profile lab]\nregion = us-west-2\n')
  assert.deepEqual(await signedWith(), { key: 'AKIADEFAULT', region: 'eu-west-3', token: undefined })
  assert.deepEqual(await signedWith({ profile: 'lab' }), { key: 'AKIALAB', region: 'us-west-2', token: 'sso' })
  process.env.AWS_PROFILE = 'lab'
  assert.deepEqual(await signedWith(), { key: 'AKIALAB', region: 'us-west-2', token: 'sso' })
  // The option takes precedence over a file, a file over the SDK's chain.
  await write(FILES, PLAIN)
  assert.deepEqual(await signedWith(), { key: 'AKIAPLAIN', region: 'us-west-2', token: undefined })
  assert.deepEqual(await signedWith({ profile: 'lab' }), { key: 'AKIALAB', region: 'us-west-2', token: 'sso' })
})

test('requests refused with the old key are sent again with the new one when the file is replaced', async t => {
  await write(VOLUME, PLAIN)
  const server = await startServer('fauxqs')
  // As AWS does it, once the old key has been withdrawn.
  let withdrawn = false
  const keyOf = ({ headers }: SeenRequest) => /Credential=(\w+)\//.exec(headers.authorization ?? '')?.[1]
  const choose = (request: SeenRequest): Fault | undefined =>
    withdrawn && keyOf(request) === 'AKIAPLAIN' ? { kind: 'status', status: 403, code: 'ExpiredToken' } : undefined
  const proxy = await FaultProxy.start(server.endpoint, { choose })
  const options = { endpoint: proxy.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
  const backend = await opener.open({ protocol: 'sqs', path: 'rotated' }, options)
  t.after(async () => {
    await backend.close()
    await proxy.close()
    await server.close()
  })
  await backend.insert([{ id: '1', body: '1' }], { delaySeconds: 0 })
  await write(VOLUME, { AWS_ACCESS_KEY_ID: 'AKIANEW', AWS_SECRET_ACCESS_KEY: 'new-secret', AWS_SESSION_TOKEN: 'new' })
  withdrawn = true
  // Side by side: each was signed with the old key.
  const [counts, failures] = await Promise.all([
    backend.counts(),
    backend.insert([{ id: '2', body: '2' }], { delaySeconds: 0 }),
  ])
  assert.deepEqual(failures, [])
  assert.ok(counts.enqueued >= 1)
  const leases = await backend.lease({ seconds: 30, max: 10, waitSeconds: 0 })
  assert.equal(leases.length, 2)
  assert.equal(proxy.requests.at(-1)?.headers['x-amz-security-token'], 'new')
  // Half written: the previous key stays, and is reported as refused if SQS then refuses it.
  await write(VOLUME, '{"AWS_ACCESS_KEY_ID": "AKIA')
  assert.deepEqual(await backend.delete(leases, { tally: false }), [])
  const refused = { action: 'GetQueueAttributes', times: 1, kind: 'status', status: 403 } as const
  proxy.rules.push({ ...refused, code: 'InvalidClientTokenId' })
  await assert.rejects(
    backend.counts(),
    /SQS refused to count the tasks in sqs:\/\/rotated .*: InvalidClientTokenId; check the credentials/,
  )
})

test('credentials of the file that have expired are waited for, if they were good before', async t => {
  await write(VOLUME, PLAIN)
  const server = await startServer('fauxqs')
  let expired = true
  let refusals = 0
  const replaceFile = async () => {
    await write(VOLUME, { AWS_ACCESS_KEY_ID: 'AKIANEW', AWS_SECRET_ACCESS_KEY: 'new-secret', AWS_SESSION_TOKEN: 'new' })
  }
  const choose = ({ headers }: SeenRequest): Fault | undefined => {
    if (!expired || !headers.authorization?.includes('AKIAPLAIN')) return undefined
    // The process that replaces the file is late.
    if (++refusals === 3) void replaceFile()
    return { kind: 'status', status: 403, code: 'ExpiredToken' }
  }
  const proxy = await FaultProxy.start(server.endpoint, { choose })
  const options = { endpoint: proxy.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
  const url = { protocol: 'sqs', path: 'expired' }
  t.after(async () => {
    await proxy.close()
    await server.close()
  })
  // They never were good: told at once.
  await assert.rejects(opener.open(url, options), /ExpiredToken/)
  expired = false
  refusals = 0
  const backend = await opener.open(url, options)
  t.after(() => backend.close())
  await backend.insert([{ id: '1', body: '1' }], { delaySeconds: 0 })
  const [lease] = await backend.lease({ seconds: 60, max: 1, waitSeconds: 0 })
  assert.ok(lease)
  expired = true
  assert.deepEqual(await backend.delete([lease], { tally: false }), [])
  assert.ok(refusals >= 3, `${refusals} refusals`)
  assert.equal(proxy.requests.at(-1)?.headers['x-amz-security-token'], 'new')
})
