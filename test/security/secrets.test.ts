import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { partial, queueable, TaskQueue } from 'ptq'
import { closeServer, listen } from '../sqs/server.js'

const SECRETS = ['AKIASECRETKEYID', 'very-secret-access-key', 'very-secret-session-token']

const succeed = queueable(function succeedInSecret() {
  return undefined
})

test('no error of an SQS queue shows the credentials, however deep one looks', async t => {
  const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = SECRETS
  const server = createServer((_, res) => {
    const fault = JSON.stringify({ __type: 'com.amazonaws.sqs#AccessDenied', message: 'no' })
    res.writeHead(403, { 'content-type': 'application/x-amz-json-1.0' }).end(fault)
  })
  const { endpoint } = await listen(server)
  const warnings: string[] = []
  t.mock.method(process, 'emitWarning', (warning: unknown) => warnings.push(inspect(warning, { depth: null })))
  const credentials = { accessKeyId, secretAccessKey, sessionToken }
  const tq = new TaskQueue('sqs://secret-queue', { region: 'us-east-1', endpoint, credentials, maxAttempts: 1 })
  const verbs = [() => tq.insert(partial(succeed)), () => tq.lease(), () => tq.status(), () => tq.purge()]
  for (const verb of verbs) {
    await assert.rejects(verb, (error: Error) => {
      const shown = `${inspect(error, { depth: null })} ${error.stack} ${JSON.stringify(error)}`
      for (const secret of SECRETS) assert.ok(!shown.includes(secret), `${secret} in ${shown}`)
      return true
    })
  }
  for (const secret of SECRETS) assert.ok(!warnings.join().includes(secret))
  await tq.close()
  await closeServer(server)
})
