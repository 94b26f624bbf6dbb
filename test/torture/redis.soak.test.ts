import { join } from 'node:path'
import { test } from 'node:test'
import { noServer } from '../redis/server.js'
import { redisFixture } from './fixtures.js'
import { shortTorture } from './short-torture.js'

test(
  'half a minute of kills on queues on Redis, of its server too, loses nothing, and each duplicate run is explained',
  {
    skip: noServer,
  },
  t => shortTorture(t, (folder, _seed, elsewhere) => redisFixture(folder, elsewhere, join(folder, 'ledger'))),
)
