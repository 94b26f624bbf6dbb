import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { partial, queueable, TaskQueue } from 'ptq'
import { runCli } from '../cli/run-cli.js'
import { closeServer, listen } from '../sqs/server.js'

const SECRETS = ['AKIASECRETKEYID', 'very-secret-access-key', 'very-secret-session-token']

const succeed = queueable(function succeedInSecret() {
  return undefined
})

/** Responses of a server that repeat what it was sent. */
const answers: [string, (res: ServerResponse, sent: string) => void][] = [
  ...['AccessDenied', 'SignatureDoesNotMatch', 'IncompleteSignature', 'InvalidClientTokenId', 'InternalFailure'].map(
    (code): [string, (res: ServerResponse, sent: string) => void] => [
      code,
      (res, sent) => {
        const fault = JSON.stringify({ __type: `com.amazonaws.sqs#${code}`, message: `no: ${sent}` })
        res
          .writeHead(code === 'InternalFailure' ? 500 : 403, { 'content-type': 'application/x-amz-json-1.0' })
          .end(fault)
      },
    ],
  ),
  ['a page of a proxy', (res, sent) => res.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${sent}</p>`)],
  [
    'a page of a proxy that fails',
    (res, sent) => res.writeHead(502, { 'content-type': 'text/html' }).end(`<p>${sent}</p>`),
  ],
  ['nothing, and closes the connection', res => res.destroy()],
]

for (const [what, answer] of answers) {
  test(`no error of an SQS queue contains the credentials at any depth; the server answers ${what}`, async t => {
    const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = SECRETS
    const server = createServer((req, res) => answer(res, req.rawHeaders.join(' ')))
    t.after(() => closeServer(server))
    const { endpoint } = await listen(server)
    const warnings: string[] = []
    t.mock.method(process, 'emitWarning', (warning: unknown) => warnings.push(inspect(warning, { depth: null })))
    const credentials = { accessKeyId, secretAccessKey, sessionToken }
    const options = { region: 'us-east-1', endpoint, credentials, maxAttempts: 1, retrySeconds: 0 }
    const tq = new TaskQueue('sqs://secret-queue', options)
    t.after(() => tq.close())
    const verbs = [() => tq.insert(partial(succeed)), () => tq.lease(), () => tq.status(), () => tq.purge()]
    for (const verb of verbs) {
      await assert.rejects(verb, (error: Error) => {
        const shown = `${inspect(error, { depth: null })} ${error.stack} ${JSON.stringify(error)}`
        for (const secret of SECRETS) assert.ok(!shown.includes(secret), `${secret} in ${shown}`)
        return true
      })
    }
    for (const secret of SECRETS) assert.ok(!warnings.join().includes(secret))
  })
}

const USER = 'http://someone:hunter2@127.0.0.1:9'

test('user names and passwords in URLs are refused, and not printed', async () => {
  const hidden = (error: Error) => {
    assert.ok(error instanceof TypeError)
    assert.match(error.message, /without a user name or password|the address of an SQS queue|an http\(s\) URL/)
    assert.doesNotMatch(inspect(error, { depth: null }), /someone|hunter2/)
    return true
  }
  for (const url of [
    `${USER}/000000000000/q`,
    `sqs://${USER}/000000000000/q`,
    `${USER}/q`,
    `${USER}/${'q'.repeat(99)}`,
  ]) {
    assert.throws(() => new TaskQueue(url), hidden)
  }
  for (const endpoint of [USER, USER.replace('http', 'ftp')]) {
    const tq = new TaskQueue('sqs://q', { endpoint })
    await assert.rejects(tq.status(), hidden)
    await tq.close()
  }
})

for (const [where, args, env] of [
  ['the queue', [`${USER}/000000000000/q`], {}],
  ['--endpoint', ['sqs://q', '--endpoint', USER], {}],
  ['AWS_ENDPOINT_URL_SQS', ['sqs://q'], { AWS_ENDPOINT_URL_SQS: USER, AWS_MAX_ATTEMPTS: '1' }],
] as const) {
  test(`ptq prints neither a password in ${where} nor credentials`, async () => {
    const secrets = { AWS_SECRET_ACCESS_KEY: 'very-secret-access-key', AWS_SESSION_TOKEN: 'very-secret-session-token' }
    const { code, stdout, stderr } = await runCli(['status', ...args], { env: { ...secrets, ...env, PTQ_DEBUG: '1' } })
    assert.ok(code === 1 || code === 2, stderr)
    assert.notEqual(stderr, '')
    assert.doesNotMatch(stdout + stderr, /someone|hunter2|very-secret/)
  })
}
