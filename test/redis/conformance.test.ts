import { after, test } from 'node:test'
import { testBackend } from 'ptq/testing'
import { opener } from '#ptq/backends/redis/index.js'
import { noServer, startServer } from './server.js'

if (noServer) test('redis is a backend', { skip: noServer }, () => undefined)
else {
  const server = await startServer()
  after(() => server.stop())
  testBackend({
    name: 'redis',
    open: queue => opener.open({ protocol: 'redis', path: `127.0.0.1:${server.port}/0?queue=${queue}` }, {}),
  })
}
