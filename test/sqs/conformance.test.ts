import { after } from 'node:test'
import { testBackend } from 'ptq/testing'
import { opener } from '#ptq/backends/sqs/index.js'
import { ACCESS } from './queue.js'
import { SERVER_KINDS, startServer } from './server.js'

for (const kind of SERVER_KINDS) {
  const server = await startServer(kind)
  after(() => server.close())
  testBackend({
    name: `sqs on ${kind}`,
    open: queue =>
      opener.open(
        { protocol: 'sqs', path: queue },
        { ...ACCESS, endpoint: server.endpoint, createIfMissing: true, emptyWindowSeconds: 0 },
      ),
  })
}
