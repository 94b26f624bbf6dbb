/** Queues on a Redis server that speaks TLS only. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { TaskQueue } from 'ptq'
import { type Certificates, makeCertificates, noOpenssl } from '../certificates.js'
import { runCli } from '../cli/run-cli.js'
import { freePort, noServer, type RedisServer, startServer } from './server.js'

const skip = noServer || noOpenssl
let folder: string
let files: Certificates
let server: RedisServer
let port: number

before(async () => {
  if (skip) return
  folder = mkdtempSync(join(tmpdir(), 'ptq-tls-'))
  files = makeCertificates(folder)
  port = await freePort()
  const certificate = ['--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-ca-cert-file', files.ca]
  server = await startServer(['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', ...certificate])
})
after(async () => {
  if (skip) return
  await server.stop()
  rmSync(folder, { recursive: true })
})

const urlAt = (host: string, protocol = 'rediss') => `${protocol}://${host}:${port}/0?queue=jobs`

async function refusal(url: string): Promise<string> {
  await using tq = new TaskQueue(url, { progress: false })
  return tq.enqueued().then(
    () => assert.fail(`Expected ${url} to be refused`),
    (error: Error) => error.message,
  )
}

test('rediss:// works where the authority is in NODE_EXTRA_CA_CERTS', { skip }, async () => {
  const env = { NODE_EXTRA_CA_CERTS: files.ca }
  const inserted = await runCli(['insert', urlAt('localhost'), '-'], { input: '{"class": "A"}\n', env })
  assert.equal(inserted.code, 0, inserted.stderr)
  const status = await runCli(['status', urlAt('localhost')], { env })
  assert.match(status.stdout, /Enqueued: +1/)
  assert.equal(status.stderr, '')
})

test('a client of the user brings its own authority', { skip }, async () => {
  const client = new Redis({ host: 'localhost', port, tls: { ca: readFileSync(files.ca) } })
  const tq = new TaskQueue('redis://localhost/0?queue=own', { client, progress: false })
  await tq.insert({ class: 'A' })
  // A worker that waits has a second connection, made by the client.
  const [task] = await tq.lease({ waitSeconds: 30 })
  assert.ok(task)
  await tq.delete(task)
  await tq.close()
  await client.quit()
})

test('an unknown authority, another host, and a server with and without TLS give one clear sentence each', {
  skip,
}, async () => {
  assert.match(
    await refusal(urlAt('localhost')),
    /^Could not connect to rediss:\/\/localhost:\d+\/0: the server's certificate is signed by an authority that is not known here \([A-Z_]+\); name the authority's file in NODE_EXTRA_CA_CERTS, or pass a `client`$/,
  )
  const other = await runCli(['status', urlAt('localhost')], { env: { NODE_EXTRA_CA_CERTS: files.otherCa } })
  assert.match(other.stderr, /^ptq: Could not connect .* authority that is not known here .*\n$/)
  const name = await runCli(['status', urlAt('127.0.0.1')], { env: { NODE_EXTRA_CA_CERTS: files.ca } })
  assert.match(name.stderr, /^ptq: Could not connect to .*: the server's certificate is for another host \(.*\); .*\n$/)
  assert.match(
    await refusal(urlAt('localhost', 'redis')),
    /^No Redis server answers .*; one with TLS wants rediss:\/\/$/,
  )
  const plain = await startServer()
  assert.match(
    await refusal(plain.url('jobs').replace('redis:', 'rediss:')),
    /^No Redis server answers .*; one without TLS wants redis:\/\/$/,
  )
  await plain.stop()
})
