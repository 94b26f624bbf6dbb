/** Queues on a PostgreSQL server with TLS. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { TaskQueue } from 'ptq'
import { noServer, type PostgresServer, startServer } from '../../bench/postgres/server.js'
import { type Certificates, makeCertificates, noOpenssl } from '../certificates.js'
import { runCli } from '../cli/run-cli.js'
import { runSql } from './queue.js'

/** The account of the server where root starts it. */
const nobody = 65_534

describe('a PostgreSQL server with TLS', { skip: (await noServer()) || noOpenssl }, () => {
  let folder: string
  let files: Certificates
  let server: PostgresServer
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ptq-tls-'))
    files = makeCertificates(folder)
    chmodSync(folder, 0o755)
    if (process.getuid?.() === 0) chownSync(files.key, nobody, nobody)
    server = await startServer({ settings: { ssl: 'on', ssl_cert_file: files.cert, ssl_key_file: files.key } })
  })
  after(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })

  /** The URL of a queue: the certificate is of localhost, and not of 127.0.0.1. */
  const urlOf = (queue: string, parameters: string, host = 'localhost') =>
    `${server.url(queue).replace('127.0.0.1', host)}&${parameters}`

  /** Connections of the queue with and without TLS. */
  async function connections(queue: string): Promise<{ tls: number; plain: number }> {
    const [row] = await runSql(
      server.url(queue),
      `SELECT count(*) FILTER (WHERE ssl)::int AS tls, count(*) FILTER (WHERE NOT ssl)::int AS plain
       FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'ptq ${queue}'`,
    )
    return { tls: Number(row?.tls), plain: Number(row?.plain) }
  }

  const accepted: readonly [name: string, parameters: () => string, host?: string][] = [
    ['require', () => 'sslmode=require', '127.0.0.1'],
    ['prefer', () => 'sslmode=prefer'],
    ['require with an authority', () => `sslmode=require&sslrootcert=${files.ca}`, '127.0.0.1'],
    ['verify-ca', () => `sslmode=verify-ca&sslrootcert=${files.ca}`, '127.0.0.1'],
    ['verify-full', () => `sslmode=verify-full&sslrootcert=${files.ca}`],
  ]
  for (const [name, parameters, host] of accepted) {
    it(`is used by sslmode=${name}, also for waiting`, async () => {
      const queue = name.replaceAll(' ', '-')
      await using tq = new TaskQueue(urlOf(queue, parameters(), host), { progress: false })
      await tq.insert({ class: 'A', delaySeconds: 0 })
      const [task] = await tq.lease()
      assert.ok(task)
      const waiting = tq.lease({ waitSeconds: 30 })
      await tq.release(task)
      assert.equal((await waiting).length, 1)
      const { tls, plain } = await connections(queue)
      assert.ok(tls >= 1 && plain === 0, `${tls} with TLS, ${plain} without`)
    })
  }

  it('with a certificate that is not accepted gives one clear sentence', async () => {
    const unknown =
      /^Can't open postgres:\/\/ada@.*: the server's certificate is signed by an authority that is not known here \([A-Z_]+\); name the authority's file with sslrootcert=FILE in the URL$/
    const refused = async (url: string, message: RegExp) => {
      await using tq = new TaskQueue(url, { progress: false })
      await assert.rejects(tq.enqueued(), { message })
    }
    await refused(urlOf('q', 'sslmode=verify-full'), unknown)
    await refused(urlOf('q', `sslmode=verify-full&sslrootcert=${files.otherCa}`), unknown)
    await refused(urlOf('q', `sslmode=require&sslrootcert=${files.otherCa}`), unknown)
    await refused(
      urlOf('q', `sslmode=verify-full&sslrootcert=${files.ca}`, '127.0.0.1'),
      /: the server's certificate is for another host \(.*\); use the host that it names$/,
    )
    await refused(urlOf('q', 'sslmode=verify-full&sslrootcert=/nowhere/ca.crt'), /ENOENT.*\/nowhere\/ca\.crt/)
  })

  it('is used by the command line, without a warning of the client', async () => {
    const { code, stderr } = await runCli(['status', urlOf('require', 'sslmode=require')])
    assert.deepEqual([code, stderr], [0, ''])
  })
})
