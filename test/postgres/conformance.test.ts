import { after, test } from 'node:test'
import { testBackend } from 'ptq/testing'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { opener } from '#ptq/backends/postgres/index.js'
import { noServer, startServer } from '../../bench/postgres/server.js'

const skip = await noServer()
if (skip) {
  test('postgres is a backend', { skip }, () => undefined)
} else {
  const server = await startServer()
  after(() => server.close())
  testBackend({
    name: 'postgres',
    open: queue => opener.open(parseQueueUrl(server.url(queue), { cwd: '/', home: '/' }), {}),
  })
}
