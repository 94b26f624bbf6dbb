import { test } from 'node:test'
import { noServer } from '../../bench/postgres/server.js'
import { postgresFixture } from './fixtures.js'
import { shortTorture } from './short-torture.js'

test(
  'half a minute of kills on queues in PostgreSQL loses nothing, and each duplicate run is explained',
  {
    skip: await noServer(),
  },
  t => shortTorture(t, (folder, _seed, elsewhere) => postgresFixture(folder, elsewhere)),
)
