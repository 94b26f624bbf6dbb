import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { readSecretFile } from '#ptq/backends/sqs/credentials.js'
import { opener } from '#ptq/backends/sqs/index.js'
import { FaultProxy } from './fault-proxy.js'
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

test('without a file there are no credentials, and nothing is made in the home', async () => {
  assert.equal(await readSecretFile(), undefined)
  assert.deepEqual(await readdir(home), [])
})

test('.cloudvolume comes before .cloudfiles', async () => {
  await write(FILES, { ...PLAIN, AWS_ACCESS_KEY_ID: 'AKIAFILES' })
  assert.equal((await readSecretFile())?.credentials.accessKeyId, 'AKIAFILES')
  await write(VOLUME, PLAIN)
  assert.deepEqual(await readSecretFile(), {
    credentials: { accessKeyId: 'AKIAPLAIN', secretAccessKey: 'plain-secret' },
  })
})

test('a session token and a region come along', async () => {
  await write(VOLUME, { ...PLAIN, AWS_SESSION_TOKEN: 'token', AWS_DEFAULT_REGION: 'eu-west-1' })
  const secret = await readSecretFile()
  assert.equal(secret?.credentials.sessionToken, 'token')
  assert.equal(secret?.region, 'eu-west-1')
})

test('a file that is of no use is an error that names the file and keeps its content to itself', async () => {
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

test("a file that can't be read is an error, not a missing file", async () => {
  await mkdir(join(home, VOLUME), { recursive: true })
  await assert.rejects(readSecretFile(), /Can't read the AWS credentials in .*aws-secret\.json/)
})

test('requests are signed with the key, the token and the region of the file', async () => {
  await write(VOLUME, { ...PLAIN, AWS_SESSION_TOKEN: 'token', AWS_DEFAULT_REGION: 'eu-west-1' })
  const server = await startServer('fauxqs')
  const proxy = await FaultProxy.start(server.endpoint)
  try {
    const url = { protocol: 'sqs', path: 'signed' }
    const backend = await opener.open(url, { endpoint: proxy.endpoint, createIfMissing: true })
    await backend.counts()
    await backend.lease({ seconds: 1, max: 1, waitSeconds: 0 })
    await backend.close()
    assert.equal(backend.label, `sqs://signed (eu-west-1, ${proxy.endpoint})`)
    for (const { headers } of proxy.requests) {
      assert.match(headers.authorization ?? '', /Credential=AKIAPLAIN\/\d{8}\/eu-west-1\/sqs\/aws4_request/)
      assert.match(headers.authorization ?? '', /SignedHeaders=[^,]*\bhost\b[^,]*x-amz-security-token/)
      assert.equal(headers['x-amz-security-token'], 'token')
    }
    assert.equal(proxy.count('ReceiveMessage'), 1)
  } finally {
    await proxy.close()
    await server.close()
  }
})
